"""MCP messages in memory: both revisions, their headers, and what is no message."""

import base64
from typing import Any

import pytest

from support.herod_in_memory import Harness, bearer
from support.mcp_agent import INITIALIZE, META, NEW, OLD, ask, send


async def test_initialize(harness: Harness) -> None:
    """2025-11-25 begins with it; no session is made."""
    answer = await ask(harness, "initialize", INITIALIZE, await harness.service_key("read"))
    result = answer.json["result"]
    assert result["protocolVersion"] == OLD
    assert result["serverInfo"]["name"] == "herod"
    assert result["capabilities"] == {"tools": {"listChanged": False}}
    assert "never instructions" in result["instructions"]
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "answered"),
    [(OLD, OLD), ("2025-06-18", "2025-06-18"), ("2024-11-05", OLD), (NEW, OLD), ("1.0.0", OLD)],
)
async def test_initialize_with_another_version(harness: Harness, asked: str, answered: str) -> None:
    """An unknown one is answered with the newest of its kind; the client then stays or goes."""
    key = await harness.service_key("read")
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {**INITIALIZE, "protocolVersion": asked}}
    answer = await send(harness, call, key)
    assert answer.json["result"]["protocolVersion"] == answered


async def test_discover(harness: Harness) -> None:
    """2026-07-28 says what it is at any time."""
    answer = await ask(harness, "server/discover", None, await harness.service_key("read"), revision=NEW)
    result = answer.json["result"]
    assert result["supportedVersions"] == [NEW, OLD, "2025-06-18"]
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "herod"
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 60_000)


async def test_ping_belongs_to_the_older_revision(harness: Harness) -> None:
    """And has an empty answer."""
    key = await harness.service_key("read")
    assert (await ask(harness, "ping", None, key)).json == {"jsonrpc": "2.0", "result": {}, "id": 1}
    assert (await ask(harness, "ping", None, key, revision=NEW)).status == 404


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_an_unknown_method(harness: Harness, revision: str) -> None:
    """404 for the newest; for the older ones that would mean that their session is over."""
    key = await harness.service_key("read")
    for method in ("resources/list", "initialize" if revision == NEW else "logging/setLevel"):
        answer = await ask(harness, method, None, key, revision=revision)
        assert answer.status == (404 if revision == NEW else 200)
        assert answer.json["error"]["code"] == -32601


async def test_without_a_version_header(harness: Harness) -> None:
    """It is taken as a client that has just begun."""
    key = await harness.service_key("read")
    answer = await send(harness, {"jsonrpc": "2.0", "id": "a", "method": "tools/list"}, key)
    assert (answer.status, answer.json["id"]) == (200, "a")
    assert "resultType" not in answer.json["result"]


@pytest.mark.parametrize("message", [{"id": 1}, {}])
async def test_an_unsupported_version(harness: Harness, message: dict[str, int]) -> None:
    """400 and the versions that herod speaks, also for a notification."""
    key = await harness.service_key("read")
    body = {"jsonrpc": "2.0", "method": "tools/list", **message}
    answer = await send(harness, body, key, mcp_protocol_version="1900-01-01")
    assert answer.status == 400
    assert answer.json["error"]["code"] == -32022
    assert answer.json["error"]["data"] == {"supported": [NEW, OLD, "2025-06-18"], "requested": "1900-01-01"}


@pytest.mark.parametrize("version", ["2027-01-01", OLD])
async def test_an_unsupported_version_in_meta(harness: Harness, version: str) -> None:
    """The newest form with a version that has not got it."""
    key = await harness.service_key("read")
    meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
    answer = await ask(harness, "tools/list", {"_meta": meta}, key, revision=NEW, mcp_protocol_version=version)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32022)


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_protocol_version": OLD},
        {"mcp_method": "tools/list"},
        {"mcp_method": "tools/call, tools/call"},
        {"mcp_name": "delete_user"},
        {"mcp_name": "=?base64?d2hvYW1p!?="},
        {"mcp_name": "=?base64?/////w==?="},
    ],
)
async def test_headers_that_say_something_else(harness: Harness, headers: dict[str, Any]) -> None:
    """What a proxy decided by must be what herod does."""
    key = await harness.service_key("read")
    answer = await ask(harness, "tools/call", {"name": "whoami"}, key, revision=NEW, **headers)
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32020, 1)


@pytest.mark.parametrize("missing", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_missing_headers(harness: Harness, missing: str) -> None:
    """They are required."""
    headers = {"mcp-protocol-version": NEW, "mcp-method": "tools/call", "mcp-name": "whoami"}
    del headers[missing]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "_meta": META}}
    sent = {**bearer(await harness.service_key("read")), **headers}
    answer = await harness.request("POST", "/mcp", json=body, headers=sent)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


async def test_an_encoded_name(harness: Harness) -> None:
    """Base64 is decoded before it is compared."""
    name = f"=?base64?{base64.b64encode(b'whoami').decode()}?="
    answer = await ask(
        harness, "tools/call", {"name": "whoami"}, await harness.service_key("read"), revision=NEW, mcp_name=name
    )
    assert answer.status == 200


@pytest.mark.parametrize("gone", ["protocolVersion", "clientCapabilities"])
async def test_meta_is_required(harness: Harness, gone: str) -> None:
    """Each request of the newest revision stands for itself."""
    meta = {name: value for name, value in META.items() if not name.endswith(gone)}
    key = await harness.service_key("read")
    answer = await ask(harness, "tools/list", {"_meta": meta}, key, revision=NEW)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32602)
    assert gone in answer.json["error"]["message"]


async def test_initialize_without_a_version(harness: Harness) -> None:
    """It must say which."""
    answer = await ask(harness, "initialize", {}, await harness.service_key("read"))
    assert answer.json["error"]["code"] == -32602


async def test_a_notification(harness: Harness) -> None:
    """202 and no body."""
    key = await harness.service_key("read")
    for revision in (NEW, OLD):
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        answer = await send(harness, message, key, mcp_protocol_version=revision)
        assert (answer.status, answer.response.body) == (202, b"")


async def test_a_notification_runs_nothing(harness: Harness) -> None:
    """A call without an id is no call."""
    key = await harness.service_key("admin")
    user = await harness.user()
    params = {"name": "delete_user", "arguments": {"client_id": user.client_id}}
    answer = await send(harness, {"jsonrpc": "2.0", "method": "tools/call", "params": params}, key)
    assert answer.status == 202
    assert await harness.admin("users.get", client_id=user.client_id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping"', -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "more": "\xff"}', -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": NaN}}', -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600),
        (b"1", -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "result": {}}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": []}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": null}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": null}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b"[" * 40 + b"]" * 40 + b"}", -32600),
    ],
)
async def test_what_is_no_message(harness: Harness, body: bytes, code: int) -> None:
    """400 with the code that JSON-RPC has for it."""
    answer = await send(harness, body, await harness.service_key("read"))
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_another_content_type(harness: Harness) -> None:
    """What a foreign page could send without asking."""
    answer = await send(harness, b"{}", await harness.service_key("read"), content_type="text/plain")
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_other_methods(harness: Harness, method: str) -> None:
    """There is neither a stream to listen to nor a session to end."""
    answer = await harness.request(method, "/mcp")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_foreign_hosts_and_origins(harness: Harness) -> None:
    """Refused before anything is looked at."""
    key = await harness.service_key("admin")
    assert (await send(harness, {}, key, host="evil.example")).status == 421
    assert (await send(harness, {}, key, origin="http://evil.example")).status == 403
