"""MCP messages in memory: both revisions, their headers, and invalid messages."""

import base64
from typing import Any

import pytest

from support.herod_in_memory import Harness, bearer
from support.mcp_agent import INITIALIZE, META, NEW, OLD, ask, send


async def test_initialize(harness: Harness) -> None:
    """`initialize` of 2025-11-25 answers without creating a session."""
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
    """An unknown version is answered with the newest that has `initialize`, and the client decides."""
    key = await harness.service_key("read")
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {**INITIALIZE, "protocolVersion": asked}}
    answer = await send(harness, call, key)
    assert answer.json["result"]["protocolVersion"] == answered


async def test_discover(harness: Harness) -> None:
    """2026-07-28 answers `server/discover` at any time."""
    answer = await ask(harness, "server/discover", None, await harness.service_key("read"), revision=NEW)
    result = answer.json["result"]
    assert result["supportedVersions"] == [NEW, OLD, "2025-06-18"]
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "herod"
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 60_000)


async def test_ping_belongs_to_the_older_revision(harness: Harness) -> None:
    """`ping` exists in the older revision only, with an empty answer."""
    key = await harness.service_key("read")
    assert (await ask(harness, "ping", None, key)).json == {"jsonrpc": "2.0", "result": {}, "id": 1}
    assert (await ask(harness, "ping", None, key, revision=NEW)).status == 404


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_an_unknown_method(harness: Harness, revision: str) -> None:
    """An unknown method is a 404 in the newest revision; in older ones a 404 would mean that the session has ended."""
    key = await harness.service_key("read")
    for method in ("resources/read", "prompts/get", "initialize" if revision == NEW else "server/discover/"):
        answer = await ask(harness, method, None, key, revision=revision)
        assert answer.status == (404 if revision == NEW else 200)
        assert answer.json["error"]["code"] == -32601


@pytest.mark.parametrize("revision", [NEW, OLD])
@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ],
)
async def test_lists_of_what_herod_has_not(harness: Harness, method: str, name: str, revision: str) -> None:
    """Clients that ask for prompts and resources without looking at the capabilities get empty lists."""
    key = await harness.service_key("read")
    answer = await ask(harness, method, None, key, revision=revision)
    assert answer.status == 200
    result = answer.json["result"]
    assert result[name] == []
    assert result.keys() - {name} == ({"resultType", "ttlMs", "cacheScope", "_meta"} if revision == NEW else set())
    refused = await ask(harness, method, {"cursor": "x"}, key, revision=revision)
    assert refused.json["error"]["code"] == -32602
    assert (await ask(harness, method, None, revision=revision)).status == 401


async def test_a_log_level_is_taken(harness: Harness) -> None:
    """The older revisions' `logging/setLevel` is answered, though herod sends no log messages."""
    key = await harness.service_key("read")
    answer = await ask(harness, "logging/setLevel", {"level": "debug"}, key)
    assert answer.json == {"jsonrpc": "2.0", "result": {}, "id": 1}
    assert (await ask(harness, "logging/setLevel", {"level": "debug"}, key, revision=NEW)).status == 404


async def test_without_a_version_header(harness: Harness) -> None:
    """Without a version header the request counts as coming from a client before negotiation."""
    key = await harness.service_key("read")
    answer = await send(harness, {"jsonrpc": "2.0", "id": "a", "method": "tools/list"}, key)
    assert (answer.status, answer.json["id"]) == (200, "a")
    assert "resultType" not in answer.json["result"]


@pytest.mark.parametrize("message", [{"id": 1}, {}])
async def test_an_unsupported_version(harness: Harness, message: dict[str, int]) -> None:
    """An unsupported version is a 400 that lists the supported ones, also for a notification."""
    key = await harness.service_key("read")
    body = {"jsonrpc": "2.0", "method": "tools/list", **message}
    answer = await send(harness, body, key, mcp_protocol_version="1900-01-01")
    assert answer.status == 400
    assert answer.json["error"]["code"] == -32022
    assert answer.json["error"]["data"] == {"supported": [NEW, OLD, "2025-06-18"], "requested": "1900-01-01"}


@pytest.mark.parametrize("version", ["2027-01-01", OLD])
async def test_an_unsupported_version_in_meta(harness: Harness, version: str) -> None:
    """A request in the newest format with a version that does not have it is a 400."""
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
    """Headers that contradict the body are refused, because proxies may have decided by them."""
    key = await harness.service_key("read")
    answer = await ask(harness, "tools/call", {"name": "whoami"}, key, revision=NEW, **headers)
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32020, 1)


@pytest.mark.parametrize("missing", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_missing_headers(harness: Harness, missing: str) -> None:
    """The newest revision requires these headers."""
    headers = {"mcp-protocol-version": NEW, "mcp-method": "tools/call", "mcp-name": "whoami"}
    del headers[missing]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "_meta": META}}
    sent = {**bearer(await harness.service_key("read")), **headers}
    answer = await harness.request("POST", "/mcp", json=body, headers=sent)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


async def test_an_encoded_name(harness: Harness) -> None:
    """A Base64 name is decoded before it is compared."""
    name = f"=?base64?{base64.b64encode(b'whoami').decode()}?="
    answer = await ask(
        harness, "tools/call", {"name": "whoami"}, await harness.service_key("read"), revision=NEW, mcp_name=name
    )
    assert answer.status == 200


@pytest.mark.parametrize("gone", ["protocolVersion", "clientCapabilities"])
async def test_meta_is_required(harness: Harness, gone: str) -> None:
    """In the newest revision each request needs its own `_meta`."""
    meta = {name: value for name, value in META.items() if not name.endswith(gone)}
    key = await harness.service_key("read")
    answer = await ask(harness, "tools/list", {"_meta": meta}, key, revision=NEW)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32602)
    assert gone in answer.json["error"]["message"]


async def test_initialize_without_a_version(harness: Harness) -> None:
    """`initialize` needs a version."""
    answer = await ask(harness, "initialize", {}, await harness.service_key("read"))
    assert answer.json["error"]["code"] == -32602


async def test_a_notification(harness: Harness) -> None:
    """A notification gets 202 without a body."""
    key = await harness.service_key("read")
    for revision in (NEW, OLD):
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        answer = await send(harness, message, key, mcp_protocol_version=revision)
        assert (answer.status, answer.response.body) == (202, b"")


async def test_a_notification_runs_nothing(harness: Harness) -> None:
    """A tool call without an id is not executed."""
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
    """An invalid message is a 400 with its JSON-RPC error code."""
    answer = await send(harness, body, await harness.service_key("read"))
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_another_content_type(harness: Harness) -> None:
    """Content types that a foreign page can send without a preflight are refused."""
    answer = await send(harness, b"{}", await harness.service_key("read"), content_type="text/plain")
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_other_methods(harness: Harness, method: str) -> None:
    """GET and DELETE are refused, because there is neither a stream nor a session."""
    answer = await harness.request(method, "/mcp")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_foreign_hosts_and_origins(harness: Harness) -> None:
    """Foreign hosts and origins are refused before the message is read."""
    key = await harness.service_key("admin")
    assert (await send(harness, {}, key, host="evil.example")).status == 421
    assert (await send(harness, {}, key, origin="http://evil.example")).status == 403
