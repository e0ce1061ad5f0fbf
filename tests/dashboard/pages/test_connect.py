"""The Connect page: snippets with this daemon's addresses, in forms that work, without a secret."""

import json
import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
import trio

from herod.dashboard.pages.connect import find_addresses
from herod.pipeline.process.deployment_info import Deployment
from herod_client.core.signing_keys import SigningKeys, ed25519_key, new_private
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


async def snippets(
    harness: Harness, *, binds: tuple[str, ...] = (f"unix:{SOCKET}", "127.0.0.1:3350"), public_url: str = URL
) -> dict[str, str]:
    """What can be copied from the page of a daemon with these addresses, by id."""
    harness.pipeline.process.deployment = Deployment(binds=binds)
    harness.configure(public_url=public_url, has_browser_origin=len(binds) > 1 or not binds[0].startswith("unix:"))
    page = await (await visit(harness, scope="read")).read("/ui/connect")
    return {id_: unescape(text) for id_, text in re.findall(r'<code id="([^"]+)">(.*?)</code>', page, re.DOTALL)}


async def test_the_page(harness: Harness) -> None:
    """Every signed-in user sees this daemon's addresses, with a copy button for each snippet and no secret."""
    harness.pipeline.process.deployment = Deployment(binds=("unix:/run/<herod>.sock", "127.0.0.1:3351"))
    harness.configure(public_url="http://localhost:3351")
    page = await (await visit(harness, scope="read")).read("/ui/connect")
    for word in (
        "unix:/run/&lt;herod&gt;.sock",
        "http://localhost:3351/mcp",
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
    ("binds", "public_url", "found"),
    [
        (("unix:/s", "127.0.0.1:1", "[::1]:1"), "http://localhost:1", ("/s", "http://localhost:1")),
        (("unix:/s",), None, ("/s", None)),
        (("unix:/s",), "https://herod.example", ("/s", "https://herod.example")),
        (("0.0.0.0:1",), "http://herod.lan:1", (None, "http://herod.lan:1")),
        (("unix:/s", "127.0.0.2:1"), None, ("/s", "http://127.0.0.2:1")),
        (("fd://3 (unix:/by/systemd)",), None, ("/by/systemd", None)),
        ((), None, (None, None)),
    ],
)
async def test_addresses(
    harness: Harness, binds: tuple[str, ...], public_url: str | None, found: tuple[str | None, str | None]
) -> None:
    """The address is the public URL, or, while that is not herod's, another one that clients can dial."""
    deployment = Deployment(binds=binds)
    harness.configure(public_url=public_url or "http://herod.invalid", has_browser_origin=public_url is not None)
    assert find_addresses(deployment, harness.runtime.config) == found
    if public_url is None:  # a certificate is for a name, so an address does not do
        assert find_addresses(Deployment(binds=binds, has_tls=True), harness.runtime.config) == (found[0], None)


async def test_shell_snippets_can_be_pasted(harness: Harness) -> None:
    """The shell reads each of them, and a path with spaces and quotes stays one word."""
    found = await snippets(harness)
    for name, text in found.items():
        if name.startswith(("curl", "agent-add", "agent-key", "systemd-make", "systemd-rule")):
            await trio.run_process(["bash", "-n", "-c", text])
    shown = await trio.run_process(
        ["bash", "-c", f"curl() {{ printf '%s\n' \"$@\"; }}; {found['curl-socket']}"], capture_stdout=True
    )
    assert SOCKET in shown.stdout.decode().splitlines()


@pytest.mark.parametrize("signing", ["HS256", "EdDSA"])
async def test_python_snippets_are_programs(harness: Harness, signing: str) -> None:
    """They compile, import what there is, and name the address as text."""
    if signing == "EdDSA":
        harness.runtime.signing = SigningKeys(ed25519_key(new_private("EdDSA")))
    found = {name: text for name, text in (await snippets(harness)).items() if name.startswith("python")}
    assert set(found) == {"python-sync", "python-async", "python-verifier"}
    for name, text in found.items():
        compile(text, name, "exec")
        imports = re.findall(r"^from herod.*$", text, re.MULTILINE)
        exec("\n".join(imports), {})  # noqa: S102 - our own lines
        assert json.dumps(f"unix:{SOCKET}") in text
        assert "insecure_http" not in text
    assert ("jwks=True" if signing == "EdDSA" else "hero_secret") in found["python-verifier"]


async def test_settings_are_json(harness: Harness) -> None:
    """With the address of /mcp."""
    server = json.loads((await snippets(harness))["agent-settings"])["mcpServers"]["herod"]
    assert server["url"] == f"{URL}/mcp"


async def test_a_daemon_without_tcp(harness: Harness) -> None:
    """No snippet dials an address that there is not."""
    assert {"curl-tcp", "agent-add"} & set(await snippets(harness, binds=(f"unix:{SOCKET}",))) == set()


async def test_a_daemon_without_a_socket(harness: Harness) -> None:
    """No peer rules, and over http no verifier, which takes no keys in the clear."""
    found = await snippets(harness, binds=("127.0.0.1:3350",))
    assert {"python-verifier", "curl-peer", "curl-socket", "systemd-rule", "systemd-peer"} & set(found) == set()
    assert f"curl --json @- {URL}/validate" in found["curl-validate"]
    for name in ("python-sync", "python-async"):
        assert "identity=Bearer(key), insecure_http=True)" in found[name], (
            "without it the client sends no key over http"
        )
        compile(found[name], name, "exec")


async def test_a_daemon_behind_https(harness: Harness) -> None:
    """A verifier takes keys over https."""
    assert "python-verifier" in await snippets(harness, binds=("127.0.0.1:1",), public_url="https://herod.example")
