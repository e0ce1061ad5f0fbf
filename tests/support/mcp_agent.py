"""An in-memory MCP agent: messages as a client of either protocol revision sends them."""

from collections.abc import Mapping
from typing import Any

from herod.operations.operation_table import OPERATIONS
from herod.protocols.mcp.tools import make_tools
from herod.scopes.principal import Source
from support.herod_in_memory import TCP, Answer, Harness, bearer

__all__ = ["INITIALIZE", "META", "METADATA", "NEW", "OLD", "TOOLS", "ask", "call", "send"]

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
    harness: Harness,
    method: str,
    params: Mapping[str, Any] | None = None,
    key: str = "",
    *,
    revision: str = OLD,
    source: Source = TCP,
    **headers: str,
) -> Answer:
    """Send one request as a client of that revision does; extra headers are written with `_` for `-`."""
    said = dict(params or {})
    sent = {**(bearer(key) if key else {}), "mcp-protocol-version": revision}
    if revision == NEW:
        said.setdefault("_meta", META)
        sent["mcp-method"] = method
        if method == "tools/call":
            sent["mcp-name"] = str(said.get("name"))
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": said}
    answer = await harness.request("POST", "/mcp", json=call, headers=sent, source=source)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def call(harness: Harness, name: str, key: str, revision: str = OLD, /, **arguments: Any) -> dict[str, Any]:
    """Call a tool; return its result."""
    answer = await ask(harness, "tools/call", {"name": name, "arguments": arguments}, key, revision=revision)
    assert answer.status == 200, answer.json
    result: dict[str, Any] = answer.json["result"]
    return result


async def send(harness: Harness, message: Any, key: str = "", **headers: str) -> Answer:
    """Send a message unchanged: bytes or a value."""
    sent = {**(bearer(key) if key else {}), **{name.replace("_", "-"): value for name, value in headers.items()}}
    if isinstance(message, bytes):
        return await harness.request("POST", "/mcp", body=message, headers=sent)
    return await harness.request("POST", "/mcp", json=message, headers=sent)
