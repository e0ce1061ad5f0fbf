"""Attempts at more rights, generated from the operation table: a new operation is covered without an edit.

Each parameter takes ids of others, wider scopes and networks, and names of fields that the operation does not have;
each request takes every protocol, and headers, paths and batches that might be read as another request.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from attacks.escalation_world import TENANT, World
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Surface
from support.herod_in_memory import PASSWORD

__all__ = ["Attempt", "attempts"]

JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
SCOPES: Final = ("owner", "admin", "*", "", " ", "admin admin", "read admin", "ADMIN", "read\u00a0admin", "read\tadmin",
    " admin", "admin,read", "read  owner", "a\u0501min", "registrar admin", "user", "write")  # fmt: skip
NETWORKS: Final[tuple[Any, ...]] = (["*"], [], ["*", "lab"], ["lab", "office"], [""], ["*", "*"], None, ["LAB"], [" *"],
    "*", ["lab\u0000"], ["**"], ["lab,office"], ["office"])  # fmt: skip
HEADERS: Final[tuple[Mapping[str, str], ...]] = (
    {},
    {"x-http-method-override": "DELETE"},
    {"x-method-override": "PUT", "x-http-method": "PUT"},
    {"x-original-url": "/api/v1/users", "x-rewrite-url": "/api/v1/users"},
    {"x-forwarded-for": "127.0.0.1"},
    {"forwarded": "for=127.0.0.1;proto=https;host=localhost"},
    {"x-forwarded-user": "root", "remote-user": "root", "x-remote-user": "root", "x-user": "admin"},
    {"x-real-ip": "127.0.0.1", "via": "1.1 proxy"},
    {"x-herod-sub": "local_admin", "x-herod-scope": "owner", "x-scope": "owner"},
    {"x-forwarded-host": "localhost", "x-forwarded-proto": "https", "x-forwarded-uid": "0"},
)


@dataclass(frozen=True)
class Attempt:
    """One request without its credential."""

    label: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def attempts(world: World, draw: random.Random) -> Iterator[Attempt]:
    """Attempts without end: each operation in turn, commands twice as often, with other values every time."""
    reachable = [one for one in OPERATIONS.values() if one.routes or Surface.RPC in one.surfaces]
    table = [operation for operation in reachable if operation.is_command or operation.credential_field]
    reading = [operation for operation in reachable if not operation.wait and operation not in table]
    while True:
        for operation in [*table, *table, *reading]:
            yield _attempt(world, operation, draw)


def _attempt(world: World, operation: Operation, draw: random.Random) -> Attempt:
    params = _params(world, operation, draw)
    ways: list[Any] = [
        *operation.routes,
        *operation.routes,
        *(["rpc", "batch", "positions"] if Surface.RPC in operation.surfaces else []),
    ]
    ways += ["mcp"] if operation.tool is not None else []
    way = draw.choice(ways)
    more = dict(draw.choice(HEADERS)) if draw.random() < 0.3 else {}
    if way == "mcp" and operation.tool is not None:
        call: Any = {"name": operation.tool.name, "arguments": params}
        if draw.random() < 0.2:  # an identity beside the arguments, or in `_meta`
            call |= {"_meta": {"authorization": "Peer", "sub": "local_admin"}, "sub": world.ids["boss"]}
        return _posted(f"MCP {operation.name}", "/mcp", _call("tools/call", call), more)
    if way == "batch":
        items = [_call("whoami", {}), _call(operation.name, params), _call("auth.list_keys", {"admin_key": "x"}),
                 _call(operation.name, params)]  # fmt: skip
        draw.shuffle(items)
        return _posted(f"batch {operation.name}", draw.choice(("/rpc", "/")), items, more)
    if way == "positions":
        values = [params.get(name) for name in operation.params.__struct_fields__]
        extra = [world.ids["boss"], "owner", ["*"]][: draw.randrange(4)]
        return _posted(f"positions {operation.name}", "/rpc", _call(operation.name, [*values, *extra]), more)
    if way == "rpc":
        call = _call(operation.name, params)
        if draw.random() < 0.2:
            call |= {"sub": world.ids["boss"], "scope": "owner", "auth": {"scope": "owner"}}
        return _posted(f"rpc {operation.name}", "/rpc", call, more)
    return _route(operation, way, params, draw, world, more)


def _route(
    operation: Operation, route: Any, params: dict[str, Any], draw: random.Random, world: World, more: dict[str, str]
) -> Attempt:
    names = re.findall(r"\{([a-z_]+)\}", route.path)
    path = re.sub(r"\{([a-z_]+)\}", lambda match: _in_path(str(params.get(match[1], "x")), draw), route.path)
    rest = {name: value for name, value in params.items() if name not in names}
    if names and draw.random() < 0.15:  # another value for a parameter of the path
        rest[names[0]] = draw.choice(list(world.ids.values()))
    for name, header in operation.headers.items():
        if name in rest:
            more[header.lower()] = str(rest.pop(name)).encode("ascii", "replace").decode()
    label = f"{route.method} {route.path}"
    query = urlencode({name: value for name, value in rest.items() if value is not None}, doseq=True)
    if route.method in {"GET", "DELETE"}:
        return Attempt(label, route.method, f"{path}?{query}", more)
    target = f"{path}?{query}" if draw.random() < 0.1 else path
    if operation.form:
        body = query + ("&" + query if draw.random() < 0.2 else "")
        return Attempt(label, route.method, target, {**FORM, **more}, body.encode())
    text = json.dumps(rest)
    if draw.random() < 0.15 and rest:  # the same name twice
        name, value = draw.choice(list(rest.items()))
        text = f"{{{json.dumps(name)}: {json.dumps(value)}, {text[1:]}"
    return Attempt(label, draw.choice((route.method,) * 6 + ("POST",)), target, {**JSON, **more}, text.encode())


def _in_path(value: str, draw: random.Random) -> str:
    safe = quote(value, safe="")
    spellings = (safe + "%2e", safe + "/.", safe + "%00", safe + ";x", safe + "/", safe + "%20", "%2f" + safe,
                 "..%2f" + safe, safe + "%0d%0a", "".join(f"%{ord(char):02x}" for char in value[:40]))  # fmt: skip
    return draw.choice((safe,) * 20 + spellings)


def _params(world: World, operation: Operation, draw: random.Random) -> dict[str, Any]:
    """The example's parameters, with the ids of others, and one to three made wider."""
    fields = operation.params.__struct_fields__
    params: dict[str, Any] = dict(operation.example)
    for name in fields:
        if name in params or draw.random() < 0.25:
            value = _value(world, operation.name, name, draw)
            if value is not _SAME:
                params[name] = value
    if "client_id" in params and "email" in params and draw.random() < 0.9:
        del params[draw.choice(("client_id", "email"))]
    for name in draw.sample(FOREIGN, draw.choice((0,) * 8 + (1, 2))):
        params[name] = _foreign(world, name, draw)
    return params


