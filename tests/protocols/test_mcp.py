"""MCP in memory: both revisions, their refusals by code and status, tools and their results, who may come in."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from house import ADMIN_SOURCE, COOKIE, LEGACY, TCP, Answer, House, bearer
from jsonschema import Draft202012Validator, FormatChecker

from herod.operations.table import OPERATIONS
from herod.protocols.tools import make_tools
from herod.scopes.principals import Peer, Source

TOOLS = make_tools(OPERATIONS.values())
NEW, OLD = "2026-07-28", "2025-11-25"
METADATA = 'resource_metadata="http://localhost/.well-known/oauth-protected-resource/mcp"'
META = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


async def ask(
    house: House,
    method: str,
    params: Mapping[str, Any] | None = None,
    key: str = "",
    *,
    revision: str = OLD,
    source: Source = TCP,
    **headers: str,
) -> Answer:
    """One request as a client of that revision sends it; further headers with `_` for `-`."""
    said = dict(params or {})
    sent = {**(bearer(key) if key else {}), "mcp-protocol-version": revision}
    if revision == NEW:
        said.setdefault("_meta", META)
        sent["mcp-method"] = method
        if method == "tools/call":
            sent["mcp-name"] = str(said.get("name"))
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": said}
    answer = await house.request("POST", "/mcp", json=call, headers=sent, source=source)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def call(house: House, name: str, key: str, revision: str = OLD, /, **arguments: Any) -> dict[str, Any]:
    """Call a tool; its result."""
    answer = await ask(house, "tools/call", {"name": name, "arguments": arguments}, key, revision=revision)
    assert answer.status == 200, answer.json
    result: dict[str, Any] = answer.json["result"]
    return result


async def send(house: House, message: Any, key: str = "", **headers: str) -> Answer:
    """A message as it is: bytes or a value."""
    sent = {**(bearer(key) if key else {}), **{name.replace("_", "-"): value for name, value in headers.items()}}
    if isinstance(message, bytes):
        return await house.request("POST", "/mcp", body=message, headers=sent)
    return await house.request("POST", "/mcp", json=message, headers=sent)


# Both revisions


async def test_initialize(house: House) -> None:
    """2025-11-25 begins with it; no session is made."""
    answer = await ask(house, "initialize", INITIALIZE, await house.service_key("read"))
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
async def test_initialize_with_another_version(house: House, asked: str, answered: str) -> None:
    """An unknown one is answered with the newest of its kind; the client then stays or goes."""
    key = await house.service_key("read")
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {**INITIALIZE, "protocolVersion": asked}}
    answer = await send(house, call, key)
    assert answer.json["result"]["protocolVersion"] == answered


async def test_discover(house: House) -> None:
    """2026-07-28 says what it is at any time."""
    answer = await ask(house, "server/discover", None, await house.service_key("read"), revision=NEW)
    result = answer.json["result"]
    assert result["supportedVersions"] == [NEW, OLD, "2025-06-18"]
    assert result["resultType"] == "complete"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "herod"
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 60_000)


async def test_ping_belongs_to_the_older_revision(house: House) -> None:
    """And has an empty answer."""
    key = await house.service_key("read")
    assert (await ask(house, "ping", None, key)).json == {"jsonrpc": "2.0", "result": {}, "id": 1}
    assert (await ask(house, "ping", None, key, revision=NEW)).status == 404


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_an_unknown_method(house: House, revision: str) -> None:
    """404 for the newest; for the older ones that would mean that their session is over."""
    key = await house.service_key("read")
    for method in ("resources/list", "initialize" if revision == NEW else "logging/setLevel"):
        answer = await ask(house, method, None, key, revision=revision)
        assert answer.status == (404 if revision == NEW else 200)
        assert answer.json["error"]["code"] == -32601


async def test_without_a_version_header(house: House) -> None:
    """It is taken as a client that has just begun."""
    key = await house.service_key("read")
    answer = await send(house, {"jsonrpc": "2.0", "id": "a", "method": "tools/list"}, key)
    assert (answer.status, answer.json["id"]) == (200, "a")
    assert "resultType" not in answer.json["result"]


@pytest.mark.parametrize("message", [{"id": 1}, {}])
async def test_an_unsupported_version(house: House, message: dict[str, int]) -> None:
    """400 and the versions that herod speaks, also for a notification."""
    key = await house.service_key("read")
    body = {"jsonrpc": "2.0", "method": "tools/list", **message}
    answer = await send(house, body, key, mcp_protocol_version="1900-01-01")
    assert answer.status == 400
    assert answer.json["error"]["code"] == -32022
    assert answer.json["error"]["data"] == {"supported": [NEW, OLD, "2025-06-18"], "requested": "1900-01-01"}


@pytest.mark.parametrize("version", ["2027-01-01", OLD])
async def test_an_unsupported_version_in_meta(house: House, version: str) -> None:
    """The newest form with a version that has not got it."""
    key = await house.service_key("read")
    meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
    answer = await ask(house, "tools/list", {"_meta": meta}, key, revision=NEW, mcp_protocol_version=version)
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
async def test_headers_that_say_something_else(house: House, headers: dict[str, Any]) -> None:
    """What a proxy decided by must be what herod does."""
    key = await house.service_key("read")
    answer = await ask(house, "tools/call", {"name": "whoami"}, key, revision=NEW, **headers)
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32020, 1)


@pytest.mark.parametrize("missing", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_missing_headers(house: House, missing: str) -> None:
    """They are required."""
    headers = {"mcp-protocol-version": NEW, "mcp-method": "tools/call", "mcp-name": "whoami"}
    del headers[missing]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "_meta": META}}
    sent = {**bearer(await house.service_key("read")), **headers}
    answer = await house.request("POST", "/mcp", json=body, headers=sent)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


async def test_an_encoded_name(house: House) -> None:
    """Base64 is decoded before it is compared."""
    name = f"=?base64?{base64.b64encode(b'whoami').decode()}?="
    answer = await ask(
        house, "tools/call", {"name": "whoami"}, await house.service_key("read"), revision=NEW, mcp_name=name
    )
    assert answer.status == 200


@pytest.mark.parametrize("gone", ["protocolVersion", "clientCapabilities"])
async def test_meta_is_required(house: House, gone: str) -> None:
    """Each request of the newest revision stands for itself."""
    meta = {name: value for name, value in META.items() if not name.endswith(gone)}
    key = await house.service_key("read")
    answer = await ask(house, "tools/list", {"_meta": meta}, key, revision=NEW)
    assert (answer.status, answer.json["error"]["code"]) == (400, -32602)
    assert gone in answer.json["error"]["message"]


# Who may come in


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "health"}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "nothing"}},
        {"jsonrpc": "2.0", "id": 1, "method": "nothing"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        b"no json",
    ],
)
async def test_nobody_comes_in_without_a_credential(house: House, message: Any) -> None:
    """401, with where to read how to get one; public operations too."""
    answer = await send(house, message)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer {METADATA}, scope="read"'
    assert answer.json["error"]["data"]["code"] == "bad_credentials"


@pytest.mark.parametrize("name", ["whoami", "health", "nothing", "get_user"])
async def test_nobody_comes_in_with_a_bad_one(house: House, name: str) -> None:
    """Whatever tool it is, and whatever is wrong with its arguments."""
    answer = await ask(house, "tools/call", {"name": name, "arguments": {"x": 1}}, "wrong")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer {METADATA}, scope="read", error="invalid_token"'
    assert answer.json["id"] == 1


async def test_two_credentials(house: House) -> None:
    """400, as everywhere."""
    answer = await ask(house, "tools/list", None, "one", x_api_key="two")
    assert (answer.status, answer.json["error"]["data"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("cookie", [COOKIE, "guess", ""])
@pytest.mark.parametrize("uid", [0, ADMIN_SOURCE.peer.uid if ADMIN_SOURCE.peer else -1])
async def test_never_the_local_admin(house: House, cookie: str, uid: int) -> None:
    """Neither root nor the daemon's own uid, whatever it sends: an agent runs there too."""
    source = Source(peer=Peer(uid=uid, gid=uid), cookie=COOKIE)
    for method, params in (("tools/list", {}), ("tools/call", {"name": "whoami"}), ("initialize", INITIALIZE)):
        answer = await ask(house, method, params, source=source, authorization=f"Peer {cookie}".strip())
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith(f"Bearer {METADATA}")


