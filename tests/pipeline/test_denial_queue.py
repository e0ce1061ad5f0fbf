"""Denials on their way to the audit log: none is lost while the store cannot write, and a flood is a few lines."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from herod.audit_event import AuditEvent
from herod.identity.credential_types import Bearer, PeerClaim
from herod.pipeline.auditing.denial_queue import MAX_FORGOTTEN, MAX_KINDS, DenialQueue
from herod.pipeline.pipeline import EVENTS_AT_ONCE
from herod.store.store_interface import Writer
from herod_client.core.errors import (
    BadCredentials,
    MissingScope,
    NotFound,
    Unavailable,
)
from support.herod_in_memory import NOW, STRANGER, Harness


def denied(at: int = NOW, source: str = "uid:1", reason: str = "anonymous") -> AuditEvent:
    """A denial event."""
    return AuditEvent(
        at=at, actor="anonymous", method="anonymous", source=source, operation="stats", outcome="denied", reason=reason
    )


async def test_denials_reach_the_audit_log(harness: Harness) -> None:
    """Denials are in the audit log with the reason that the answer hides."""
    user = await harness.user()
    key = (await user.key())[:-7]
    with pytest.raises(MissingScope):
        await harness.call("users.list", user.basic)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", PeerClaim(), STRANGER)
    with pytest.raises(BadCredentials):
        await harness.call("whoami", Bearer(key))
    await harness.pipeline.flush()
    events = [row.event for row in harness.store.audit_rows() if row.event.outcome == "denied"]
    assert [(event.operation, event.actor, event.reason) for event in events] == [
        ("users.list", user.client_id, "missing_scope"),
        ("whoami", "anonymous", "no_peer_rule"),
        ("whoami", "anonymous", events[2].reason),
    ]
    assert harness.runtime.counters["denials"] == 3


async def test_what_is_not_there_is_no_denial(harness: Harness) -> None:
    """A lookup of something that does not exist is not a denial; of another account's key it is."""
    one, two = await harness.user(), await harness.user()
    await two.key()
    theirs = (await harness.call("keys.list", two.basic)).items[0].id
    for key_id in ("0kZ3vXq81LmT", theirs):
        with pytest.raises(NotFound):
            await harness.call("keys.get", one.basic, id=key_id)
    assert [event.reason for event in harness.pipeline.denials.take()] == ["not_owner"]


