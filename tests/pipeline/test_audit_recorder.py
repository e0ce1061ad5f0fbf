"""Audit rows survive: no-ops write none, repetitions are counted, and no caller pushes out the rows of others.

The attack: an account with scope `read` revokes the text `x` 14,369 times a second, or creates 5,054 tokens a second.
Each was a row, so the 1,000,000 rows kept by default were gone in 70 s, and `audit.verify` reported valid. Now the
first writes no row, and the second writes one row a minute with a count.
"""

from collections import Counter
from typing import Any

import msgspec
import pytest

from herod.audit_event import AuditEvent
from herod.operations.audit.retention import AuditRetention, enforce_retention
from herod.pipeline.auditing.audit_recorder import (
    LINES_OF_ALL,
    LINES_OF_SOURCE,
    MAX_COUNTED,
    ROWS_OF_PRINCIPAL,
    ROWS_OF_RANGE,
    ROWS_OF_SOURCE,
    AuditRecorder,
)
from herod.pipeline.auditing.denial_queue import MAX_KINDS_OF_SOURCE
from herod.scopes.principal import Peer, Source
from herod.settings import QuotaSettings
from herod.store.store_interface import Writer
from herod_client.core.errors import Unavailable
from store import samples
from support.herod_in_memory import LOCAL_ADMIN, NOW, PASSWORD, TCP, Harness, User
from support.soak_rounds import count

TRIES = count("AUDIT")


def events(harness: Harness) -> list[AuditEvent]:
    """All rows."""
    found: list[AuditEvent] = []
    after = 0
    while rows := harness.store.audit_rows(after=after):
        found += [row.event for row in rows]
        after = rows[-1].seq
    return found


async def counts(harness: Harness) -> Counter[str]:
    """How often each operation was done, by the final state of the log."""
    await harness.pipeline.flush(is_last=True)
    found: Counter[str] = Counter()
    for event in events(harness):
        found[event.operation] += event.count
    return found


async def test_what_is_no_token_is_revoked_without_a_row(harness: Harness) -> None:
    """Revoking a text that is not a token writes no row, however often; each attempt used to be a row."""
    ada = await harness.user(scope="read")
    rows = len(events(harness))
    for _ in range(TRIES):
        await harness.call("token.revoke", ada.basic, TCP, token="x")
    assert (await counts(harness))["token.revoke"] == 0
    assert len(events(harness)) == rows


async def test_tokens_of_a_minute_are_one_row_and_their_number(harness: Harness) -> None:
    """The first token of a minute writes a row, the others are counted into one more, and no count is lost."""
    ada = await harness.user(scope="read")
    harness.configure(quotas=QuotaSettings(issued_per_minute=1_000_000))
    rows = len(events(harness))
    for _ in range(TRIES):
        await harness.call("token.create", ada.basic, TCP)
    assert len(events(harness)) == rows + 1
    harness.clock.now += 60
    await harness.pipeline.flush()
    assert [event.count for event in events(harness)[rows:]] == [1, TRIES - 1]
    await harness.call("token.create", ada.basic, TCP)
    assert (await counts(harness))["token.create"] == TRIES + 1


async def test_principals_sources_and_operations_are_counted_apart(harness: Harness) -> None:
    """Each row of counted operations has one actor, source and operation."""
    ada, bob = await harness.user(email="a@example.org", password=PASSWORD), await harness.user()
    uid = Source(peer=Peer(uid=7, gid=7))
    for _ in range(3):
        await harness.call("token.create", ada.basic, TCP)
        await harness.call("token.create", bob.basic, TCP)
        await harness.call("token.create", ada.basic, uid)
        await harness.call("login", None, TCP, email="a@example.org", password=PASSWORD)
    await harness.pipeline.flush(is_last=True)
    lines = Counter((one.operation, one.actor, one.source) for one in events(harness) for _ in range(one.count))
    assert lines["token.create", ada.client_id, "127.0.0.1"] == 3
    assert lines["token.create", bob.client_id, "127.0.0.1"] == 3
    assert lines["token.create", ada.client_id, "uid:7"] == 3
    assert lines["login", ada.client_id, "127.0.0.1"] == 3


SAME: tuple[tuple[str, dict[str, Any]], ...] = (
    ("users.scope", {"client_id": "@ada", "scope": "read"}),
    ("users.update", {"client_id": "@ada", "name": "Ada"}),
    ("users.enable", {"client_id": "@ada"}),
    ("users.disable", {"client_id": "@ada"}),
    ("keys.disable", {"id": "@key"}),
    ("keys.enable", {"id": "@key"}),
    ("keys.update", {"id": "@key", "name": "key"}),
    ("peers.allow", {"uid": 7, "scope": "read"}),
)


