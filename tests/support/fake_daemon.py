"""A small fake daemon that gives scripted answers over a Unix socket or TCP, and records the requests."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qsl

USER = {
    "client_id": "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11",
    "email": "ada@example.org",
    "name": "Ada",
    "scope": "write",
    "networks": ["*"],
    "enabled": True,
    "created_at": "2026-01-31T12:00:00Z",
    "confirmed": True,
}
KEY = {
    "id": "0kZ3vXq81LmT",
    "kind": "user",
    "name": "backup",
    "owner": USER["client_id"],
    "scope": "read",
    "networks": ["*"],
    "enabled": True,
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": None,
    "last_used_at": None,
}
PEER = {
    "id": "0b8e7e0e-3f0a-4c67-8f5d-3b6f0f6f1d11",
    "uid": 1000,
    "gid": None,
    "scope": "write",
    "networks": ["*"],
    "created_at": "2026-01-31T12:00:00Z",
}
APP = {
    "client_id": "c1b2a3d4-5a3f-4a5e-9d0e-4a9f1f3c2b11",
    "name": "Grafana",
    "type": "confidential",
    "redirect_uris": ["https://grafana.example.org/login"],
    "post_logout_uris": [],
    "scope": "read",
    "networks": ["*"],
    "grants": ["authorization_code", "refresh_token"],
    "pkce": "required",
    "id_token_algorithm": "RS256",
    "remember_consent": True,
    "admit_unconfirmed": False,
    "send_unconfirmed_email": False,
    "expand_scope": False,
    "enabled": True,
    "built_in": False,
    "creator": USER["client_id"],
    "created_at": "2026-01-31T12:00:00Z",
    "last_used_at": None,
}
CONNECTED = {
    "id": "9d0e4a9f-5a3f-4a5e-9d0e-4a9f1f3c2b11",
    "account": USER["client_id"],
    "app": "3f0c",
    "app_name": "Claude Code",
    "app_origin": "dynamic",
    "resource": "http://localhost:3350/mcp",
    "scope": "read",
    "networks": ["*"],
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": "2026-05-01T12:00:00Z",
    "last_used_at": None,
    "last_used_from": None,
}
RESOURCE = {
    "sid": "7c2f9a54-0d5b-4a39-9a55-1f2b6d0c7e21",
    "kind": "vm",
    "name": "web 1",
    "attributes": {"size": "small", "cpus": 2},
}
WHOAMI = {
    "sub": USER["client_id"],
    "kind": "account",
    "name": "Ada",
    "method": "jwt",
    "scope": "write",
    "networks": ["*"],
}
TOKEN = {"access_token": "aaa.bbb.ccc", "token_type": "Bearer", "expires_in": 3600, "scope": "read"}


@dataclass(frozen=True)
class RpcError:
    """The error that a method answers with."""

    code: int
    message: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """The response of a route."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_reply(body: object, status: int = 200) -> Reply:
    """Build a JSON response."""
    return Reply(status, json.dumps(body).encode())


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), strict_parsing=True))

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""
        return self.headers.get("Authorization")


@dataclass
class FakeDaemon:
    """Answers from `methods` (JSON-RPC), `routes` and the functions in `answers`, and records the requests."""

    url: str
    methods: dict[str, object] = field(default_factory=dict)
    routes: dict[tuple[str, str], Reply] = field(default_factory=dict)
    answers: dict[tuple[str, str], Callable[[Asked], Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: set[socket.socket] = field(default_factory=set)

    def params(self, method: str) -> dict[str, Any]:
        """The parameters of the only call of `method`."""
        [found] = [one.json["params"] for one in self.asked if one.path == "/rpc" and one.json["method"] == method]
        return dict(found)

    def answer(self, asked: Asked) -> Reply:
        """Find the response for a request."""
        self.asked.append(asked)
        if (asked.method, asked.path) in self.answers:
            return self.answers[asked.method, asked.path](asked)
        known = self.routes.get((asked.method, asked.path))
        if known is not None:
            return known
        if (asked.method, asked.path) != ("POST", "/rpc"):
            return json_reply({"error": {"code": "not_found", "message": "There is no such route."}}, 404)
        question = asked.json
        method = self.methods.get(question["method"], RpcError(-32601, "Unknown method"))
        result = method(question["params"]) if callable(method) else method
        if isinstance(result, RpcError):
            error = {"code": result.code, "message": result.message, "data": result.data}
            return json_reply({"jsonrpc": "2.0", "id": question["id"], "error": error})
        return json_reply({"jsonrpc": "2.0", "id": question["id"], "result": result})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: FakeDaemon

    def address_string(self) -> str:
        return "test"

    def log_message(self, *_: object) -> None:
        """Discard log lines; tests read their own output."""

    def setup(self) -> None:
        super().setup()
        self.daemon.connections += 1
        self.daemon.open.add(self.connection)

    def finish(self) -> None:
        self.daemon.open.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self.daemon.answer(Asked(self.command, self.path, dict(self.headers), body))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = _serve  # noqa: N815 - http.server's names


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _TcpServer(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def fake_daemon(path: Path | None = None) -> Iterator[FakeDaemon]:
    """A daemon on the Unix socket `path`, or on a free port of 127.0.0.1."""
    daemon = FakeDaemon(f"unix:{path}")
    handler = type("Handler", (_Handler,), {"daemon": daemon})
    server: UnixStreamServer | TCPServer
    if path is not None:
        server = _UnixServer(str(path), handler)
    else:
        server = _TcpServer(("127.0.0.1", 0), handler)
        daemon.url = f"http://127.0.0.1:{server.server_address[1]}"
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield daemon
        finally:
            server.shutdown()
            thread.join()
            for connection in [*daemon.open]:
                with suppress(OSError):  # the client hung up first
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def raw_daemon(path: Path, answers: Callable[[socket.socket], None]) -> Iterator[str]:
    """A Unix socket that reads the head of one request, then runs `answers` on the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the test never connected
            with connection:
                received = b""
                while b"\r\n\r\n" not in received:
                    part = connection.recv(65536)
                    if not part:
                        return
                    received += part
                try:
                    answers(connection)
                except OSError:
                    return  # the client has closed the connection

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"unix:{path}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