async def test_a_peer_with_a_rule(house: House) -> None:
    """Is known by its rule, and by no more than that when it sends the cookie as well."""
    await house.admin("peers.allow", uid=0, scope="read")
    source = Source(peer=Peer(uid=0, gid=0), cookie=COOKIE)
    answer = await ask(house, "tools/call", {"name": "whoami"}, source=source, authorization=f"Peer {COOKIE}")
    who = answer.json["result"]["structuredContent"]
    assert (who["method"], who["scope"]) == ("peer", "read")


async def test_wrong_legacy_secrets_are_counted(house: House) -> None:
    """As on every other door: 429 with when to come again."""
    for _ in range(10):
        assert (await ask(house, "tools/list", None, x_herod_secret="wrong")).status == 401
    answer = await ask(house, "tools/list", None, x_herod_secret=LEGACY["admin"])
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0


# Scope by tool


async def names(house: House, key: str, revision: str = OLD) -> list[str]:
    """The tools that a key is shown."""
    answer = await ask(house, "tools/list", None, key, revision=revision)
    return [tool["name"] for tool in answer.json["result"]["tools"]]


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_the_list_is_what_the_credential_admits(house: House, revision: str) -> None:
    """An admin sees all, others what they may call, always in the same order."""
    everything = await names(house, await house.service_key("admin"), revision)
    assert everything == list(TOOLS)
    reader = await names(house, await (await house.user("read")).token(), revision)
    assert reader == [name for name in everything if name in reader]
    assert {"whoami", "health", "create_key", "list_keys", "explain"} <= set(reader)
    assert not {"list_users", "add_user", "delete_user"} & set(reader)
    nothing = await names(house, await house.service_key("registrar", "low"), revision)
    assert "list_keys" not in nothing
    assert "whoami" in nothing


