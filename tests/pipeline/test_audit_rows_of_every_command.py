"""How many audit rows each command writes, from the table: none for what changes nothing.

A new command must be added to one of the sets below.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from herod.audit_event import AuditEvent
from herod.identity.credential_types import ApiKeyHeader, PeerClaim, Presented, SecretHeader
from herod.identity.people.session_secrets import COOKIE_CHARACTERS
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.auditing.audit_recorder import ROWS_OF_PRINCIPAL
from herod.pipeline.operation_definition import Operation
from herod.protocols.decode import convert_params
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod, Peer, Source
from herod.settings import QuotaSettings
from herod_client.core.errors import HerodError
from herod_client.core.scope_graph import ADMIN, READ, USER
from protocols.documents.prepared_examples import prepare
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LEGACY, LOCAL_ADMIN, Harness
from support.oauth_app import TOGETHER, connecting
from support.persons import equipped_person, params_of_person

COMMANDS: Final = sorted(name for name, one in OPERATIONS.items() if one.is_command)
# Done a second time, these find what they would do done already, or refuse it.
DONE_ONCE: Final = {
    "auth.create_key", "auth.remove_key", "delegations.revoke", "first_admin.create", "keys.create", "keys.delete",
    "keys.disable", "keys.enable", "keys.update", "legacy.promote", "openid.sign_out", "peers.allow", "peers.remove",
    "register", "resources.release", "resources.update", "session.delete", "session.end", "session.redeem",
    "token.exchange_code", "token.exchange_device_code", "token.revoke", "users.add", "users.delete",
    "users.disable", "users.enable", "users.scope", "users.update",
    "apps.add", "apps.update", "apps.enable", "apps.disable", "apps.delete",
    "factors.reset", "passkeys.delete", "passkeys.enrol", "passkeys.rename", "session.confirm", "session.passkey",
    "totp.disable", "totp.enable", "approvals.decide", "oauth.device_allow", "oauth.device_deny",
}  # fmt: skip
# These do something each time: a new record, a new secret, or the end of all sessions.
DONE_EACH_TIME: Final = {
    "keys.rotate", "oauth.allow", "oauth.continue", "resources.claim", "session.create", "session.end_all",
    "session.sign_in", "users.password", "users.rotate_secret", "apps.rotate_secret", "recovery.renew",
    "oauth.device_authorization",
}  # fmt: skip
# These issue what no record shows, and are counted.
COUNTED: Final = {"login", "oauth.deny", "oauth.register", "session.code", "token.create"}
# They go on with what was audited when it began.
ROUTINE: Final = {"token.refresh"}
# A row for each, by admins only.
ALWAYS: Final = {"backup"}

SECOND_FACTORS: Final = frozenset(
    name for name in COMMANDS if OPERATIONS[name].person is not None or name in {"session.confirm", "session.passkey"}
)
KINDS: Final = (
    "person", "client secret", "token", "session", "user key", "service key", "peer", "local admin", "legacy secret",
)  # fmt: skip
UID: Final = Source(peer=Peer(uid=7, gid=7), cookie=COOKIE)
Caller = tuple[Presented | None, Source]


def events(harness: Harness, *, after: int = 0) -> list[AuditEvent]:
    """All rows."""
    found: list[AuditEvent] = []
    while rows := harness.store.audit_rows(after=after):
        found += [row.event for row in rows]
        after = rows[-1].seq
    return found


async def caller(harness: Harness, kind: str, scope: str) -> Caller:
    """A caller of that kind who holds the scope."""
    if kind == "person":
        return (await equipped_person(harness, "person@example.org", scope=scope)).cookie, ADMIN_SOURCE
    user = await harness.user(scope)
    match kind:
        case "client secret":
            return user.basic, ADMIN_SOURCE
        case "token":
            return await user.bearer(), ADMIN_SOURCE
        case "session":
            return await user.session(), ADMIN_SOURCE
        case "user key":
            return ApiKeyHeader(await user.key(scope)), ADMIN_SOURCE
        case "service key":
            return ApiKeyHeader(await harness.service_key(scope)), ADMIN_SOURCE
        case "peer":
            await harness.admin("peers.allow", uid=7, scope=scope)
            return PeerClaim(None), UID
        case "legacy secret":
            return SecretHeader(LEGACY["admin"]), ADMIN_SOURCE
        case _:
            return LOCAL_ADMIN, ADMIN_SOURCE


async def example(harness: Harness, operation: Operation, by: Caller) -> tuple[Caller, dict[str, Any]]:
    """The example's parameters with everything in place that they name, and who calls."""
    prepared = await prepare(harness, operation)
    params = prepared.fill(dict(operation.example))
    match operation.name:
        case "session.end":
            await (await harness.user()).session()
            listed = await harness.call("session.list", by[0], by[1])
            params["id"] = next((one.id for one in listed.items if not one.is_this), None)
        case "resources.update" | "resources.release":
            given = {"kind": "vm", "name": "web 1", "secret": params["secret"], "attributes": {}}
            params["sid"] = (await harness.call("resources.claim", *by, **given)).sid
        case name if name in TOGETHER:
            app = await connecting(harness, email="together@example.org")
            by = (app.by_app if operation.takes_apps else app.session, by[1])
            params = {
                **params,
                "request": app.device_request if "device" in name else app.request,
                "device_code": app.device_code,
                "code": app.code,
                "refresh_token": app.refresh_token,
            }
            params = {name: value for name, value in params.items() if name in operation.params.__struct_fields__}
        case "openid.sign_out":
            cookie = await (await harness.user()).session()
            request = (await harness.call("openid.logout", None)).request
            params = {"request": request, "half": cookie.text[:COOKIE_CHARACTERS], "is_confirmed": True}
        case name if name in SECOND_FACTORS:
            ada = await equipped_person(harness, "factors@example.org")
            params = await params_of_person(ada, name, params)
            by = (ada.cookie, by[1])
        case "factors.reset":
            params = {"client_id": (await equipped_person(harness, "lost@example.org")).id}
        case "session.redeem":
            params["code"] = (await harness.call("session.code", LOCAL_ADMIN)).code
        case "session.sign_in":
            await harness.user(email="eve@example.org", password="correct horse battery")
            params |= {"email": "eve@example.org", "password": "correct horse battery"}
    source = replace(by[1], is_direct=True) if operation.only_direct else by[1]
    return (None if operation.needs is Access.PUBLIC else by[0], source), params


