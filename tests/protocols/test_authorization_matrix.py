"""The authorization matrix: every operation, in every protocol, with every kind and state of credential.

The handlers are replaced by a probe that reports its principal, so a cell shows whether the pipeline admits a caller
and as whom. The expectations are in `authorization_rows.py`, and all protocols must agree.
"""

import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import pytest

from herod.credentials.apps.dynamic_client_ids import DynamicApp, dynamic_secret, seal_client_id
from herod.identity.credential_types import Bearer, SessionCookie
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Context, Operation, Surface
from herod.protocols.credential_headers import request_credential
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Account, ApiKey
from herod.scopes.principal import Peer, Source
from protocols.authorization_rows import EVERY, PUBLIC, Case, is_admitted, is_an_app
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import (
    ADMIN_SOURCE,
    COOKIE,
    DAEMON_UID,
    LEGACY,
    NOW,
    PASSWORD,
    PUBLIC_URL,
    TCP,
    Answer,
    Harness,
    User,
    basic,
    bearer,
    open_harness,
)

# Cases that are the local admin, whom MCP does not accept.
LOCAL_ADMIN: Final = {"local admin", "root with the cookie"}
PEER_UID: Final = 4242
# seconds after which a credential expires; a client secret does not
ENDS: Final = {"jwt": 3600, "user_key": 600, "session": 12 * 3600, "client_secret": 12 * 3600}


class Reached(msgspec.Struct):
    """The result of the probe."""

    sub: str
    method: str
    scope: str
    networks: list[str]
    status: str = "ok"


def _probe(store: Any, context: Context, params: Any) -> Reached:
    principal = context.principal
    return Reached(
        principal.id, principal.method, context.runtime.scope_text(principal.widest), sorted(principal.widest.networks)
    )


PROBED: Final = {
    name: dataclasses.replace(
        operation,
        handler=_probe,
        gives=None,
        limit=None,
        misses=None,
        prepare=None,
        target=None,
        wait=None,
        streamed=None,
        media_type=None,
    )
    for name, operation in OPERATIONS.items()
}


def test_the_tables_name_every_operation() -> None:
    """An operation without a row in these tables fails the build."""
    assert set(OPERATIONS) == EVERY


def _session_headers(cookie: SessionCookie) -> dict[str, str]:
    return {"cookie": f"herod_session={cookie.text}"}


async def _by_password(harness: Harness, user: User) -> dict[str, str]:
    """The session of a person."""
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    opened = await harness.call("session.sign_in", None, TCP, email=account.email, password=PASSWORD)
    return _session_headers(SessionCookie(opened.cookie))


async def _account_cases(harness: Harness, state: str, user: User, scope: str, networks: list[str]) -> list[Case]:
    """Every credential of an account, in one state."""
    soon = datetime.fromtimestamp(harness.clock.now + 600, UTC)
    key = await user.key(scope=scope, expires_at=soon if state == "expired" else None)
    made: list[tuple[str, str, Mapping[str, str]]] = [
        ("jwt", "", bearer(await user.token(resource=PUBLIC_URL))),
        ("jwt", "plain", bearer(await user.token())),
        ("user_key", "", {"x-api-key": key}),
        ("session", "", _session_headers(await user.session())),
        ("session", "user_key", _session_headers(await user.session(Bearer(key)))),
        ("session", "password", await _by_password(harness, user)),
        ("client_secret", "", user.basic_header),
        ("jwt", "delegation", bearer(app_token(harness, await connect_app(harness, user, scope), ttl=3600).text)),
    ]
    if state == "disabled":
        await harness.admin("users.disable", client_id=user.client_id)
    good = None if state in {"disabled", "expired"} else scope
    cases = [
        Case(
            kind,
            state,
            headers,
            scope if (kind, state) == ("client_secret", "expired") else good,
            tuple(networks),
            later=ENDS[kind] if state == "expired" else 0,
            made_with=made_with,
        )
        for kind, made_with, headers in made
    ]
    cases[-1] = dataclasses.replace(cases[-1], scope="admin" if good == "owner" else good)  # `owner` is never delegated
    return cases