@pytest.mark.parametrize(("name", "params"), SAME)
async def test_what_is_so_already_is_no_row_and_no_news(harness: Harness, name: str, params: dict[str, Any]) -> None:
    """A command that repeats the current state writes no audit row and nothing to the change feed."""
    ada = await harness.user(scope="read")
    key = (await ada.key()).split("_")[2]
    params = {field: {"@ada": ada.client_id, "@key": key}.get(str(value), value) for field, value in params.items()}
    await harness.admin(name, **params)
    rows, cursor = len(events(harness)), harness.store.cursor
    await harness.admin(name, **params)
    assert (len(events(harness)), harness.store.cursor) == (rows, cursor)


async def test_a_token_is_revoked_once(harness: Harness) -> None:
    """Revoking a token again succeeds without another row."""
    ada = await harness.user(scope="read")
    token = await ada.token()
    for _ in range(3):
        assert (await harness.call("token.revoke", ada.basic, TCP, token=token)).revoked
    assert (await counts(harness))["token.revoke"] == 1


async def churn(harness: Harness, user: User, rounds: int) -> None:
    """Create and delete keys: two real changes each round."""
    for number in range(rounds):
        text = await user.key(name=f"k{number}")
        await harness.call("keys.delete", user.basic, TCP, id=text.split("_")[2])


async def test_a_principal_has_a_budget(harness: Harness) -> None:
    """Changes beyond a principal's hourly row budget are all counted, in few rows; the next hour starts fresh."""
    ada = await harness.user(scope="read")
    rows = len(events(harness))
    await churn(harness, ada, ROWS_OF_PRINCIPAL)
    assert len(events(harness)) == rows + ROWS_OF_PRINCIPAL
    found = await counts(harness)
    assert (found["keys.create"], found["keys.delete"]) == (ROWS_OF_PRINCIPAL, ROWS_OF_PRINCIPAL)
    assert len(events(harness)) <= rows + ROWS_OF_PRINCIPAL + 3
    bob = await harness.user(scope="read")
    await bob.key()
    assert events(harness)[-1].target is not None
    harness.clock.now += 3600
    await ada.key(name="next hour")
    assert (events(harness)[-1].operation, events(harness)[-1].count) == ("keys.create", 1)


