"""What a service requires of a credential: absent is nothing, and empty, blank or unknown never passes, anywhere."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.herod_in_memory import LEGACY, Harness, bearer
from support.mcp_agent import call

Sent = dict[str, Any]
# An answer's HTTP status, or the one of its error, and its message; of an answer without an error 200 and itself.
Ask = Callable[[Harness, Sent], Awaitable[tuple[int, Any]]]

BLANK = ["", " ", "\t\n ", "\u00a0", "\u2003"]
UNKNOWN_SCOPES = ["nonsense", "read nonsense", "Read", "read,write", "*", "\u200b"]
NO_NETWORKS = ["-", "a b", " lab", "lab ", "\u200b", "x" * 65]


async def _rest(harness: Harness, sent: Sent) -> tuple[int, Any]:
    answer = await harness.request("POST", "/validate", json=sent)
    return answer.status, answer.json["error"]["message"] if answer.status != 200 else answer.json


def _rpc_at(path: str) -> Ask:
    async def ask(harness: Harness, sent: Sent) -> tuple[int, Any]:
        said = {"jsonrpc": "2.0", "id": 1, "method": "token.validate", "params": sent}
        return _of_rpc((await harness.request("POST", path, json=said)).json)

    return ask


async def _batch(harness: Harness, sent: Sent) -> tuple[int, Any]:
    said = {"jsonrpc": "2.0", "id": 1, "method": "token.validate", "params": sent}
    answers = (await harness.request("POST", "/rpc", json=[said, said])).json
    assert answers[0] == answers[1]
    return _of_rpc(answers[0])


async def _tool(harness: Harness, sent: Sent) -> tuple[int, Any]:
    agent = await (await harness.user()).key()
    result = await call(harness, "validate_token", agent, **sent)
    return (400, result["content"][0]["text"]) if result.get("isError") else (200, result["structuredContent"])


def _of_rpc(answer: Any) -> tuple[int, Any]:
    if "error" in answer:
        assert (answer["error"]["code"], answer["error"]["data"]["code"]) == (-32602, "invalid_request")
        return 400, answer["error"]["message"]
    return 200, answer["result"]


WAYS = {"REST": _rest, "JSON-RPC at /": _rpc_at("/"), "JSON-RPC": _rpc_at("/rpc"), "a batch": _batch, "MCP": _tool}


@pytest.fixture
async def token(harness: Harness) -> str:
    """A token that holds everything on all networks."""
    return await (await harness.user("admin")).token()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", BLANK)
async def test_an_empty_scope_never_passes(harness: Harness, token: str, scope: str, way: str) -> None:
    """A required scope from an unset variable is refused, and named."""
    status, message = await WAYS[way](harness, {"token": token, "scope": scope})
    assert (status, "The required scope is empty" in message) == (400, True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", BLANK)
async def test_an_empty_network_never_passes(harness: Harness, token: str, network: str, way: str) -> None:
    """So is a required network."""
    status, message = await WAYS[way](harness, {"token": token, "network": network})
    assert (status, "The required network is empty" in message) == (400, True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", UNKNOWN_SCOPES)
async def test_an_unknown_scope_is_named(harness: Harness, token: str, scope: str, way: str) -> None:
    """A scope that does not exist is the service's mistake, which it learns even of a credential that is invalid."""
    for presented in (token, "wrong"):
        status, message = await WAYS[way](harness, {"token": presented, "scope": scope})
        assert (status, "Unknown scope" in message) == (400, True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", NO_NETWORKS)
async def test_what_no_network_is_called_is_named(harness: Harness, token: str, network: str, way: str) -> None:
    """A name that no network can have is refused, also for a credential of all networks."""
    status, message = await WAYS[way](harness, {"token": token, "network": network})
    assert (status, "is not a network name" in message) == (400, True)


async def test_a_network_beside_the_settings_is_unknown(harness: Harness, token: str) -> None:
    """If the settings list the networks, another one is refused; all of them may be required with *."""
    harness.configure(networks=frozenset({"lab", "prod"}))
    assert (await _rest(harness, {"token": token, "network": "lab"}))[0] == 200
    assert (await _rest(harness, {"token": token, "network": "*"}))[1]["valid"] is True
    status, message = await _rest(harness, {"token": token, "network": "attic"})
    assert (status, message) == (400, "Unknown network 'attic': known networks are lab, prod.")


async def test_a_credential_that_is_refused_does_not_hide_the_mistake(harness: Harness) -> None:
    """What is required is checked first, so that a service finds its mistake before the first good credential."""
    for presented in ("", "wrong", "a.b.c", LEGACY["registrar"]):
        assert (await _rest(harness, {"token": presented, "scope": ""}))[0] == 400


async def test_absent_and_null_require_nothing(harness: Harness, token: str) -> None:
    """A field that is left out, or null, requires nothing."""
    for more in ({}, {"scope": None}, {"network": None}, {"scope": None, "network": None}):
        assert (await _rest(harness, {"token": token, **more}))[1]["valid"] is True


@pytest.mark.parametrize(
    "asked",
    [
        {"scope": ""},
        {"scope": " "},
        {"scope": "nonsense"},
        {"network": ""},
        {"network": " "},
        {"network": "a b"},
        {"operation": ""},
        {"operation": " "},
        {"operation": "users.list", "network": ""},
        {"scope": "read", "network": "\t"},
        {"scope": "read write"},
    ],
    ids=str,
)
async def test_explain(harness: Harness, asked: dict[str, str]) -> None:
    """`access.explain` never allows what was not asked about, for oneself and for others, by REST and by MCP."""
    key = await harness.service_key("admin", "asker")
    user = await harness.user()
    for principal in ({}, {"principal": user.client_id}):
        answer = await harness.request("POST", "/api/v1/explain", json={**principal, **asked}, headers=bearer(key))
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")
    assert (await call(harness, "explain", key, **asked))["isError"] is True


async def test_explain_an_unknown_network(harness: Harness) -> None:
    """`access.explain` refuses a network that the settings do not list."""
    harness.configure(networks=frozenset({"lab"}))
    key = await harness.service_key("admin", "asker")
    for asked in ({"scope": "read"}, {"operation": "users.list"}, {}):
        sent = {**asked, "network": "attic"}
        answer = await harness.request("POST", "/api/v1/explain", json=sent, headers=bearer(key))
        assert (answer.status, "Unknown network 'attic'" in answer.json["error"]["message"]) == (400, True)
