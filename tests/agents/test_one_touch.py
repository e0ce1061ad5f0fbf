"""How much a person who has a passkey does, from an agent's first request to its first call of a tool."""

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from agents.test_mcp_clients import PROGRAMS
from support.chromium import Person
from support.mcp_packages import Program, running_program
from support.real_daemon import Daemon
from support.virtual_authenticator import by_password, enrolled


def agent(daemon: Daemon, folder: Path) -> AbstractContextManager[Program]:
    """An agent on the official Python SDK, which is told the address and nothing else."""
    return running_program(folder, sys.executable, PROGRAMS / "sdk_client.py", f"http://localhost:{daemon.port}/mcp")


def has_called_a_tool(client: Program) -> bool:
    """Whether it has called its tool, before and after a refresh."""
    told = [json.loads(line)["scope"] for line in client.ends().splitlines() if line.startswith("{")]
    return told == ["read", "read"]


def test_with_a_session(daemon: Daemon, ada: Person, tmp_path: Path) -> None:
    """Who is signed in sees one page, the question, and presses one button."""
    by_password(ada)
    ada.page = ada.context.new_page()
    with agent(daemon, tmp_path) as client:
        ada.page.goto(client.authorize_url(daemon.public_url))
        ada.button("Allow").click()
        assert has_called_a_tool(client)


def test_without_one(daemon: Daemon, ada: Person, tmp_path: Path) -> None:
    """Who is not touches the passkey that the first page suggests, types nothing, and is at the question."""
    by_password(ada)
    device = enrolled(ada, is_suggested=True)
    with agent(daemon, tmp_path) as client:
        ada.page.goto(client.authorize_url(daemon.public_url))
        ada.heading("Sign in")
        ada.button("Sign in with a passkey").wait_for()
        ada.picture("way-sign-in")
        device.touch()
        ada.page.reload()  # an authenticator of CDP answers what is asked after it was touched
        ada.button("Allow").wait_for()
        ada.picture("way-question")
        ada.button("Allow").click()
        assert has_called_a_tool(client)
        ada.picture("way-back")
