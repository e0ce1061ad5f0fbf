"""The time by which expired records are deleted: however the system clock jumps, it moves slowly."""

import pytest

from herod.pipeline.process.steady_clock import (
    MAX_ELAPSED_SECONDS,
    RATE,
    SteadyClock,
    keep_steady_clock,
    load_steady_clock,
)
from herod.records import ClockRecord
from herod.store.memory_store import MemoryStore
from herod.store.store_interface import EXPIRED_KEPT_SECONDS
from store.samples import SECRET, event
from support.herod_in_memory import NOW

HOUR = 3600
TICK = MAX_ELAPSED_SECONDS


def test_it_keeps_up() -> None:
    """While the clock is right, it is the clock."""
    clock = SteadyClock(NOW)
    for passed in (300, 600, 660, 900):
        clock.follow(NOW + passed, elapsed=300)
        assert clock.reached == clock.earliest(NOW + passed) == NOW + passed


@pytest.mark.parametrize("ahead", [25 * HOUR, 400 * 24 * HOUR, 2**33])
def test_a_clock_ahead_for_an_hour(ahead: int) -> None:
    """However far the clock is ahead, nothing that is still needed after an hour of it may be deleted."""
    clock = SteadyClock(NOW)
    for passed in range(TICK, HOUR + 1, TICK):
        clock.follow(NOW + passed + ahead, elapsed=TICK)
        assert clock.earliest(NOW + passed + ahead) <= NOW + RATE * passed < NOW + EXPIRED_KEPT_SECONDS
    clock.follow(NOW + HOUR + TICK, elapsed=TICK)
    assert clock.earliest(NOW + HOUR + TICK) == NOW + HOUR + TICK  # corrected: nothing is deleted too early


def test_incidents_do_not_add_up() -> None:
    """After a clock that was ahead, it moves back, so that the next time starts from the right time again."""
    clock = SteadyClock(NOW)
    for incident in range(20):
        start = NOW + 3 * incident * TICK
        clock.follow(start + 25 * HOUR, elapsed=TICK)
        clock.follow(start + TICK, elapsed=TICK)
        clock.follow(start + 2 * TICK, elapsed=TICK)
        assert clock.reached == start + 2 * TICK


def test_a_clock_behind() -> None:
    """With a clock that starts in 1970, nothing is deleted, and it catches up soon after the clock is set."""
    clock = SteadyClock(NOW)
    clock.follow(120, elapsed=120)
    assert clock.earliest(120) == 120
    clock.follow(NOW + 420, elapsed=300)
    assert clock.reached == NOW + 420


def test_elapsed_time_is_not_believed_either() -> None:
    """A monotonic clock that jumps, or goes back, moves it by one tick at most."""
    clock = SteadyClock(NOW)
    clock.follow(NOW + 25 * HOUR, elapsed=25 * HOUR)
    assert clock.reached == NOW + RATE * TICK
    clock.follow(NOW + 25 * HOUR, elapsed=-5)
    assert clock.reached == NOW + RATE * TICK


async def test_a_restart_continues() -> None:
    """A start with a clock that is ahead continues where the process before was, and so does the next."""
    async with MemoryStore(SECRET) as store:
        assert (await load_steady_clock(store, NOW)).reached == NOW
        clock = await load_steady_clock(store, NOW + 25 * HOUR)
        assert clock.reached == NOW
        clock.follow(NOW + 25 * HOUR, elapsed=TICK)
        await keep_steady_clock(store, clock)
        assert (await load_steady_clock(store, NOW + 50 * HOUR)).reached == NOW + RATE * TICK


async def test_it_is_written_seldom() -> None:
    """It is written when it has moved an hour, and not before it has started."""
    async with MemoryStore(SECRET) as store:
        await keep_steady_clock(store, SteadyClock())
        assert store.count(ClockRecord) == 0
        clock = await load_steady_clock(store, NOW)
        written = store.cursor
        for passed in range(TICK, HOUR, TICK):
            clock.follow(NOW + passed, elapsed=TICK)
            await keep_steady_clock(store, clock)
        assert store.cursor == written
        clock.follow(NOW + HOUR, elapsed=TICK)
        await keep_steady_clock(store, clock)
        [record] = store.scan(ClockRecord)
        assert record.reached == NOW + HOUR


@pytest.mark.parametrize(("at", "expected"), [(NOW - HOUR, NOW - HOUR), (NOW + HOUR, NOW)])
async def test_a_store_of_an_earlier_version(at: int, expected: int) -> None:
    """Without a time of its own, a store has that of its newest audit row, unless the clock is behind it."""
    async with MemoryStore(SECRET) as store:
        await store.write(lambda tx: tx.audit(event(at=at)))
        assert (await load_steady_clock(store, NOW)).reached == expected
