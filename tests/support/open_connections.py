"""Connections to a real daemon that stay open, and the ways to use one key on them."""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from support.real_daemon import Daemon

__all__ = ["PATIENCE", "USES", "Admin", "Line", "whoami"]

PATIENCE: Final = 20  # seconds until a hang is a failure


class Line(http.client.HTTPConnection):
    """A connection that stays open, over the Unix socket or TCP."""

    def __init__(self, daemon: Daemon, *, is_tcp: bool) -> None:
        super().__init__("127.0.0.1", daemon.port, timeout=PATIENCE)
        self._path = None if is_tcp else str(daemon.socket)

    def connect(self) -> None:
        """Connect over the configured transport."""
        if self._path is None:
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(self._path)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> tuple[int, Any]:
        """Send one request; return status and parsed body."""
        content = None if body is None else json.dumps(body)
        self.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = self.getresponse()
        return answer.status, json.loads(answer.read())

    def call(self, method: str, params: object, headers: Mapping[str, str], path: str = "/rpc") -> tuple[int, Any]:
        """Make one JSON-RPC call; return status and parsed body."""
        return self.ask("POST", path, headers, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def whoami(line: Line, key: str) -> bool:
    """Whether the key works as a bearer over REST."""
    status, _ = line.ask("GET", "/api/v1/whoami", {"Authorization": f"Bearer {key}"})
    assert status in {200, 401}
    return status == 200


def whoami_rpc(line: Line, key: str) -> bool:
    """Whether the key works over JSON-RPC, in the X-API-Key header."""
    _, body = line.call("whoami", {}, {"X-API-Key": key})
    assert "result" in body or body["error"]["code"] == 4001
    return "result" in body


def verify(line: Line, key: str) -> bool:
    """Whether `auth.verify` accepts the key, as a service that received it would ask."""
    _, body = line.call("auth.verify", {"key": key}, {})
    is_good: bool = body["result"]["valid"]
    return is_good


def validate(line: Line, key: str) -> bool:
    """Whether `/validate` accepts the key, as a service that received it would ask."""
    _, body = line.ask("POST", "/validate", {}, {"token": key})
    assert body["valid"] or body in ({"valid": False, "reason": "invalid"}, {"valid": False, "reason": "revoked"})
    is_good: bool = body["valid"]
    return is_good


def mcp(line: Line, key: str) -> bool:
    """Whether the key can call an MCP tool."""
    headers = {"Authorization": f"Bearer {key}", "MCP-Protocol-Version": "2025-11-25"}
    headers["Accept"] = "application/json, text/event-stream"
    status, body = line.call("tools/call", {"name": "whoami", "arguments": {}}, headers, path="/mcp")
    assert status in {200, 401}
    return status == 200 and not body["result"].get("isError", False)


USES: Final = (whoami, whoami_rpc, verify, validate, mcp)


class Admin:
    """The daemon's owner, on a separate connection."""

    def __init__(self, daemon: Daemon) -> None:
        self._line = Line(daemon, is_tcp=False)
        self._header = {"Authorization": f"Peer {daemon.cookie}"}

    def call(self, method: str, **params: Any) -> Any:
        """Call an operation; return its result."""
        _, body = self._line.call(method, params, self._header)
        assert "result" in body, body
        return body["result"]

    def close(self) -> None:
        """Close the connection."""
        self._line.close()
