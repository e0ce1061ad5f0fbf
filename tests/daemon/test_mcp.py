"""The official MCP client against a real daemon: both revisions, over TCP and the Unix socket, with a key."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from support.real_daemon import Daemon, running

NEW, OLD = "2026-07-28", "2025-11-25"
WAYS = [pytest.param(is_tcp, id="tcp" if is_tcp else "unix") for is_tcp in (True, False)]
# how the client begins → the revision it must negotiate
MODES = {"auto": NEW, "legacy": OLD, NEW: NEW}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An empty daemon."""
    with running(tmp_path_factory.mktemp("mcp")) as started:
        yield started


def make_key(daemon: Daemon, name: str, scope: str) -> str:
    """A service key, created by the local admin."""
    made = daemon.herod("key", "create", name, "--scope", scope, "--output", "json")
    assert made.returncode == 0, made.stderr
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.fixture(scope="module")
def admin_key(daemon: Daemon) -> str:
    """A key with scope admin."""
    return make_key(daemon, "agent", "admin")


@pytest.fixture(scope="module")
def low_key(daemon: Daemon) -> str:
    """A key with a low scope."""
    return make_key(daemon, "reader", "read")


@asynccontextmanager
async def connected(daemon: Daemon, key: str, mode: str, *, is_tcp: bool) -> AsyncIterator[Client]:
    """The official client, with the key in a header as agents send it."""
    transport = httpx2.AsyncHTTPTransport(uds=None if is_tcp else str(daemon.socket))
    url = f"{daemon.url if is_tcp else 'http://localhost'}/mcp"
    async with (
        httpx2.AsyncClient(transport=transport, headers={"Authorization": f"Bearer {key}"}) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("is_tcp", WAYS)
@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_lists_and_calls(daemon: Daemon, admin_key: str, mode: str, is_tcp: bool) -> None:
    """The official client validates every answer against the schemas of its revision and of the tool."""
    async with connected(daemon, admin_key, mode, is_tcp=is_tcp) as client:
        assert client.protocol_version == MODES[mode]
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert (await client.list_prompts()).prompts == []
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert len(tools) >= 10
        hints = tools["delete_user"].annotations
        assert hints is not None
        assert hints.destructive_hint is True
        who = await client.call_tool("whoami")
        assert who.is_error is False
        assert structure(who)["scope"] == "admin"
        added = structure(await client.call_tool("add_user", {"scope": "read"}))
        listed = structure(await client.call_tool("list_users", {"limit": 200}))
        assert added["client_id"] in {user["client_id"] for user in listed["items"]}
        gone = await client.call_tool("delete_user", {"client_id": added["client_id"]})
        assert structure(gone)["deleted"] is True
        again = await client.call_tool("get_user", {"client_id": added["client_id"]})
        assert again.is_error is True
        assert json.loads(again.content[0].text)["code"] == "not_found"  # type: ignore[union-attr] # it is text


def structure(result: Any) -> dict[str, Any]:
    """The structured content of a tool's result."""
    assert result.is_error is False, result
    content: dict[str, Any] = result.structured_content
    return content


@pytest.mark.parametrize("mode", ["legacy", NEW])
async def test_a_call_beyond_the_scope(daemon: Daemon, low_key: str, mode: str) -> None:
    """The client reports the missing scope, and the connection continues."""
    async with connected(daemon, low_key, mode, is_tcp=False) as client:
        assert "list_users" not in {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError) as refused:
            await client.call_tool("list_users")
        assert refused.value.error.code == 4003
        assert refused.value.error.data["code"] == "missing_scope"
        assert (await client.call_tool("whoami")).is_error is False


@pytest.mark.parametrize("is_tcp", WAYS)
def test_without_a_key(daemon: Daemon, is_tcp: bool) -> None:
    """A missing key is a 401 with the metadata URL."""
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    status, body, headers = daemon.curl("/mcp", "--json", call, tcp=is_tcp)
    assert status == 401
    assert headers["www-authenticate"].startswith('Bearer realm="herod", resource_metadata="http://')
    assert "/.well-known/oauth-protected-resource/mcp" in headers["www-authenticate"]
    assert body["error"]["code"] == 4001


def test_never_the_local_admin(daemon: Daemon) -> None:
    """The cookie of the local admin is refused."""
    header = ("-H", f"Authorization: Peer {daemon.cookie}")
    assert daemon.curl("/api/v1/whoami", *header)[0] == 200
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'
    assert daemon.curl("/mcp", *header, "--json", call)[0] == 401


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_neither_stream_nor_session(daemon: Daemon, admin_key: str, method: str) -> None:
    """GET and DELETE of older clients get a 405, which they accept."""
    status, _, headers = daemon.curl("/mcp", "-X", method, "-H", f"Authorization: Bearer {admin_key}")
    assert (status, headers["allow"]) == (405, "POST")


def test_notifications_have_no_answer(daemon: Daemon, admin_key: str) -> None:
    """A notification gets 202 and an empty body."""
    call = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    status, body, headers = daemon.curl("/mcp", "--json", call, "-H", f"Authorization: Bearer {admin_key}")
    assert (status, body, headers["content-length"]) == (202, b"", "0")


def test_no_secret_is_logged(daemon: Daemon, admin_key: str) -> None:
    """The log contains neither the key nor any body."""
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_user","arguments":{"name":"Canary"}}}'
    status, body, _ = daemon.curl("/mcp", "--json", call, "-H", f"Authorization: Bearer {admin_key}")
    assert status == 200
    log = Path(daemon.log).read_text()
    assert admin_key not in log
    assert body["result"]["structuredContent"]["client_secret"] not in log
    assert "Canary" not in log
