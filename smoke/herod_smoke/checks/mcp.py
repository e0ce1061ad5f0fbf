"""MCP: an agent with a token for it lists the tools and calls one."""

import json
from collections.abc import Mapping
from typing import Any, Final

from herod_smoke.fixtures import Fixtures, SmokeUser, expect
from herod_smoke.http_connection import Headers, Response, bearer

__all__ = ["agent_token", "call_tool", "mcp"]

VERSION: Final = "2025-11-25"
TOOLS: Final = 10


def mcp(fixtures: Fixtures) -> None:
    """The server initializes, offers at least ten tools, and answers a call."""
    user = fixtures.user()
    who = bearer(agent_token(fixtures, user))
    stranger = _send(fixtures, {}, "initialize", _hello())
    expect(stranger.status == 401, "without a credential an agent is refused", stranger)
    challenge = stranger.headers.get("www-authenticate", "")
    expect("resource_metadata=" in challenge, "the refusal says where to learn more", stranger)
    plain = _send(fixtures, bearer(fixtures.token(user)), "initialize", _hello())
    expect(plain.status == 401 and "resource=" in plain.text, "a token for no resource is refused, and why", plain)
    hello = _result(_send(fixtures, who, "initialize", _hello()))
    expect(hello.get("protocolVersion") == VERSION, "the protocol version is agreed on")
    expect(hello.get("serverInfo", {}).get("name"), "the server has a name")
    tools = _result(_send(fixtures, who, "tools/list", {})).get("tools", [])
    expect(len(tools) >= TOOLS, f"there are at least {TOOLS} tools, not {len(tools)}")
    expect(all(tool.get("inputSchema", {}).get("type") == "object" for tool in tools), "each tool has an input schema")
    status, result = call_tool(fixtures, who, "whoami", {})
    expect(status == 200 and not result.get("isError"), "a tool can be called")
    expect(result.get("structuredContent", {}).get("method") == "jwt", "the tool answers")


def agent_token(fixtures: Fixtures, user: SmokeUser) -> str:
    """Get a token for `/mcp` alone, whose name is in the metadata (RFC 9728)."""
    metadata = fixtures.connection.ask("GET", "/.well-known/oauth-protected-resource/mcp")
    expect(metadata.status == 200, "the protected resource's metadata is served", metadata)
    return fixtures.token(user, resource=metadata.json["resource"])


def call_tool(
    fixtures: Fixtures, who: Headers, name: str, arguments: Mapping[str, Any]
) -> tuple[int, Mapping[str, Any]]:
    """Call a tool; return the HTTP status, and the result or error."""
    answer = _send(fixtures, who, "tools/call", {"name": name, "arguments": dict(arguments)})
    message = _message(answer)
    return answer.status, message.get("result") or message.get("error") or {}


def _hello() -> Mapping[str, Any]:
    return {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "herod-smoke", "version": "1"}}


def _send(fixtures: Fixtures, who: Headers, method: str, params: Mapping[str, Any]) -> Response:
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION}
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}
    return fixtures.api("POST", "/mcp", who=who, json=call, headers=headers)


def _result(answer: Response) -> Mapping[str, Any]:
    result = _message(answer).get("result")
    is_good = answer.status == 200 and isinstance(result, dict)
    expect(is_good, "the agent gets a result", answer)
    return dict(result or {})


def _message(answer: Response) -> Mapping[str, Any]:
    """The answer's JSON-RPC message, whether it came as JSON or as an event."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        data = [line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data:")]
        found = json.loads(data[-1]) if data else {}
    else:
        found = answer.json
    return found if isinstance(found, dict) else {}
