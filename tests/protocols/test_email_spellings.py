"""Every protocol and page finds an account by each spelling of its email, and answers with one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.herod_in_memory import PASSWORD, Harness, bearer
from support.mcp_agent import call
from support.page_visitor import open_pages, sign_in, visit

EMAIL = "user@bücher.example"
SPELLINGS = [EMAIL, "user@xn--bcher-kva.example", "USER@BÜCHER.example", "user@bücher\u3002example"]
Scope = Callable[[Harness, str, str], Awaitable[tuple[int, dict[str, Any]]]]


async def _rest(harness: Harness, key: str, email: str) -> tuple[int, dict[str, Any]]:
    body = {"email": email, "scope": "write"}
    answer = await harness.request("POST", "/users/scope", json=body, headers=bearer(key))
    return answer.status, answer.json


async def _rpc(harness: Harness, key: str, email: str) -> tuple[int, dict[str, Any]]:
    answer = await harness.rpc("users.scope", {"email": email, "scope": "write"}, headers=bearer(key))
    return (200, answer["result"]) if "result" in answer else (400, answer)


async def _by_position(harness: Harness, key: str, email: str) -> tuple[int, dict[str, Any]]:
    answer = await harness.rpc("users.scope", [None, email, "write"], headers=bearer(key))
    return (200, answer["result"]) if "result" in answer else (400, answer)


async def _mcp(harness: Harness, key: str, email: str) -> tuple[int, dict[str, Any]]:
    result = await call(harness, "set_user_scope", key, email=email, scope="write")
    return (400 if result["isError"] else 200), json.loads(result["content"][0]["text"])


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scope", [_rest, _rpc, _by_position, _mcp])
async def test_every_protocol_takes_every_spelling(harness: Harness, scope: Scope, spelling: str) -> None:
    """An account is added and changed by any spelling, over any protocol, and no second one can be added."""
    key = await harness.service_key("admin")
    added = await harness.request("POST", "/users/add", json={"email": SPELLINGS[1]}, headers=bearer(key))
    assert (added.status, added.json["email"]) == (201, EMAIL)
    status, answer = await scope(harness, key, spelling)
    assert (status, answer["client_id"], answer["email"]) == (200, added.json["client_id"], EMAIL)
    for path in ("/users/add", "/api/v1/users"):
        again = await harness.request("POST", path, json={"email": spelling}, headers=bearer(key))
        assert again.status == 409
    deleted = await harness.request("POST", "/users/delete", json={"email": spelling}, headers=bearer(key))
    assert (deleted.status, deleted.json["client_id"]) == (200, added.json["client_id"])


@pytest.mark.parametrize("scope", [_rest, _rpc, _by_position, _mcp])
async def test_every_protocol_refuses_a_final_dot(harness: Harness, scope: Scope) -> None:
    """A final dot is refused with a message that says so, for an account that is there without it as well."""
    key = await harness.service_key("admin")
    await harness.user(email="user@example.org")
    status, answer = await scope(harness, key, "user@example.org.")
    assert status == 400
    assert "ends with a dot: write it without." in str(answer)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_pages_take_every_spelling(harness: Harness, spelling: str) -> None:
    """A browser signs in with any spelling, and an admin finds the account by it."""
    open_pages(harness)
    admin = await visit(harness)
    user = await harness.user(email=SPELLINGS[1], password=PASSWORD)
    await sign_in(harness, spelling, user.client_id)
    page = await admin.read("/ui/users", who=spelling)
    assert user.client_id in page
    assert EMAIL in page