async def test_a_key_is_not_shown_what_keys_may_not_do(house: House) -> None:
    """A user's key cannot make keys."""
    user = await house.user("write")
    assert "create_key" not in await names(house, await user.key())


async def test_what_is_listed_can_be_called_and_nothing_else(house: House) -> None:
    """For each kind of credential and each tool the list and the call agree."""
    user = await house.user("read")
    for key in (await house.service_key("registrar"), await user.token(), await user.key()):
        shown = await names(house, key)
        for name, tool in TOOLS.items():
            arguments = dict(tool.operation.example)
            answer = await ask(house, "tools/call", {"name": name, "arguments": arguments}, key)
            refused = answer.status == 403 or (
                "ceiling_exceeded" in answer.response.body.decode() and answer.json["result"]["isError"]
            )
            assert refused == (name not in shown), name


@pytest.mark.parametrize("revision", [NEW, OLD])
async def test_a_scope_too_low(house: House, revision: str) -> None:
    """403 with the scope that would do, for programs in the header and for agents in the message."""
    key = await house.service_key("read")
    answer = await ask(house, "tools/call", {"name": "list_users"}, key, revision=revision)
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="admin", {METADATA}'
    error = answer.json["error"]
    assert error["code"] == 4003
    assert error["data"]["code"] == "missing_scope"
    assert "admin" in error["message"]
    assert answer.json["id"] == 1


async def test_denials_are_noted(house: House) -> None:
    """With the operation, as by every door."""
    key = await house.service_key("read")
    before = house.realm.counters["denials"]
    await ask(house, "tools/call", {"name": "delete_user", "arguments": {"client_id": "x"}}, key)
    await ask(house, "tools/list")
    assert house.realm.counters["denials"] == before + 2
    assert [event.operation for event in house.pipeline.denials.take(None)] == ["users.delete", "whoami"]


async def test_a_list_is_no_denial(house: House) -> None:
    """What a key may not is left out, not written down."""
    key = await house.service_key("read")
    before = house.realm.counters["denials"]
    await ask(house, "tools/list", None, key)
    assert house.realm.counters["denials"] == before


# Tools


async def _arguments(house: House, name: str) -> dict[str, Any]:
    """A tool's example, about things that are there."""
    user = await house.user("read", email=f"{name}@example.org")
    values = {
        "client_id": user.client_id,
        "id": (await house.admin("keys.create", name=f"for {name}", kind="service", scope="read")).id,
        "token": await user.token(),
        "expires_at": "2030-01-31T12:00:00Z",
    }
    example = TOOLS[name].operation.example
    return {field: values.get(field, value) for field, value in example.items()}


