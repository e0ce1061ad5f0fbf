"""Faults in parameters are sentences that name what is wrong, the same on every protocol."""

import json
import re
from typing import Any

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Surface
from support.herod_in_memory import Harness, bearer

SENTENCE = re.compile(r"[A-Z].*\.\Z", re.DOTALL)
WRONG: tuple[Any, ...] = (None, 5, 1.5, True, "x", [], [None], {"a": 1})
METHODS = [name for name, operation in OPERATIONS.items() if Surface.RPC in operation.surfaces]


async def _by_rest(harness: Harness, key: str, body: Any) -> dict[str, Any]:
    answer = await harness.request("POST", "/users/scope", json=body, headers=bearer(key))
    error: dict[str, Any] = answer.json["error"]
    return error


async def _by_envelope(harness: Harness, key: str, body: Any) -> dict[str, Any]:
    answer = await harness.request("PUT", "/api/v1/users/x/scope", json=body, headers=bearer(key))
    error: dict[str, Any] = answer.json["error"]
    return error


async def _by_rpc(harness: Harness, key: str, body: Any) -> dict[str, Any]:
    error: dict[str, Any] = (await _rpc(harness, key, "users.scope", body))["error"]
    return error


async def _by_mcp(harness: Harness, key: str, body: Any) -> dict[str, Any]:
    params = {"name": "set_user_scope", "arguments": body}
    result = (await _mcp(harness, key, "tools/call", params))["result"]
    assert result["isError"]
    error: dict[str, Any] = json.loads(result["content"][0]["text"])
    return error


async def _rpc(harness: Harness, key: str, method: str, params: Any) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return (await harness.request("POST", "/rpc", json=call, headers=bearer(key))).json


async def _mcp(harness: Harness, key: str, method: str, params: Any) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {**bearer(key), "accept": "application/json", "mcp-protocol-version": "2025-11-25"}
    return (await harness.request("POST", "/mcp", json=call, headers=headers)).json


@pytest.mark.parametrize("ask", [_by_rest, _by_envelope, _by_rpc, _by_mcp])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "The parameter 'scope' is missing."),
        ({"scope": None}, "The parameter 'scope' must be a string, not null."),
        ({"scope": ["read"]}, "The parameter 'scope' must be a string, not a list."),
        ({"scope": 5}, "The parameter 'scope' must be a string, not an integer."),
        ({"scope": "read", "email": 5}, "The parameter 'email' must be a string or null, not an integer."),
        ({"scope": "read", "scopes": "x"}, "Unknown parameter 'scopes': known are client_id, email, scope."),
    ],
)
async def test_one_message_on_every_protocol(harness: Harness, ask: Any, body: Any, message: str) -> None:
    """A missing, wrong or unknown parameter is named, whatever protocol brings it."""
    error = await ask(harness, await harness.service_key("admin"), body)
    assert error["message"] == message


@pytest.mark.parametrize(
    ("params", "found"),
    [(None, "null"), (5, "an integer"), (1.5, "a number"), ("x", "a string"), (True, "true or false")],
)
@pytest.mark.parametrize("method", ["health", "users.get", "rpc.unknown"])
async def test_params_of_another_shape(harness: Harness, method: str, params: Any, found: str) -> None:
    """JSON-RPC's params are an object or a list, or left out (section 4.2): what else they are is said so."""
    error = (await _rpc(harness, await harness.service_key("admin"), method, params))["error"]
    if method == "rpc.unknown":
        assert error["code"] == -32601
    else:
        words = f"The params, if there are any, must be an object or a list, not {found}."
        assert (error["code"], error["message"]) == (-32602, words)


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("tools/call", {}, "The parameter 'name' is missing."),
        ("tools/call", {"arguments": {}}, "The parameter 'name' is missing."),
        ("tools/call", {"name": 5}, "The parameter 'name' must be a string, not an integer."),
        ("tools/call", None, "The params of tools/call must be an object, not null."),
        ("tools/call", [], "The params must be an object, and so must their `_meta`."),
        ("initialize", {}, "The parameter 'protocolVersion' is missing."),
        ("initialize", {"protocolVersion": 5}, "The parameter 'protocolVersion' must be a string, not an integer."),
        ("tools/list", {"cursor": 5}, "The parameter 'cursor' must be a string or null, not an integer."),
        ("prompts/list", {"cursor": []}, "The parameter 'cursor' must be a string or null, not a list."),
    ],
)
async def test_params_of_mcp_methods(harness: Harness, method: str, params: Any, message: str) -> None:
    """The params of MCP's own methods are named as those of the operations are."""
    error = (await _mcp(harness, await harness.service_key("read"), method, params))["error"]
    assert error["message"] == message


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("health", [1], "The method health takes no params."),
        ("keys.get", [1, 2], "The method keys.get takes only these params, in this order: id."),
        ("login", ["a"], "The parameter 'password' is missing."),
        ("login", ["a", None], "The parameter 'password' must be a string, not null."),
        ("users.update", ["a"], "The method users.update takes its params by name only: omitted ones stay unchanged."),
        (
            "keys.create",
            {"name": "k", "networks": [5]},
            "The parameter 'networks[0]' must be a string, not an integer.",
        ),
        ("keys.create", {"name": "k", "kind": "x"}, "The parameter 'kind' cannot be 'x': choose user or service."),
    ],
)
async def test_params_by_position_and_place(harness: Harness, method: str, params: Any, message: str) -> None:
    """A param by position has its name too, an item of a list its place, and a choice what may be chosen."""
    error = (await _rpc(harness, await harness.service_key("admin"), method, params))["error"]
    assert error["message"] == message


@pytest.mark.parametrize("name", METHODS)
async def test_every_fault_is_a_sentence(harness: Harness, name: str) -> None:
    """Whatever is wrong with the parameters of an operation, the message has a capital and a full stop."""
    key = await harness.service_key("read")
    given: list[Any] = [{}, *WRONG, {"zzz": 1}, [None] * 20]
    given += [{field: value} for field in OPERATIONS[name].params.__struct_fields__ for value in WRONG]
    said = [await _rpc(harness, key, name, params) for params in given]
    messages = [answer["error"]["message"] for answer in said if "error" in answer]
    assert [message for message in messages if not SENTENCE.match(message)] == []