async def _service_cases(harness: Harness) -> list[Case]:
    soon = datetime.fromtimestamp(harness.clock.now + 600, UTC)
    low = await harness.service_key("registrar", "low")
    right = await harness.service_key("admin", "right")
    lab = await harness.service_key("admin", "lab", networks=["lab"])
    expired = await harness.service_key("admin", "expired", expires_at=soon)
    disabled = await harness.service_key("admin", "disabled")
    record = harness.store.get(ApiKey, disabled.split("_")[2])
    assert record is not None
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(record, enabled=False)))
    return [
        Case("service_key", "too low", bearer(low), "registrar"),
        Case("service_key", "right", bearer(right), "admin"),
        Case("service_key", "other network", bearer(lab), "admin", ("lab",)),
        Case("service_key", "expired", bearer(expired), None, later=600),
        Case("service_key", "disabled", bearer(disabled), None),
        Case("service_key", "tampered", bearer(right[:-7] + ("A" if right[-7] != "A" else "B") + right[-6:]), None),
    ]


async def _peer_cases(harness: Harness) -> list[Case]:
    peer = {"authorization": "Peer"}

    def uid(number: int) -> Source:
        return Source(peer=Peer(uid=number, gid=number), cookie=COOKIE)

    def over_tcp(number: int) -> Source:
        return Source(address="127.0.0.1", cookie=COOKIE, tcp_uid=number)

    for offset, scope in enumerate(("registrar", "read", "admin")):
        await harness.admin("peers.allow", uid=PEER_UID + offset, scope=scope)
    await harness.admin("peers.allow", uid=PEER_UID + 3, scope="admin", networks=["lab"])
    removed = await harness.admin("peers.allow", uid=PEER_UID + 4, scope="admin")
    await harness.admin("peers.remove", id=removed.id)
    with_cookie = {"authorization": f"Peer {COOKIE}"}
    proxy = dataclasses.replace(uid(PEER_UID + 2), may_relay=True)
    return [
        Case("peer", "too low", peer, "registrar", source=uid(PEER_UID)),
        Case("peer", "read", peer, "read", source=uid(PEER_UID + 1)),
        Case("peer", "right", peer, "admin", source=uid(PEER_UID + 2)),
        Case("peer", "other network", peer, "admin", ("lab",), source=uid(PEER_UID + 3)),
        Case("peer", "removed", peer, None, source=uid(PEER_UID + 4)),
        Case("peer", "no rule", peer, None, source=uid(1)),
        Case("peer", "nobody", with_cookie, None, source=uid(65534)),
        Case("peer", "local admin", with_cookie, "owner", source=ADMIN_SOURCE),
        Case("peer", "root with the cookie", with_cookie, "owner", source=uid(0)),
        Case("peer", "root without the cookie", peer, None, source=uid(0)),
        Case("peer", "root with a guess", {"authorization": "Peer guess"}, None, source=uid(0)),
        Case("peer", "a stranger with the cookie", with_cookie, None, source=uid(1)),
        Case("peer", "the cookie over TCP", with_cookie, None),
        Case("peer", "a uid over TCP", peer, None, source=over_tcp(PEER_UID + 2)),
        Case("peer", "root and the cookie over TCP", with_cookie, None, source=over_tcp(0)),
        Case("peer", "the daemon's uid and the cookie over TCP", with_cookie, None, source=over_tcp(DAEMON_UID)),
        Case("peer", "a trusted proxy's rule", peer, None, source=proxy),
        Case("peer", "the cookie, relayed", {**with_cookie, "x-forwarded-for": "10.0.0.1"}, None, source=ADMIN_SOURCE),
        Case("peer", "the cookie, by a proxy", {**with_cookie, "via": "1.1 nginx"}, None, source=ADMIN_SOURCE),
        Case("peer", "the cookie, from a page", {**with_cookie, "referer": "http://x/"}, None, source=ADMIN_SOURCE),
    ]


async def _cases(harness: Harness) -> list[Case]:
    await harness.service_key("admin", "spare")  # so that the last admin can be demoted and disabled
    cases = [Case("anonymous", "none", {}, None)]
    for state in ("read", "write", "owner", "too low", "right", "other network", "disabled", "expired"):
        scope = {"too low": "registrar", "read": "read", "write": "write", "owner": "owner"}.get(state, "admin")
        networks = ["lab"] if state == "other network" else ["*"]
        # A registrar cannot read and so cannot create keys: its cases are credentials of a demoted admin.
        email = f"{state.replace(' ', '-')}@example.org"
        held = "admin" if scope == "registrar" else scope
        user = await harness.user(scope=held, networks=networks, email=email, password=PASSWORD)
        if scope == "registrar":
            cases += await _low_cases(harness, user)
        else:
            cases += await _account_cases(harness, state, user, scope, networks)
    cases += await _service_cases(harness)
    cases += await _peer_cases(harness)
    for scope, secret in LEGACY.items():
        cases.append(Case("legacy_secret", scope, {"x-herod-secret": secret}, scope))
        cases.append(Case("legacy_secret", scope, bearer(secret), scope))
    cases.append(Case("legacy_secret", "wrong", {"x-herod-secret": "wrong"}, None))
    cases += _app_cases(harness)
    connected = await connect_app(harness, user, "openid read")
    cases.append(Case("jwt", "openid", bearer(app_token(harness, connected).text), "read", made_with="delegation"))
    token = await user.token()
    cases.append(Case("jwt", "tampered", bearer(token[:-7] + ("A" if token[-7] != "A" else "B") + token[-6:]), None))
    return cases