@pytest.mark.parametrize("revision", [NEW, OLD])
@pytest.mark.parametrize("name", sorted(TOOLS))
async def test_every_tool_answers_as_its_schema_says(house: House, name: str, revision: str) -> None:
    """With its example; the text holds the same as the structure."""
    key = await house.service_key("admin")
    result = await call(house, name, key, revision, **await _arguments(house, name))
    assert result["isError"] is False, result
    schema = json.loads(bytes(TOOLS[name].listing))["outputSchema"]
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(result["structuredContent"])
    assert [part["type"] for part in result["content"]] == ["text"]
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert result.get("resultType") == ("complete" if revision == NEW else None)


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("get_user", {"client_id": "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"}, "not_found"),
        ("get_user", {"client": "x"}, "invalid_request"),
        ("get_user", {"client_id": 1}, "invalid_request"),
        ("list_users", {"limit": 1000}, "invalid_request"),
        ("add_user", {"email": "taken@example.org"}, "conflict"),
        ("create_key", {"name": "x", "kind": "service", "scope": "owner"}, "ceiling_exceeded"),
        ("whoami", [], "invalid_request"),
        ("whoami", "x", "invalid_request"),
    ],
)
async def test_errors_are_results(house: House, name: str, arguments: Any, code: str) -> None:
    """So that the agent reads them; without a structure, which would not be what the output schema says."""
    key = await house.service_key("admin")
    await house.user(email="taken@example.org")
    answer = await ask(house, "tools/call", {"name": name, "arguments": arguments}, key)
    result = answer.json["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    said = json.loads(result["content"][0]["text"])
    assert said["code"] == code
    assert said["message"].endswith(".")


async def test_the_hint_comes_along(house: House) -> None:
    """The command that would mend it."""
    user = await house.user("write", networks=["lab"])
    result = await call(house, "explain", await user.token(), operation="users.list")
    assert result["structuredContent"]["allowed"] is False
    assert result["structuredContent"]["hint"]


@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": {}}])
async def test_arguments_may_be_left_out(house: House, arguments: dict[str, Any]) -> None:
    """Clients differ in how they say nothing."""
    answer = await ask(house, "tools/call", {"name": "whoami", **arguments}, await house.service_key("read"))
    assert answer.json["result"]["structuredContent"]["name"] == "service"


@pytest.mark.parametrize("revision", [NEW, OLD])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "nothing"}),
        ("tools/call", {"name": "users.list"}),
        ("tools/call", {"name": 1}),
        ("tools/call", {}),
        ("tools/list", {"cursor": "x"}),
        ("tools/list", {"cursor": 1}),
    ],
)
async def test_bad_params(house: House, method: str, params: dict[str, Any], revision: str) -> None:
    """An unknown tool and params that are none: an error of the protocol."""
    key = await house.service_key("admin")
    answer = await ask(house, method, params, key, revision=revision)
    if answer.json["error"]["code"] == -32020:  # a name that no header can hold
        assert revision == NEW
        return
    assert answer.json["error"]["code"] == -32602
    assert answer.status == (400 if revision == NEW else 200)


async def test_initialize_without_a_version(house: House) -> None:
    """It must say which."""
    answer = await ask(house, "initialize", {}, await house.service_key("read"))
    assert answer.json["error"]["code"] == -32602


# Messages


async def test_a_notification(house: House) -> None:
    """202 and no body."""
    key = await house.service_key("read")
    for revision in (NEW, OLD):
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        answer = await send(house, message, key, mcp_protocol_version=revision)
        assert (answer.status, answer.response.body) == (202, b"")


async def test_a_notification_runs_nothing(house: House) -> None:
    """A call without an id is no call."""
    key = await house.service_key("admin")
    user = await house.user()
    params = {"name": "delete_user", "arguments": {"client_id": user.client_id}}
    answer = await send(house, {"jsonrpc": "2.0", "method": "tools/call", "params": params}, key)
    assert answer.status == 202
    assert await house.admin("users.get", client_id=user.client_id)


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
async def test_what_is_no_message(house: House, body: bytes, code: int) -> None:
    """400 with the code that JSON-RPC has for it."""
    answer = await send(house, body, await house.service_key("read"))
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_another_content_type(house: House) -> None:
    """What a foreign page could send without asking."""
    answer = await send(house, b"{}", await house.service_key("read"), content_type="text/plain")
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_other_methods(house: House, method: str) -> None:
    """There is neither a stream to listen to nor a session to end."""
    answer = await house.request(method, "/mcp")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_foreign_hosts_and_origins(house: House) -> None:
    """Refused before anything is looked at."""
    key = await house.service_key("admin")
    assert (await send(house, {}, key, host="evil.example")).status == 421
    assert (await send(house, {}, key, origin="http://evil.example")).status == 403
