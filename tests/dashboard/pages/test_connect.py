"""The page of ready-made snippets: this daemon's addresses, forms that work, no secret."""

import json
import re
import subprocess
from collections.abc import AsyncIterator
from html import unescape

import pytest

from herod.dashboard.pages.connect import Snippet, find_addresses, make_sections
from herod.pipeline.process.deployment_info import Deployment
from support.herod_in_memory import LEGACY, SECRET, Harness, open_harness
from support.page_visitor import open_pages, visit

SOCKET = "/run/a 'daemon'/herod.sock"
URL = "http://127.0.0.1:3350"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


def snippets(socket: str | None = SOCKET, url: str | None = URL, signing: str = "HS256") -> dict[str, Snippet]:
    """All of them, by id."""
    return {one.id: one for section in make_sections(socket, url, signing=signing) for one in section.snippets}


async def test_the_page(harness: Harness) -> None:
    """Shows where this daemon is, to everybody who is signed in, with a button on each snippet and no secret."""
    harness.pipeline.process.deployment = Deployment(binds=("unix:/run/<herod>.sock", "127.0.0.1:3351"))
    page = await (await visit(harness, scope="read")).read("/ui/connect")
    for word in (
        "unix:/run/&lt;herod&gt;.sock",
        "http://127.0.0.1:3351/mcp",
        "Authorization: Bearer",
        "LoadCredential=",
    ):
        assert word in page
    assert "<herod>" not in page
    ids = re.findall(r'data-copy="#([^"]+)"', page)
    assert len(ids) == len(set(ids)) == len(re.findall(r"<figure", page))
    assert all(f'<code id="{one}">' in page for one in ids)
    assert "python-verifier" in ids
    for secret in (SECRET, *LEGACY.values()):
        assert secret not in unescape(page)
    assert "herod_s_" not in page


@pytest.mark.parametrize(
    ("binds", "public_url", "has_tls", "found"),
    [
        (("unix:/s", "127.0.0.1:1", "[::1]:1"), "http://localhost:1", False, ("/s", "http://127.0.0.1:1")),
        (("unix:/s",), "http://localhost:1", False, ("/s", None)),
        (("unix:/s",), "https://herod.example", False, ("/s", "https://herod.example")),
        (("0.0.0.0:1",), "http://herod.lan:1", False, (None, "http://herod.lan:1")),
        (("127.0.0.1:1",), "https://herod.lan", True, (None, "https://herod.lan")),
        (("fd://3 (unix:/by/systemd)",), "http://x", False, ("/by/systemd", None)),
        ((), "http://x", False, (None, None)),
    ],
)
async def test_addresses(
    harness: Harness, binds: tuple[str, ...], public_url: str, has_tls: bool, found: tuple[str | None, str | None]
) -> None:
    """The first that a client can dial; the public one where a certificate or a proxy is for it."""
    harness.pipeline.process.deployment = Deployment(binds=binds, has_tls=has_tls)
    harness.configure(public_url=public_url)
    assert find_addresses(harness.pipeline.process.deployment, public_url=harness.runtime.config.public_url) == found


def test_shell_snippets_can_be_pasted() -> None:
    """The shell reads each of them, and a path with blanks and quotes stays one word."""
    for name, snippet in snippets().items():
        if name.startswith(("curl", "agent-add", "agent-key", "systemd-make", "systemd-rule")):
            subprocess.run(["bash", "-n", "-c", snippet.text], check=True)
    text = snippets()["curl-socket"].text
    shown = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s\n' \"$@\"; }}; {text}"], capture_output=True, check=True
    )
    assert SOCKET in shown.stdout.decode().splitlines()


def test_python_snippets_are_programs() -> None:
    """They compile, import what there is, and name the address as text."""
    for signing in ("HS256", "EdDSA"):
        for name, snippet in snippets(signing=signing).items():
            if name.startswith("python"):
                compile(snippet.text, name, "exec")
                imports = re.findall(r"^from herod.*$", snippet.text, re.MULTILINE)
                exec("\n".join(imports), {})  # noqa: S102 - our own lines
                assert json.dumps(f"unix:{SOCKET}") in snippet.text
    assert "jwks=True" in snippets(signing="EdDSA")["python-verifier"].text
    assert "hero_secret" in snippets()["python-verifier"].text


def test_settings_are_json() -> None:
    """With the address of /mcp."""
    server = json.loads(snippets()["agent-settings"].text)["mcpServers"]["herod"]
    assert server["url"] == f"{URL}/mcp"


def test_what_does_not_work_is_not_offered() -> None:
    """No verifier over http, no TCP where there is none, no peer rule without a socket."""
    assert {"curl-tcp", "agent-add"} & set(snippets(url=None)) == set()
    without = set(snippets(socket=None))
    assert {"python-verifier", "curl-peer", "curl-socket", "systemd-rule", "systemd-peer"} & without == set()
    assert "python-verifier" in snippets(socket=None, url="https://herod.example")
    assert "curl-validate" in without
