"""The audit log: its contents, how to query it, and its retention."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from herod.audit_event import AuditEvent
from herod.identity.credential_types import ApiKeyHeader, Basic, Bearer, PeerClaim, SecretHeader, SessionCookie
from herod.operations.audit.retention import ROWS_AT_ONCE, AuditRetention, enforce_retention
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Context
from herod.store.store_interface import Writer
from herod_client.core.errors import HerodError, InvalidRequest, MissingScope
from store.samples import revocation
from support.herod_in_memory import (
    ADMIN_SOURCE,
    LEGACY,
    LOCAL_ADMIN,
    NOW,
    PASSWORD,
    STRANGER,
    TCP,
    Harness,
    User,
    bearer,
    open_harness,
)
from support.oauth_app import TOGETHER, connecting
from support.persons import new_person

DAY = 86_400


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def newest(harness: Harness) -> AuditEvent:
    """The last row, after pending denials are written."""
    await harness.pipeline.flush(is_last=True)
    rows = harness.store.audit_rows(after=harness.store.audit_head[0] - 1)
    return rows[-1].event


def at(seconds: int) -> datetime:
    """A timestamp as operations take it."""
    return datetime.fromtimestamp(seconds, UTC)


async def write_events(harness: Harness, *times: int) -> None:
    """Write rows with these timestamps."""

    def work(tx: Writer) -> None:
        for time in times:
            tx.audit(
                AuditEvent(at=time, actor="a", method="jwt", source="uid:1", operation="keys.create", outcome="ok")
            )

    await harness.store.write(work)


@pytest.mark.parametrize(
    "name", sorted(name for name, one in OPERATIONS.items() if one.is_command and not one.is_routine)
)
async def test_every_command_writes_a_row(harness: Harness, name: str) -> None:
    """Every command writes a row with operation, outcome, target, source and time."""
    is_change = not OPERATIONS[name].always_audited

    def probe(tx: Writer, context: Context, params: Any) -> str:
        context.target = "the target"
        if is_change:
            tx.put(revocation())
        return "done"

    operation = dataclasses.replace(
        OPERATIONS[name], handler=probe, prepare=None, limit=None, then_limit=None, target=None, gives=None
    )
    params = operation.params(**operation.example)
    presented: Any = LOCAL_ADMIN
    if name in {"session.delete", "session.end"}:
        presented = await (await harness.user(scope="admin")).session()
    elif name in TOGETHER:
        app = await connecting(harness)
        presented = app.by_app if OPERATIONS[name].takes_apps else app.session
    elif OPERATIONS[name].person is not None:
        presented = (await new_person(harness)).cookie
    elif name == "session.sign_in":
        presented = None
    await harness.pipeline.call(operation, params, presented, dataclasses.replace(ADMIN_SOURCE, is_direct=True))
    event = await newest(harness)
    assert (event.operation, event.outcome, event.reason, event.target) == (name, "ok", None, "the target")
    assert (event.source, event.at) == ("uid:990", NOW)


async def test_sign_ins(harness: Harness) -> None:
    """Each kind of sign-in writes a row with the account and the method."""
    user = await harness.user(email="ada@example.org", password=PASSWORD)
    await harness.call("login", None, TCP, email="ada@example.org", password=PASSWORD)
    event = await newest(harness)
    assert (event.operation, event.actor, event.method, event.source) == (
        "login", user.client_id, "password", "127.0.0.1",
    )  # fmt: skip
    opened = await harness.call("session.sign_in", None, TCP, email="ada@example.org", password=PASSWORD)
    assert ((await newest(harness)).operation, (await newest(harness)).actor) == ("session.sign_in", user.client_id)
    await harness.call("session.delete", SessionCookie(opened.cookie), TCP)
    event = await newest(harness)
    assert (event.operation, event.actor, event.method) == ("session.delete", user.client_id, "session")
    await user.token()
    event = await newest(harness)
    assert (event.operation, event.actor, event.method) == ("token.create", user.client_id, "client_secret")
    await harness.call("session.create", SecretHeader(LEGACY["admin"]), TCP)
    event = await newest(harness)
    assert (event.operation, event.method) == ("legacy.use", "legacy_secret")


async def _expired_key(harness: Harness, user: User) -> tuple[Any, str]:
    text = await user.key(expires_at=at(harness.clock.now + 60))
    harness.clock.now += 60
    return ApiKeyHeader(text), text.split("_")[2]


async def _disabled_key(harness: Harness, user: User) -> tuple[Any, str]:
    text = await user.key()
    await harness.admin("keys.disable", id=text.split("_")[2])
    return Bearer(text), text.split("_")[2]


async def _rotated_key(harness: Harness, user: User) -> tuple[Any, str]:
    text = await user.key()
    await harness.admin("keys.rotate", id=text.split("_")[2])
    return Bearer(text), text.split("_")[2]


async def _disabled_owner(harness: Harness, user: User) -> tuple[Any, str]:
    text = await user.key()
    await harness.admin("users.disable", client_id=user.client_id)
    return Bearer(text), text.split("_")[2]


async def _unknown_key(harness: Harness, user: User) -> tuple[Any, None]:
    text = await user.key()
    await harness.admin("keys.delete", id=text.split("_")[2])
    return Bearer(text), None


async def _wrong_client_secret(harness: Harness, user: User) -> tuple[Any, str]:
    return Basic(user.client_id, "wrong"), user.client_id


async def _unknown_client(harness: Harness, user: User) -> tuple[Any, None]:
    return Basic("nobody", "wrong"), None


async def _wrong_legacy(harness: Harness, user: User) -> tuple[Any, None]:
    return SecretHeader("wrong"), None


async def _revoked_token(harness: Harness, user: User) -> tuple[Any, None]:
    token = await user.token()
    await harness.call("token.revoke", user.basic, token=token)
    return Bearer(token), None


async def _expired_token(harness: Harness, user: User) -> tuple[Any, None]:
    token = await user.token()
    harness.clock.now += 3600
    return Bearer(token), None


async def _no_rule(harness: Harness, user: User) -> tuple[Any, None]:
    return PeerClaim(), None


REFUSED: dict[str, tuple[Callable[..., Any], str | tuple[str, ...]]] = {
    "expired key": (_expired_key, "expired"),
    "disabled key": (_disabled_key, "disabled"),
    "rotated key": (_rotated_key, ("rotated", "wrong_secret")),
    "key of a disabled owner": (_disabled_owner, "owner_disabled"),
    "deleted key": (_unknown_key, "unknown_key"),
    "wrong client secret": (_wrong_client_secret, "wrong_secret"),
    "unknown client": (_unknown_client, "unknown_client"),
    "wrong legacy secret": (_wrong_legacy, "unknown_secret"),
    "revoked token": (_revoked_token, "revoked_token"),
    "expired token": (_expired_token, "expired_token"),
    "no peer rule": (_no_rule, "no_peer_rule"),
}


@pytest.mark.parametrize(("present", "reason"), REFUSED.values(), ids=REFUSED)
async def test_refused_credentials(harness: Harness, present: Callable[..., Any], reason: Any) -> None:
    """Each refused credential has its own reason, and names the key or account if there is one."""
    await harness.service_key("admin", "spare")
    presented, target = await present(harness, await harness.user())
    with pytest.raises(HerodError):
        await harness.call("whoami", presented, STRANGER)
    event = await newest(harness)
    assert event.reason == reason or event.reason in reason
    assert (event.operation, event.outcome, event.actor, event.target) == ("whoami", "denied", "anonymous", target)
    assert event.source == "uid:1234"


@pytest.mark.parametrize(("email", "reason"), [("ada@example.org", "wrong_password"), ("eve@x.org", "unknown_email")])
async def test_refused_sign_in(harness: Harness, email: str, reason: str) -> None:
    """A failed sign-in names the account; an unknown address has an anonymous actor and is not logged."""
    user = await harness.user(email="ada@example.org", password=PASSWORD)
    with pytest.raises(HerodError):
        await harness.call("login", None, TCP, email=email, password="a wrong password")
    event = await newest(harness)
    assert (event.outcome, event.reason, event.actor) == ("denied", reason, "anonymous")
    assert event.target == (user.client_id if reason == "wrong_password" else None)


async def test_two_refused_keys_are_two_rows(harness: Harness) -> None:
    """Equal denials of a minute share a row, but denials of two keys do not."""
    user = await harness.user()
    for name in ("one", "two"):
        text = await user.key(name=name)
        await harness.admin("keys.disable", id=text.split("_")[2])
        for _ in range(3):
            with pytest.raises(HerodError):
                await harness.call("whoami", Bearer(text), TCP)
    await harness.pipeline.flush(is_last=True)
    page = await harness.admin("audit.list", reason="disabled")
    assert [entry.count for entry in page.items] == [3, 3]
    assert len({entry.target for entry in page.items}) == 2


async def test_denied_scope(harness: Harness) -> None:
    """The actor of a denial for a missing scope is the authenticated principal."""
    user = await harness.user()
    with pytest.raises(MissingScope):
        await harness.call("audit.list", user.basic, TCP)
    event = await newest(harness)
    assert (event.actor, event.method, event.reason) == (user.client_id, "client_secret", "missing_scope")


async def test_list_shape(harness: Harness) -> None:
    """A row over REST comes in the envelope, with its time in RFC 3339 format."""
    user = await harness.user()
    answer = await harness.request(
        "GET", "/api/v1/audit?limit=1&operation=users.add", headers={"x-herod-secret": LEGACY["admin"]}
    )
    assert answer.status == 200
    assert answer.json["data"] == [
        {
            "seq": 1,
            "at": "2027-01-15T08:00:00Z",
            "actor": "local-admin",
            "method": "peer",
            "source": "uid:990",
            "operation": "users.add",
            "outcome": "ok",
            "reason": None,
            "target": user.client_id,
            "count": 1,
            "by_admin": True,
            "mac": harness.store.audit_head[1],
        }
    ]
    assert answer.json["meta"]["next_cursor"] is None


async def test_list_pages(harness: Harness) -> None:
    """Pages go back from the newest to the first row, or forward after a row, and contain each row once."""
    await write_events(harness, *range(1, 8))
    seen: list[int] = []
    cursor = None
    while cursor or not seen:
        page = await harness.admin("audit.list", limit=3, cursor=cursor)
        seen += [entry.seq for entry in page.items]
        cursor = page.next_cursor
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    page = await harness.admin("audit.list", after=2, limit=3)
    assert [entry.seq for entry in page.items] == [3, 4, 5]
    page = await harness.admin("audit.list", cursor=page.next_cursor, limit=3)
    assert [entry.seq for entry in page.items] == [6, 7]
    assert page.next_cursor is None
    assert (await harness.admin("audit.list", after=7)).items == []


async def test_list_by_time(harness: Harness) -> None:
    """`since` is inclusive, `until` is exclusive."""
    await write_events(harness, NOW + 1, NOW + 2, NOW + 3)
    page = await harness.admin("audit.list", since=at(NOW + 2), until=at(NOW + 3))
    assert [entry.seq for entry in page.items] == [2]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "after=-1", "after=99999999999999999999", "cursor=nonsense", "since=yesterday",
        "since=2030-01-31T12:00:00", "cursor=MS5h", "after=1&cursor=NS5vbGRlcg", "actor=a&actor=b",
    ],
)  # fmt: skip
async def test_list_refuses(harness: Harness, query: str) -> None:
    """Invalid filters are answered with a 400 that explains the error."""
    answer = await harness.request("GET", f"/api/v1/audit?{query}", headers=bearer(LEGACY["admin"]))
    assert answer.status == 400
    assert answer.json["error"]["code"] == "invalid_request"


async def test_verify(harness: Harness) -> None:
    """The returned head can be passed as `expect` later, while the log grows."""
    await write_events(harness, 1, 2)
    verdict = await harness.admin("audit.verify")
    assert (verdict.valid, verdict.rows) == (True, 2)
    await write_events(harness, 3)
    assert (await harness.admin("audit.verify", expect=verdict.head)).valid
    other = await harness.admin("audit.verify", expect="ab" * 32)
    assert not other.valid
    answer = await harness.request("GET", "/api/v1/audit/verify", headers={"x-herod-secret": LEGACY["admin"]})
    assert answer.json["data"].keys() == {"valid", "rows", "head", "removed"}


@pytest.mark.parametrize("head", ["", "ab", "ab" * 33, "zz" * 32])
async def test_verify_refuses(harness: Harness, head: str) -> None:
    """A malformed head is a bad request, not a failed verification."""
    with pytest.raises(InvalidRequest, match="64 characters"):
        await harness.admin("audit.verify", expect=head)


async def test_who_lost_admin_meanwhile_gets_nothing(harness: Harness) -> None:
    """A long-running read is refused at its end if the caller lost admin meanwhile."""
    await harness.service_key("admin", "spare")
    user = await harness.user(scope="admin")
    operation = OPERATIONS["audit.verify"]

    async def demoting(*args: Any) -> str:
        await harness.admin("users.scope", client_id=user.client_id, scope="read")
        return "the result"

    slow = dataclasses.replace(operation, wait=demoting)
    with pytest.raises(MissingScope):
        await harness.pipeline.call(slow, operation.params(), user.basic, TCP)


async def test_what_waits_for_everybody(harness: Harness) -> None:
    """A public operation may wait too, without a credential."""

    async def waiting(*args: Any) -> str:
        return "the result"

    slow = dataclasses.replace(OPERATIONS["version"], wait=waiting)
    assert await harness.pipeline.call(slow, slow.params(), None, TCP) == "the result"


async def test_retention_by_age(harness: Harness) -> None:
    """Retention removes whole days, records the number of rows, and does nothing more on that day."""
    kept = AuditRetention(days=2, rows=1000)
    today = NOW // DAY * DAY
    await write_events(harness, today - 3 * DAY, today - 2 * DAY - 1, today - 2 * DAY, today)
    assert await enforce_retention(harness.store, kept, now=NOW) == 2
    rows = harness.store.audit_rows()
    assert [row.seq for row in rows] == [3, 4, 5]
    event = rows[-1].event
    assert (event.operation, event.actor, event.count) == ("audit.trim", "retention", 2)
    assert await enforce_retention(harness.store, kept, now=NOW + 3600) == 0
    assert harness.store.audit_head[0] == 5
    assert (await harness.store.verify_audit()).valid


async def test_retention_by_number(harness: Harness) -> None:
    """Over the maximum, retention removes the oldest rows and 1 % more, so that it does not run again at once."""
    kept = AuditRetention(days=36_500, rows=1000)
    await write_events(harness, *[NOW] * 1000)
    assert await enforce_retention(harness.store, kept, now=NOW) == 0
    await write_events(harness, NOW)
    assert await enforce_retention(harness.store, kept, now=NOW) == 11
    assert harness.store.audit_rows(limit=1)[0].seq == 12
    assert await enforce_retention(harness.store, kept, now=NOW) == 0


async def test_retention_in_steps(harness: Harness) -> None:
    """Large removals are split into several writes, each with its row."""
    await write_events(harness, *[1] * (ROWS_AT_ONCE + 5))
    assert await enforce_retention(harness.store, AuditRetention(days=1, rows=10**6), now=NOW) == ROWS_AT_ONCE + 5
    assert [row.event.count for row in harness.store.audit_rows()] == [ROWS_AT_ONCE, 5]
    assert (await harness.store.verify_audit()).valid


async def test_retention_of_an_empty_log(harness: Harness) -> None:
    """Retention of an empty log does nothing."""
    assert await enforce_retention(harness.store, AuditRetention(days=1, rows=1000), now=NOW) == 0