async def test_denials_wait_while_the_store_cannot_write(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denials are kept while the store cannot write, and written later."""
    with pytest.raises(BadCredentials):
        await harness.call("stats")

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    await harness.pipeline.flush()
    assert [row.event.operation for row in harness.store.audit_rows()] == ["stats"]


def test_like_denials_of_a_minute_are_one_line() -> None:
    """Equal denials of a minute are one counted row; other sources, reasons and minutes have their own."""
    denials = DenialQueue()
    for event in (denied(), denied(), denied(at=NOW + 60), denied(source="uid:2"), denied(reason="expired")):
        denials.add(event)
    assert [event.count for event in denials.take()] == [2, 1, 1, 1]
    assert denials.take() == []


def test_denials_are_bounded() -> None:
    """Denials beyond the limit of distinct rows are counted together."""
    denials = DenialQueue()
    for number in range(MAX_KINDS + 50):
        denials.add(denied(source=f"uid:{number}"))
    events = denials.take()
    assert len(events) == MAX_KINDS + 1
    assert (events[-1].source, events[-1].reason, events[-1].count) == ("many", "overflow", 50)
    denials.put_back(events)
    assert len(denials.take()) == MAX_KINDS + 1


def test_one_user_does_not_fill_the_denials_from_many_addresses() -> None:
    """The addresses that one user can choose from have one share of the lines, even while the store cannot write."""
    denials = DenialQueue()
    for number in range(MAX_KINDS + 100):
        denials.add(denied(source=f"127.0.{number % 256}.1", reason=f"r{number}"), share="uid:7")
    denials.put_back(denials.take())
    denials.add(denied(source="uid:8"))
    events = denials.take()
    assert [event.source for event in events if event.reason != "overflow"].count("uid:8") == 1
    assert [(event.source, event.count) for event in events if event.reason == "overflow"] == [("uid:7", MAX_KINDS)]


@pytest.mark.parametrize(
    "share_of_number",
    [
        pytest.param(lambda number: f"uid:{number // 100 + 1000}", id="eleven users with a hundred kinds each"),
        pytest.param(lambda number: f"uid:{number % 550 + 1000}", id="many users with two kinds each"),
        pytest.param(lambda number: f"uid:{100_000 + number}", id="a range of subordinate uids"),
        pytest.param(lambda number: f"2001:db8:1:{number:x}::/64", id="an IPv6 site"),
        pytest.param(lambda number: f"2001:db8:{number // 300}:{number:x}::/64", id="four IPv6 sites"),
    ],
)
def test_a_new_source_has_a_line_of_its_own(share_of_number: Callable[[int], str]) -> None:
    """Whoever has taken all lines, the denials of others are named, none is lost, and memory is bounded."""
    denials, written = DenialQueue(), Counter[str]()
    for number in range(1100):
        denials.add(denied(source=f"address {number}", reason=f"r{number}"), share=share_of_number(number))
    for number in (7, 8):
        denials.add(denied(source=f"uid:{number}"))
    for number in range(1100, 2200):
        denials.add(denied(source=f"address {number}", reason=f"r{number}"), share=share_of_number(number % 1100))
    denials.add(denied(source="uid:9"))
    for event in [*denials.take(NOW), *denials.take()]:
        written[event.source] += event.count
    assert [written[f"uid:{number}"] for number in (7, 8, 9)] == [1, 1, 1]
    assert written.total() == 2203
    assert len(written) <= MAX_KINDS + 20


def test_written_lines_make_room() -> None:
    """Where many sources have one line each, a new one gets a line that was written already, so many times a minute."""
    denials = DenialQueue()
    for round_ in range(3):
        for number in range(MAX_KINDS):
            denials.add(denied(source=f"uid:{round_ * MAX_KINDS + number}"))
        events = denials.take(NOW)
        if round_ < 2:
            assert {event.count for event in events} == {1}
            assert len(events) == MAX_KINDS
        else:
            assert [(event.source, event.count) for event in events] == [("many", MAX_FORGOTTEN)]
    denials.add(denied(at=NOW + 60, source="uid:7"))
    assert [event.source for event in denials.take(NOW + 60)] == ["uid:7"]


async def test_a_flood_of_one_kind_is_two_lines_a_minute(harness: Harness) -> None:
    """Of a flood of equal denials the first is written at once, the rest as one row after a minute or at shutdown."""
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await harness.call("stats")
        await harness.pipeline.flush()
        harness.clock.now += 1

    def counts() -> list[int]:
        return [row.event.count for row in harness.store.audit_rows()]

    assert counts() == [1]
    harness.clock.now += 60
    await harness.pipeline.flush()
    assert counts() == [1, 4]
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await harness.call("stats")
        await harness.pipeline.flush()
    await harness.pipeline.flush(is_last=True)
    assert counts() == [1, 4, 1, 2]


async def test_denials_survive_a_flush_that_is_cancelled(harness: Harness) -> None:
    """Denials survive a cancelled flush, as at shutdown."""
    with pytest.raises(BadCredentials):
        await harness.call("stats")
    with trio.CancelScope() as scope:
        scope.cancel()
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    assert [row.event.operation for row in harness.store.audit_rows()] == ["stats"]


async def test_many_denials_are_written_in_steps(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many audit rows take several transactions, and what could not be written is tried again, nothing twice."""
    count = 2 * EVENTS_AT_ONCE - 100
    for number in range(count):
        event = AuditEvent(
            at=NOW, actor="x", method="jwt", source=f"10.0.{number % 250}.{number // 250}", operation="stats",
            outcome="denied",
        )  # fmt: skip
        harness.pipeline.denials.add(event)
    writes, write = 0, harness.store.write

    async def failing_second(function: Callable[[Writer], Any]) -> Any:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise Unavailable("The disk is full.", reason="disk_full")
        return await write(function)

    monkeypatch.setattr(harness.store, "write", failing_second)
    await harness.pipeline.flush()
    assert harness.store.audit_head[0] == EVENTS_AT_ONCE
    await harness.pipeline.flush(is_last=True)
    assert harness.store.audit_head[0] == count
    assert writes == 3
