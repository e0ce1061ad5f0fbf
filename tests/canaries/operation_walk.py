"""Calls every operation in every protocol, with valid, invalid and misplaced credentials and broken bodies.

Must never need an edit for a new operation, and never judge: it returns the answers.
"""

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import quote

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Surface

__all__ = ["Ask", "Doorway", "walk", "wrong_places"]

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Doorway:
    """A socket of the daemon: a path, or a port with or without TLS."""

    path: Path | None = None
    port: int = 0
    ca: Path | None = None

    def send(self, ask: Ask) -> tuple[int, bytes, bytes]:
        """Send; return status, head and body."""
        headers = {"host": "localhost", "content-length": str(len(ask.body)), "connection": "close", **ask.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with self._connect() as client:
            client.sendall(f"{ask.method} {ask.target} HTTP/1.1\r\n{lines}\r\n".encode() + ask.body)
            answer = HTTPResponse(client, method=ask.method)
            answer.begin()
            return answer.status, str(answer.msg).encode(), answer.read()

    def _connect(self) -> socket.socket:
        if self.path is not None:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(60)
            client.connect(str(self.path))
            return client
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        if self.ca is None:
            return plain
        return ssl.create_default_context(cafile=str(self.ca)).wrap_socket(plain, server_hostname="localhost")


def walk(secrets: Mapping[str, str], credentials: list[Mapping[str, str]]) -> Iterator[Ask]:
    """Every operation by every route and JSON-RPC method, with each credential and each kind of body."""
    texts = list(secrets.values())
    for number, operation in enumerate(OPERATIONS.values()):
        text = texts[number % len(texts)]
        bodies = list(_bodies(operation, text))
        for turn, credential in enumerate(credentials if operation.limit is None else credentials[:1]):
            for route in operation.routes:
                names = re.findall(r"\{([a-z_]+)\}", route.path)
                values = {name: str(operation.example[name]) for name in names}
                for given in (values, dict.fromkeys(names, quote(text, safe="")))[: 2 if names else 1]:
                    path = re.sub(r"\{([a-z_]+)\}", lambda match, given=given: given[match[1]], route.path)  # type: ignore[misc]  # the lambda's default
                    for body in bodies if turn == 0 else bodies[:1]:
                        yield _rest_ask(operation, route.method, path, credential, _without(body, names))
            if Surface.RPC in operation.surfaces:
                for body in bodies if turn == 0 else bodies[:1]:
                    call = b'{"jsonrpc":"2.0","id":1,"method":"%b","params":%b}' % (operation.name.encode(), body)
                    yield Ask("POST", "/rpc", {**JSON, **credential}, call)


def _rest_ask(operation: Operation, method: str, path: str, credential: Mapping[str, str], body: bytes) -> Ask:
    if method not in {"GET", "DELETE"}:
        return Ask(method, path, {**(FORM if operation.form else JSON), **credential}, body)
    try:
        fields = json.loads(body)
    except ValueError:
        fields = {"x": body.decode("latin-1")}
    pairs = fields.items() if isinstance(fields, dict) else [("x", fields)]
    query = "&".join(f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in pairs)
    return Ask(method, f"{path}?{query}" if query else path, credential)


def _bodies(operation: Operation, text: str) -> Iterator[bytes]:
    """The example, then bodies with a secret where parsers or checks may fail on it."""
    yield json.dumps(dict(operation.example)).encode()
    yield json.dumps({**operation.example, text: text}).encode()
    yield json.dumps({**operation.example, "x": text}).encode()[:-3]
    yield json.dumps(dict.fromkeys(operation.params.__struct_fields__, text)).encode()
    yield json.dumps({name: {text: [text]} for name in operation.params.__struct_fields__}).encode()
    yield json.dumps(text).encode()
    yield json.dumps([text] * 20).encode()
    yield text.encode() + b"\xff"


def _without(body: bytes, names: list[str]) -> bytes:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    return json.dumps({k: v for k, v in value.items() if k not in names}).encode() if isinstance(value, dict) else body


def wrong_places(text: str) -> Iterator[Ask]:
    """Requests with a secret in every place where it does not belong."""
    safe = quote(text, safe="")
    get = ("GET", "/api/v1/whoami")
    yield Ask("GET", f"/api/v1/whoami?token={safe}", {})
    yield Ask("GET", f"/health?{safe}", {})
    yield Ask("GET", f"/api/v1/keys?cursor={safe}", {})
    yield Ask("GET", f"/{safe}", {})
    yield Ask("GET", f"/api/v1/keys/{safe}", {})
    yield Ask("GET", f"/ui/{safe}", {})
    yield Ask("GET", f"/ui/home?ticket={safe}", {"cookie": f"herod_session={text}"})
    yield Ask("GET", f"/.well-known/{safe}", {})
    yield Ask("POST", f"/validate?token={safe}", JSON, b"{}")
    yield Ask("POST", "/nowhere", JSON, json.dumps({"token": text}).encode())
    yield Ask("POST", "/rpc", JSON, json.dumps({"jsonrpc": "2.0", "id": 1, "method": text}).encode())
    yield Ask("POST", "/rpc", JSON, json.dumps({"jsonrpc": text, "id": 1, "method": "health"}).encode())
    yield Ask("POST", "/rpc", JSON, json.dumps([text, {text: text}]).encode())
    yield Ask("POST", "/token", FORM, f"grant_type={safe}&scope={safe}".encode())
    yield Ask("POST", "/token", FORM, f"{safe}={safe}".encode())
    yield Ask("POST", "/ui/sign-in", {**FORM, "origin": "http://localhost"}, f"password={safe}&x={safe}".encode())
    for headers in (
        {"authorization": text},
        {"authorization": f"Digest {text}"},
        {"authorization": f"Basic {text}"},
        {"authorization": f"Peer {text}"},
        {"authorization": f"Bearer {text}", "x-api-key": f"{text}x"},
        {"x-api-key": text},
        {"x-herod-secret": text},
        {"x-token": text},
        {"cookie": f"herod_session={text}; token={text}"},
        {"referer": f"http://localhost/?token={safe}"},
        {"origin": f"http://{safe}"},
        {"host": text},
        {"user-agent": text},
        {"x-forwarded-for": text},
        {"content-type": text},
        {"expect": text},
    ):
        yield Ask(*get, headers)