async def test_a_source_has_a_budget(harness: Harness) -> None:
    """Accounts of one source share a row budget, which affects neither other sources nor admins."""
    harness.configure(quotas=QuotaSettings(keys=ROWS_OF_SOURCE))
    users = [await harness.user(scope="read") for _ in range(6)]
    rows = len(events(harness))
    for user in users:
        for number in range(ROWS_OF_SOURCE // 5):
            await harness.call("keys.create", user.basic, TCP, name=f"k{number}", scope="read")
    assert len(events(harness)) == rows + ROWS_OF_SOURCE
    uid = Source(peer=Peer(uid=7, gid=7))
    await harness.call("keys.create", users[0].basic, uid, name="elsewhere", scope="read")
    assert len(events(harness)) == rows + ROWS_OF_SOURCE + 1
    await harness.call("users.add", LOCAL_ADMIN, scope="read")
    assert events(harness)[-1].by_admin


async def test_a_range_of_sources_has_a_budget(harness: Harness) -> None:
    """Many accounts at many subordinate uids of one user share a row budget, which affects no other source."""
    recorder = AuditRecorder()
    rows = len(events(harness))

    def record(tx: Writer) -> None:
        for number in range(ROWS_OF_RANGE + 50):
            source = f"uid:{100_000 + number}"
            recorder.record(tx, samples.event(actor=f"id{number}", source=source), source=source, is_own_row=True)
        recorder.record(tx, samples.event(actor="ada", source="uid:7"), source="uid:7", is_own_row=True)

    await harness.store.write(record)
    assert len(events(harness)) == rows + ROWS_OF_RANGE + 1
    assert sum(line.count for line in recorder.take()) == 50


async def test_what_admins_do_is_never_counted_together(harness: Harness) -> None:
    """Each change by an admin is a row with its target, however many there are."""
    rows = len(events(harness))
    for _ in range(ROWS_OF_PRINCIPAL + 50):
        await harness.admin("users.add", scope="read")
    assert len({event.target for event in events(harness)[rows:]}) == ROWS_OF_PRINCIPAL + 50


async def test_each_backup_is_a_row(harness: Harness) -> None:
    """Each backup is a row of its own, although it changes nothing."""
    for _ in range(3):
        await harness.admin("backup")
    assert [event.count for event in events(harness) if event.operation == "backup"] == [1, 1, 1]


async def test_what_admins_did_is_not_pushed_out_by_number(harness: Harness) -> None:
    """Retention by number removes rows only up to the first admin row, which is removed by age alone."""
    ada = await harness.user(scope="read")
    first = len(events(harness))
    await ada.key(name="early")
    await harness.admin("users.add", scope="read")
    await churn(harness, ada, 20)
    kept = AuditRetention(days=365, rows=10)
    await enforce_retention(harness.store, kept, now=NOW)
    assert sum(event.by_admin for event in events(harness)) == first + 1
    removed = await enforce_retention(harness.store, kept, now=NOW + 400 * 86_400)
    assert removed > 0
    assert not any(event.by_admin for event in events(harness))
    assert (await harness.store.verify_audit()).valid


async def test_counts_survive_a_store_that_is_full(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that could not be written are kept and written later."""
    ada = await harness.user(scope="read")
    for _ in range(10):
        await harness.call("token.create", ada.basic, TCP)

    async def refuse(_function: object) -> None:
        raise Unavailable("The store's disk is full.", reason="disk_full")

    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", refuse)
        await harness.pipeline.flush(is_last=True)
    assert (await counts(harness))["token.create"] == 10


def done(number: int, *, source: str = "s", at: int = NOW) -> AuditEvent:
    """A token that principal `number` was issued."""
    return AuditEvent(at=at, actor=f"a{number}", method="jwt", source=source, operation="token.create", outcome="ok")


async def record(harness: Harness, *happened: AuditEvent, is_own_row: bool = False) -> None:
    """Record events, each from the source that it names."""

    def write(tx: Any) -> None:
        for event in happened:
            harness.pipeline.trail.record(tx, event, source=event.source, is_own_row=is_own_row)

    await harness.store.write(write)


async def test_many_accounts_of_one_source(harness: Harness) -> None:
    """Thousands of accounts of one source, all that the day has minutes for, write a bounded number of rows an hour."""
    for minute in range(60):
        some = [done(number, at=NOW + 60 * minute) for number in range(500)]
        await record(harness, *some, *some)
        await harness.pipeline.flush()
        harness.clock.now += 60
    await harness.pipeline.flush(is_last=True)
    found = events(harness)
    assert sum(event.count for event in found) == 60 * 1000
    assert len(found) <= ROWS_OF_SOURCE + 500 + 6 * (LINES_OF_SOURCE + 1)
    assert {event.actor for event in found} >= {"many", *(f"a{number}" for number in range(500))}
    assert {event.source for event in found} == {"s"}


async def test_many_sources_of_a_range(harness: Harness) -> None:
    """Any number of a range's sources writes a bounded number of rows an hour, and every event is counted."""
    happened = [done(number, source=f"uid:{100_000 + number}") for number in range(ROWS_OF_RANGE + 2000)]
    await record(harness, *happened, is_own_row=True)
    await record(harness, *happened, is_own_row=True)
    await harness.pipeline.flush(is_last=True)
    found = events(harness)
    assert sum(event.count for event in found) == 2 * len(happened)
    assert len(found) <= ROWS_OF_RANGE + LINES_OF_ALL + 1
    assert [event.source for event in found if event.actor == "many"] == ["many"]


async def test_an_admin_has_rows_whoever_else_writes(harness: Harness) -> None:
    """When all rows of a range are used up, what admins do still has rows of its own."""
    used = (done(number, source=f"uid:{100_000 + number}") for number in range(ROWS_OF_RANGE + 10))
    await record(harness, *used, is_own_row=True)
    rows = len(events(harness))
    await harness.user()
    await harness.admin("backup")
    assert len(events(harness)) == rows + 2


async def test_what_is_counted_is_bounded(harness: Harness) -> None:
    """Beyond a maximum number of distinct counted rows, the others share one row that keeps the total."""
    happened = [
        msgspec.structs.replace(done(number), by_admin=True, operation="login") for number in range(MAX_COUNTED + 500)
    ]
    await record(harness, *happened, *happened)
    assert sum((await counts(harness)).values()) == 2 * (MAX_COUNTED + 500)


async def test_a_source_does_not_fill_the_denials(harness: Harness) -> None:
    """Denials of one source beyond its share go into one row of its own, and other sources keep their rows."""
    ada = await harness.user(scope="read")
    for number in range(MAX_KINDS_OF_SOURCE + 300):
        harness.pipeline.denials.add(
            AuditEvent(at=NOW, actor=f"x{number}", method="jwt", source="127.0.0.1", operation="o", outcome="denied")
        )
    uid = Source(peer=Peer(uid=7, gid=7))
    with pytest.raises(Exception, match="admin"):
        await harness.call("users.list", ada.basic, uid)
    await harness.pipeline.flush(is_last=True)
    denied = [event for event in events(harness) if event.outcome == "denied"]
    assert [event.actor for event in denied if event.source == "uid:7"] == [ada.client_id]
    assert sum(event.count for event in denied if event.source == "127.0.0.1") == MAX_KINDS_OF_SOURCE + 300
    assert len(denied) == MAX_KINDS_OF_SOURCE + 2
