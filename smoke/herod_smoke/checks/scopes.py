"""Scopes: a missing scope is refused by every protocol, and no caller can raise its own."""

from herod_smoke.checks.mcp import agent_token, call_tool
from herod_smoke.fixtures import Fixtures, expect
from herod_smoke.http_connection import bearer

__all__ = ["scope_denied", "scope_raise"]


def scope_denied(fixtures: Fixtures) -> None:
    """An admin's operation is refused to a reader by REST, JSON-RPC and MCP alike."""
    user = fixtures.user("read")
    who = bearer(fixtures.token(user))
    rest = fixtures.api("GET", "/api/v1/users", who=who)
    expect(rest.status == 403 and rest.json["error"]["code"] == "missing_scope", "REST refuses", rest)
    expect("insufficient_scope" in rest.headers.get("www-authenticate", ""), "403 names the scope", rest)
    rpc = fixtures.rpc("users.list", who=who)
    expect(rpc.get("error", {}).get("code") == 4003, "JSON-RPC refuses with 4003")
    expect(rpc["error"]["data"]["code"] == "missing_scope", "JSON-RPC says the same")
    status, result = call_tool(fixtures, bearer(agent_token(fixtures, user)), "list_users", {})
    expect(status == 403 or (status == 200 and result.get("isError") is True), "MCP refuses")
    expect(fixtures.email() and user.email not in str(result), "MCP reveals nothing")
    anonymous = fixtures.api("GET", "/api/v1/users", who={})
    expect(anonymous.status == 401, "without a credential it is a 401", anonymous)


def scope_raise(fixtures: Fixtures) -> None:
    """A user cannot raise their own scope; what an admin removes is gone at once."""
    user = fixtures.user("write")
    who = bearer(fixtures.token(user))
    for answer in (
        fixtures.api("POST", "/users/scope", who=who, json={"client_id": user.client_id, "scope": "admin"}),
        fixtures.api("PUT", f"/api/v1/users/{user.client_id}/scope", who=who, json={"scope": "admin"}),
        fixtures.api("POST", "/users/add", who=who, json={"scope": "admin"}),
    ):
        if answer.status == 201:
            fixtures.adopt_user(answer.json)
        expect(answer.status == 403, "users cannot raise their own scope", answer)
    expect(fixtures.whoami(who)["scope"] == "write", "the scope is unchanged")
    lowered = fixtures.api("POST", "/users/scope", json={"client_id": user.client_id, "scope": "read"})
    expect(lowered.status == 200, "an admin can lower a scope", lowered)
    expect(fixtures.whoami(who)["scope"] == "read", "an earlier token is narrowed at once")
    raised = fixtures.api("POST", "/users/scope", json={"client_id": user.client_id, "scope": "user"})
    expect(raised.status == 200, "an admin can set a scope", raised)
    expect(fixtures.whoami(bearer(fixtures.token(user)))["scope"] == "user", "a new token has it")