_SAME: Final = object()
# Which id of the scene a capability's operations take.
RECORDS: Final = {"peers": "rule", "delegations": "delegation", "approvals": "approval", "passkeys": "passkey"}
FOREIGN: Final = (
    "owner", "kind", "scope", "scopes", "networks", "enabled", "epoch", "creator", "client_id", "email", "id", "via",
    "registered", "admin_key", "sub", "subject", "role", "is_admin", "expires_at", "secret_hash",
)  # fmt: skip


def _foreign(world: World, name: str, draw: random.Random) -> Any:
    value = _value(world, "", name, draw)
    return draw.choice((True, 0, "owner", world.ids["boss"], None)) if value is _SAME else value


def _value(world: World, operation: str, name: str, draw: random.Random) -> Any:
    ids = world.ids
    accounts = [ids["boss"], ids["other"], *(id_ for key, id_ in ids.items() if key.startswith("own_"))]
    keys = [ids[name] for name in ("boss_key", "other_key", "service", "lab_service")]
    folder = operation.partition(".")[0]
    choices: dict[str, list[Any]] = {
        "scope": [*["admin", "read", "user", "write", "read user"] * 6, *SCOPES],
        "networks": [*[["*"], ["lab"], None, ["lab", "office"], ["office"]] * 4, *NETWORKS],
        "network": ["*", "lab", "", None],
        "client_id": [ids["app"], ids["lab_app"], "herod-cli", "root app"]
        if operation.startswith("apps")
        else [*accounts, "local_admin", "*", "", None],
        "redirect_uris": [["https://evil.example/"], ["http://localhost/ui/consent"], []],
        "type": ["public", "confidential"],
        "grants": [["authorization_code"], ["urn:ietf:params:oauth:grant-type:device_code"]],
        "pkce": ["optional"],
        "email": [ids["boss_email"], ids["boss_email"].upper(), f"new{draw.randrange(10**6)}@example.org", "", None],
        "owner": [*accounts, "service", "local_admin", "", None],
        "kind": ["service", "user", None, "SERVICE"],
        "id": [ids[RECORDS[folder]]] if folder in RECORDS else [*keys, ids["legacy"], ids["boss_session"]],
        "sid": [ids["sid"]],
        "secret": [TENANT, "another secret of a tenant", ""],
        "token": [ids["boss_token"]],
        "key": [ids["service"], ids["boss_token"]],
        "admin_key": [None, ids["service"], ids["boss"], "herod_s_" + "0" * 12, ""],
        "expires_at": [None, "2099-01-01T00:00:00Z"],
        "uid": [0, 990, 7900, 7000, None, -1, 4294967295],
        "gid": [0, 7010, 7011, None],
        "everyone": [True, "true", 1],
        "approve": [True],
        "name": [f"name {draw.randrange(10**9)}"],
        "password": ["a quite long password of theirs"],
        "current": [PASSWORD, None, "", "wrong and long enough"],
        "overlap": [604_800, 0],
        "principal": accounts,
    }
    if name not in choices:
        return _SAME
    if operation == "legacy.promote" and name == "id":
        return ids["legacy"]
    return draw.choice(choices[name])


def _call(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _posted(label: str, target: str, body: Any, more: Mapping[str, str]) -> Attempt:
    headers = {**JSON, **more, **({"mcp-protocol-version": "2025-11-25"} if target == "/mcp" else {})}
    return Attempt(label, "POST", target, headers, json.dumps(body).encode())
