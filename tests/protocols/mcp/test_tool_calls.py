"""Tool calls over MCP: results match their schemas, and errors are results."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from support.herod_in_memory import PUBLIC_URL, Harness
from support.mcp_agent import NEW, OLD, TOOLS, ask, call


async def _arguments(harness: Harness, name: str) -> dict[str, Any]:
    """A tool's example, with references that exist."""
    user = await harness.user("read", email=f"{name}@example.org")
    values = {
        "client_id": user.client_id,
        "id": (await harness.admin("keys.create", name=f"for {name}", kind="service", scope="read")).id,
        "token": await user.token(),
        "expires_at": "2030-01-31T12:00:00Z",
    }
    example = TOOLS[name].operation.example
    return {field: values.get(field, value) for field, value in example.items()}


@pytest.mark.parametrize("revision", [NEW, OLD])
@pytest.mark.parametrize("name", sorted(TOOLS))
async def test_every_tool_answers_as_its_schema_says(harness: Harness, name: str, revision: str) -> None:
    """Every tool answers its example according to its output schema, with the same content as text and structure."""
    key = await harness.service_key("admin")
    result = await call(harness, name, key, revision, **await _arguments(harness, name))
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
async def test_errors_are_results(harness: Harness, name: str, arguments: Any, code: str) -> None:
    """Errors are results, so that the agent reads them, without structured content, which would violate the schema."""
    key = await harness.service_key("admin")
    await harness.user(email="taken@example.org")
    answer = await ask(harness, "tools/call", {"name": name, "arguments": arguments}, key)
    result = answer.json["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    said = json.loads(result["content"][0]["text"])
    assert said["code"] == code
    assert said["message"].endswith(".")


async def test_the_hint_comes_along(harness: Harness) -> None:
    """An error includes the hint with a command that fixes it."""
    user = await harness.user("write", networks=["lab"])
    result = await call(harness, "explain", await user.token(resource=PUBLIC_URL), operation="users.list")
    assert result["structuredContent"]["allowed"] is False
    assert result["structuredContent"]["hint"]


@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": {}}])
async def test_arguments_may_be_left_out(harness: Harness, arguments: dict[str, Any]) -> None:
    """Arguments may be omitted in any of the ways that clients use."""
    answer = await ask(harness, "tools/call", {"name": "whoami", **arguments}, await harness.service_key("read"))
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
async def test_bad_params(harness: Harness, method: str, params: dict[str, Any], revision: str) -> None:
    """An unknown tool and malformed params are protocol errors."""
    key = await harness.service_key("admin")
    answer = await ask(harness, method, params, key, revision=revision)
    if answer.json["error"]["code"] == -32020:  # a name that is not valid in a header
        assert revision == NEW
        return
    assert answer.json["error"]["code"] == -32602
    assert answer.status == (400 if revision == NEW else 200)