def _app_cases(harness: Harness) -> list[Case]:
    """Apps alone: they have no access of their own."""
    keyring = harness.store.keyring
    app = DynamicApp("Agent", ("http://localhost/callback",), ("authorization_code",), "client_secret_basic")
    client_id = seal_client_id(keyring, app)
    public = seal_client_id(keyring, msgspec.structs.replace(app, auth_method="none"))
    return [
        Case("app", "confidential", basic(client_id, dynamic_secret(keyring, client_id)), None),
        Case("app", "wrong secret", basic(client_id, dynamic_secret(keyring, public)), None),
        Case("app", "public", basic(public, ""), None),
    ]


async def _low_cases(harness: Harness, user: User) -> list[Case]:
    """Credentials of an admin who is demoted to registrar afterwards."""
    made = await _account_cases(harness, "too low", user, "admin", ["*"])
    await harness.admin("users.scope", client_id=user.client_id, scope="registrar")
    return [dataclasses.replace(case, scope="registrar") for case in made]


@pytest.fixture
async def probed() -> AsyncIterator[tuple[Harness, Router, list[Case]]]:
    """A harness whose routes lead to probes, and all credential cases."""
    async with open_harness() as harness:
        cases = await _cases(harness)
        router = Router(harness.pipeline, PROBED, Guard())
        yield harness, router, cases


def _rest_requests(operation: Operation) -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for route in operation.routes:
        fields = dict(operation.example)
        path = route.path
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            path = path.replace(f"{{{name}}}", str(fields.pop(name)))
        found.append((route.method, path, fields))
    return found


async def _ask_rest(
    harness: Harness, operation: Operation, case: Case, request: tuple[str, str, dict[str, Any]]
) -> Answer:
    method, path, fields = request
    if operation.form:
        form = urlencode(fields)
        return await harness.request(method, path, form=form, headers=case.headers, source=case.source)
    in_header = {header.lower(): fields[name] for name, header in operation.headers.items() if name in fields}
    fields = {name: value for name, value in fields.items() if name not in operation.headers}
    headers = {**case.headers, **in_header}
    if method in {"GET", "DELETE"}:
        return await harness.request(method, f"{path}?{urlencode(fields)}", headers=headers, source=case.source)
    return await harness.request(method, path, json=fields, headers=headers, source=case.source)


def _cell(status: int, reached: Mapping[str, Any] | None) -> tuple[Any, ...]:
    if reached is not None:
        return ("admitted", reached["sub"], reached["method"], reached["scope"], tuple(reached["networks"]))
    assert status in {401, 403}
    return ("refused", status)


def _can_go_by_position(operation: Operation) -> bool:
    """Whether the example names the first parameters in order; partial updates take parameters by name only."""
    params = operation.params
    return not operation.is_by_name and list(operation.example) == list(
        params.__struct_fields__[: len(operation.example)]
    )


async def _cells(harness: Harness, operation: Operation, case: Case) -> dict[str, tuple[Any, ...]]:
    """The outcome of one operation with one credential, for each protocol."""
    cells = {}
    for request in _rest_requests(operation):
        answer = await _ask_rest(harness, operation, case, request)
        body = answer.json
        is_enveloped = request[1].startswith(("/api/v1/", "/api/auth/"))
        reached = None if answer.status >= 400 else body["data"] if is_enveloped else body
        is_unauthorized = "error" in body and body["error"] == "unauthorized_client"
        if request[1] == "/token" and is_unauthorized:
            assert answer.status == 400  # RFC 6749, section 5.2
        cells[f"{request[0]} {request[1]}"] = _cell(403 if is_unauthorized else answer.status, reached)
    answers = {"rpc": dict(operation.example), "rpc by position": list(operation.example.values())}
    for door, params in answers.items():
        if door == "rpc by position" and not _can_go_by_position(operation):
            continue
        answer = await harness.rpc(operation.name, params, headers=case.headers, source=case.source)
        if Surface.RPC not in operation.surfaces:
            assert answer["error"]["code"] == -32601
        else:
            error = answer.get("error")
            cells[door] = _cell(error["code"] - 3600 if error else 200, answer.get("result"))
    if operation.credential_field and (text := case.headers.get("authorization", "")).startswith("Bearer "):
        params = {**operation.example, operation.credential_field: text.removeprefix("Bearer ")}
        answer = await harness.rpc(operation.name, params, source=case.source)
        error = answer.get("error")
        cells["in the params"] = _cell(error["code"] - 3600 if error else 200, answer.get("result"))
    return cells


