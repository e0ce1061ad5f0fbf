"""Requests to every operation by every protocol, with ordinary and hostile values, generated from the table.

Must never need an edit for a new operation, and never judge: it only makes requests.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Surface
from herod.protocols.http import MAX_BODY
from herod.protocols.jsonrpc import MAX_BATCH
from herod.protocols.mcp.tools import make_tools
from herod.server.connection_limits import Limits

__all__ = ["JSON", "Probe", "operation_probes", "other_probes"]

JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
TOOLS: Final = {tool.operation.name: name for name, tool in make_tools(OPERATIONS.values()).items()}
ROOM: Final = MAX_BODY - 512
PATHS: Final = (
    "/", "/ui/", "/ui/home", "/ui/keys", "/ui/sign-in", "/ui/first", "/ui/code", "/ui/nothing", "/nothing",
    "/openapi.json", "/rpc/discover", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/.well-known/nothing",
    "/metrics", "/mcp",
)  # fmt: skip
# A lone value that grows, or costs much: by normalization (U+FDFA becomes 18 letters), escapes, parsing or depth.
HOSTILE: Final[Mapping[str, Any]] = {
    "normalization": "\ufdfa" * (ROOM // 3),
    "combining marks": "e" + "\u0301\u0323" * (ROOM // 4),
    "quotes": '"' * (ROOM // 2),
    "escapes": "\\" * (ROOM // 2),
    "newlines": "\n" * (ROOM // 2),
    "dots": "." * ROOM,
    "an email address": "@" * (ROOM // 2) + ".\u00df" * (ROOM // 6),
    "a token": ".".join(("eyJhbGciOiJIUzI1NiJ9", "e" * (ROOM // 2), "e" * 43)),
    "names": [f"n{number}" for number in range(ROOM // 9)],
    "scopes": " ".join(f"s{number}" for number in range(ROOM // 8)),
    "depth": json.loads("[" * 31 + "]" * 31),
    "members": {f"m{number}": 1 for number in range(ROOM // 12)},
    "empty lists": [[]] * (ROOM // 4),
    "an integer": 10**4200,
    "a float": float("1" * 300),
}


@dataclass(frozen=True)
class Probe:
    """One request without its credential.

    Attributes:
        name: the operation, or the path.
        way: the protocol and the values.
    """

    name: str
    way: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def size(self, headers: Mapping[str, str]) -> int:
        """How many bytes it takes on the wire with these other headers."""
        length = {"content-length": str(len(self.body))} if self.body else {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**self.headers, **headers, **length}.items())
        return len(f"{self.method} {self.target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode()) + len(self.body)


def operation_probes(values: Mapping[str, Any], *, is_hostile: bool, is_whole: bool) -> Iterator[Probe]:
    """Every operation, in every protocol.

    Args:
        values: parameter → a value that exists in the store, in place of the example's.
        is_hostile: with each hostile value as each parameter, too.
        is_whole: those in every protocol, not in one each.
    """
    for operation in OPERATIONS.values():
        fields = operation.params.__struct_fields__
        known = {name: value for name, value in values.items() if name in fields}
        yield from _in_every_protocol(operation, "ordinary", {**operation.example, **known})
        if is_hostile:
            yield from _hostile_probes(operation, is_whole=is_whole)


def _hostile_probes(operation: Operation, *, is_whole: bool) -> Iterator[Probe]:
    for number, (name, value) in enumerate(HOSTILE.items()):
        for place, field in enumerate(operation.params.__struct_fields__):
            probes = [
                probe
                for probe in _in_every_protocol(operation, f"{name} as {field}", {**operation.example, field: value})
                if not probe.way.startswith("a batch")  # of few, because they are long
            ]
            yield from probes if is_whole else probes[(number + place) % len(probes or [0]) :][:1]


def other_probes() -> Iterator[Probe]:
    """What no operation is behind: documents, pages, unknown paths and broken messages."""
    for path in PATHS:
        yield Probe(path, "GET", "GET", path, {})
        yield Probe(path, "POST", "POST", path, JSON)
    for way, body in {
        "one": "1",
        "an empty object": "{}",
        "a batch of numbers": f"[{','.join(['1'] * MAX_BATCH)}]",
        "a batch of objects": f"[{','.join(['{}'] * MAX_BATCH)}]",
        "a batch of too many": str([1] * 20_000),
        "a batch of batches": f"[{','.join(['[]'] * MAX_BATCH)}]",
        "a batch of short calls": json.dumps([{"jsonrpc": "2.0", "method": "", "id": 1}] * MAX_BATCH),
        "a batch of long ids": json.dumps([{"jsonrpc": "2.0", "method": "", "id": "\x01" * 190}] * MAX_BATCH),
        "a batch of rpc.discover": json.dumps([{"jsonrpc": "2.0", "method": "rpc.discover", "id": 1}] * MAX_BATCH),
        "a method of quotes": json.dumps({"jsonrpc": "2.0", "method": '"' * (ROOM // 2), "id": 1}),
        "an id of quotes": json.dumps({"jsonrpc": "2.0", "method": "", "id": '"' * (ROOM // 2)}),
        "brackets": "[" * ROOM,
        "empty lists": "[" + "[]," * (ROOM // 3) + "[]]",
        "integers": "[" + "1e300," * (ROOM // 6) + "1]",
        "a long integer": "1" * ROOM,
    }.items():
        for path in ("/", "/rpc", "/mcp"):
            yield Probe(path, way, "POST", path, JSON, body.encode())
    many = {f"x-{number}": "y" * 100 for number in range(Limits().headers - 10)}
    yield Probe("/health", "many headers", "GET", "/health", many)
    yield Probe("/token", "a form of many fields", "POST", "/token", FORM, b"a=&" * (ROOM // 3))
    yield Probe("/token", "a form of percent signs", "POST", "/token", FORM, b"scope=" + b"%41" * (ROOM // 3))
    yield Probe("/ui/sign-in", "a form", "POST", "/ui/sign-in", FORM, b"a=b&" * (ROOM // 4))


def _in_every_protocol(operation: Operation, way: str, params: Mapping[str, Any]) -> Iterator[Probe]:
    text = json.dumps(params)
    if Surface.RPC in operation.surfaces:
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": operation.name, "params": params})
        if len(call) <= MAX_BODY:
            yield Probe(operation.name, f"JSON-RPC, {way}", "POST", "/rpc", JSON, call.encode())
        count = min(MAX_BATCH, MAX_BODY // (len(call) + 1))
        if count > 1:
            batch = f"[{','.join([call] * count)}]".encode()
            yield Probe(operation.name, f"a batch of {count}, {way}", "POST", "/rpc", JSON, batch)
    if operation.name in TOOLS:
        called = {"name": TOOLS[operation.name], "arguments": params}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called}).encode()
        headers = {**JSON, "mcp-protocol-version": "2025-11-25"}
        if len(body) <= MAX_BODY:
            yield Probe(operation.name, f"MCP, {way}", "POST", "/mcp", headers, body)
    for route in operation.routes:
        names = re.findall(r"\{([a-z_]+)\}", route.path)
        path = re.sub(r"\{([a-z_]+)\}", lambda match: quote(str(params.get(match[1], "x")), safe=""), route.path)
        rest = {name: value for name, value in params.items() if name not in names}
        if route.method in {"GET", "DELETE"}:
            path, body, headers = f"{path}?{urlencode(rest)}" if rest else path, b"", {}
        elif operation.form and not route.path.startswith("/api/"):
            body, headers = urlencode(rest).encode(), FORM
        else:
            body, headers = json.dumps(rest).encode() if names else text.encode(), JSON
        if len(path) < Limits().head_bytes - 1024 and len(body) <= MAX_BODY:
            yield Probe(operation.name, f"{route.method} {route.path}, {way}", route.method, path, headers, body)