async def call(harness: Harness, operation: Operation, by: Caller, params: dict[str, Any]) -> bool:
    """Call it; return whether it succeeded."""
    try:
        await harness.pipeline.call(operation, convert_params(operation, params, is_text=False), *by)
    except HerodError:
        return False
    return True


def test_every_command_is_in_a_set() -> None:
    """Each command is in exactly one of the sets."""
    assert Counter([*DONE_ONCE, *DONE_EACH_TIME, *COUNTED, *ROUTINE, *ALWAYS]) == Counter(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"first_admin.create"}))
async def test_a_second_call(name: str, new_harness: Callable[[], Awaitable[Harness]]) -> None:
    """Called twice with the same effect, by each kind of principal, it writes no second row."""
    operation, succeeded = OPERATIONS[name], 0
    for kind in KINDS:
        harness = await new_harness()
        by = await caller(harness, kind, "admin")
        try:
            by, params = await example(harness, operation, by)
        except HerodError:  # this kind may not list sessions, to end one
            continue
        if not await call(harness, operation, by, params):
            continue
        succeeded += 1
        await harness.pipeline.flush(is_last=False)
        before = harness.store.audit_head[0]
        again = await call(harness, operation, by, params)
        await harness.pipeline.flush(is_last=False)
        rows = [event for event in events(harness, after=before) if event.outcome == "ok"]
        assert len(rows) == (1 if again and name in DONE_EACH_TIME | ALWAYS else 0), (kind, again)
    assert succeeded


async def test_the_first_admin_is_created_once(harness: Harness) -> None:
    """Creating a second first admin is refused, without a row of success."""
    params = {"email": "a@example.org", "password": "correct horse battery", "code": "x"}
    assert not await call(harness, OPERATIONS["first_admin.create"], (None, ADMIN_SOURCE), params)
    await harness.pipeline.flush(is_last=True)
    assert [event for event in events(harness) if event.outcome == "ok"] == []


OPEN: Final = sorted(
    name
    for name, one in OPERATIONS.items()
    if one.is_command and one.limit is None and one.needs != ADMIN and one.needs is not Access.PUBLIC
)
CALLS: Final = ROWS_OF_PRINCIPAL + 50
MINUTES: Final = 5


@pytest.mark.parametrize("name", OPEN)
async def test_at_its_fastest(name: str, harness: Harness) -> None:
    """Whoever is no admin writes a bounded number of rows with one command, and others' rows are all there."""
    harness.configure(quotas=QuotaSettings(issued_per_minute=100_000, keys=100_000, resources=100_000))
    operation = OPERATIONS[name]
    eve, bob = await harness.user(USER if operation.needs == USER else READ), await harness.user()
    presented = await eve.session() if operation.methods == frozenset({AuthMethod.SESSION}) else eve.basic
    by, params = await example(harness, operation, (presented, Source(peer=Peer(uid=7, gid=7))))
    await harness.pipeline.flush(is_last=True)
    before = harness.store.audit_head[0]
    for number in range(CALLS):
        given = {**params, "name": f"n{number}"} if "name" in params else params
        await call(harness, operation, by, given)
        if number % (CALLS // MINUTES) == 0:
            await harness.call("keys.create", bob.basic, Source(address="192.0.2.1"), name=f"k{number}")
            harness.clock.now += 60
            await harness.pipeline.flush()
    await harness.pipeline.flush(is_last=True)
    rows = events(harness, after=before)
    assert [row.operation for row in rows if row.actor == bob.client_id] == ["keys.create"] * MINUTES
    mine = Counter(row.outcome for row in rows if row.actor != bob.client_id)
    assert mine["ok"] <= ROWS_OF_PRINCIPAL + 2
    assert mine["denied"] <= 2 * (MINUTES + 2)