async def _mcp_cell(harness: Harness, operation: Operation, case: Case) -> tuple[Any, ...]:
    """The outcome of the tool call at `/mcp`."""
    assert operation.tool is not None
    params = {"name": operation.tool.name, "arguments": dict(operation.example)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await harness.request("POST", "/mcp", json=call, headers=case.headers, source=case.source)
    if answer.status != 200:
        return _cell(answer.status, None)
    result = answer.json["result"]
    if result["isError"]:
        assert json.loads(result["content"][0]["text"])["code"] == "ceiling_exceeded"
        return _cell(403, None)
    return _cell(200, result["structuredContent"])


def _comes_in_at_mcp(name: str, case: Case) -> bool:
    """Whether MCP must agree with the other protocols.

    It accepts neither the local admin nor a token that is not for it, and always needs a credential.
    """
    is_accepted = case.state not in LOCAL_ADMIN and case.made_with != "plain"
    return is_accepted and (name not in PUBLIC or case.scope is not None)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_matrix(name: str, probed: tuple[Harness, Router, list[Case]]) -> None:
    """Each cell is as the tables say, and all protocols agree."""
    harness, router, cases = probed
    harness.router = router
    operation = PROBED[name]
    for case in cases:
        harness.clock.now = NOW + case.later
        cells = await _cells(harness, operation, case)
        if operation.tool is not None:
            cell = await _mcp_cell(harness, operation, case)
            if _comes_in_at_mcp(name, case):
                cells["mcp"] = cell
            else:
                assert cell == ("refused", 401), (case, cell)
        assert len(set(cells.values())) <= 1, (case, cells)
        for cell in cells.values():
            if not is_admitted(name, case):
                is_known = case.scope is not None or name in PUBLIC or (name == "token.create" and is_an_app(case))
                assert cell == ("refused", 403 if is_known else 401), (case, cell)
            elif case.kind == "app" and name not in PUBLIC:
                assert cell[2:] == ("app", "", ())
            elif name in PUBLIC:
                assert cell[:3] == ("admitted", "anonymous", "anonymous")
            else:
                assert cell[0] == "admitted", (case, cell)
                assert cell[2:] == (case.kind, case.scope, case.networks), (case, cell)


@pytest.mark.parametrize(
    "name",
    [
        "session.create", "session.sign_in", "session.delete", "session.list", "session.end", "session.offer",
        "session.redeem", "session.status", "session.resume", "first_admin.status", "first_admin.create", "overview",
        "resources.count", "openid.logout", "openid.sign_out",
        "session.confirm", "session.passkey", "session.passkey_begin", "passkeys.begin", "passkeys.enrol",
    ],
)  # fmt: skip
async def test_the_dashboards_operations_are_on_no_wire(harness: Harness, name: str) -> None:
    """The dashboard's own operations have neither a route nor a JSON-RPC method."""
    assert not OPERATIONS[name].routes
    answer = await harness.rpc(name, {}, headers={"authorization": f"Peer {COOKIE}"}, source=ADMIN_SOURCE)
    assert answer["error"]["code"] == -32601


@pytest.mark.parametrize("kind", ["client_secret", "user_key", "service_key", "legacy_secret", "peer"])
async def test_session_create_row(probed: tuple[Harness, Router, list[Case]], kind: str) -> None:
    """`session.create`, which has no route or method, follows its row when called through the pipeline."""
    harness, _, cases = probed
    operation = PROBED["session.create"]
    for case in (case for case in cases if case.kind == kind and case.scope is not None):
        reached = await harness.pipeline.call(
            operation, operation.params(), request_credential(case.headers), case.source
        )
        assert (reached.method, reached.scope) == (case.kind, case.scope)


def test_every_example_is_what_its_operation_takes() -> None:
    """Every example, from which documents and this matrix are built, matches its operation's parameters."""
    for operation in OPERATIONS.values():
        converted = msgspec.convert(dict(operation.example), operation.params)
        assert isinstance(converted, operation.params)
