"""The time by which expired records are deleted. It follows the system clock slowly, so that a jump deletes nothing.

A refusal ends when the clock is corrected; a deletion does not. With the system clock a day ahead for five minutes, a
revocation that is still needed would be deleted, and the token would be valid again afterwards. So what is deleted is
decided by a time that moves at most `RATE` times as fast as the process runs, forwards and backwards, and that is kept
in the store: a restart must not skip to a wrong time either.
"""

from contextlib import suppress
from typing import Final

from herod.records import ClockRecord
from herod.store.store_interface import Store
from herod_client.core.errors import Unavailable

__all__ = ["MAX_ELAPSED_SECONDS", "RATE", "SteadyClock", "keep_steady_clock", "load_steady_clock"]

# Seconds per second that herod runs. With records kept for a day after they expire, the clock may be wrong, by whatever
# it is, for almost two hours; and a machine that runs two hours a day keeps up.
RATE: Final = 12
# The longest time between two readings that counts: a process that was stopped, or a monotonic clock that jumped, does
# not prove that time passed.
MAX_ELAPSED_SECONDS: Final = 300
# How far it moves before it is written again.
WRITTEN_EVERY_SECONDS: Final = 3600
RECORD_ID: Final = "steady"


class SteadyClock:
    """Follows the system clock. In Unix seconds.

    Attributes:
        reached: the time that it has reached; None before it starts.
    """

    def __init__(self, reached: int | None = None) -> None:
        self.reached = reached

    def start(self, now: int) -> None:
        """Start at `now`, unless it has started."""
        if self.reached is None:
            self.reached = now

    def follow(self, now: int, *, elapsed: float) -> None:
        """Move towards the system clock.

        Args:
            now: by the system clock.
            elapsed: seconds since the last call, by a monotonic clock.
        """
        self.start(now)
        assert self.reached is not None  # noqa: S101 - for the type checker
        step = int(RATE * min(max(elapsed, 0.0), MAX_ELAPSED_SECONDS))
        self.reached += max(-step, min(step, now - self.reached))

    def earliest(self, now: int) -> int:
        """The earliest time that it may be: what had not expired by then must not be deleted."""
        return now if self.reached is None else min(now, self.reached)


async def load_steady_clock(store: Store, now: int) -> SteadyClock:
    """The clock, at the time that an earlier process reached; in a new store, at `now`.

    A store of an earlier version has no such time: then that of its newest audit row, if it is earlier than `now`.

    Raises:
        Unavailable: the store cannot be written.
    """
    with suppress(Unavailable):  # damaged: it is replaced
        record = store.get(ClockRecord, RECORD_ID)
        if record is not None:
            return SteadyClock(record.reached)
    rows = store.audit_rows(after=store.audit_head[0] - 1, limit=1)
    clock = SteadyClock(min([now, *(row.event.at for row in rows)]))
    await keep_steady_clock(store, clock)
    return clock


async def keep_steady_clock(store: Store, clock: SteadyClock) -> None:
    """Write the time for the next start, if it has moved far.

    Raises:
        Unavailable: the store cannot be written.
    """
    reached = clock.reached
    if reached is None:
        return
    with suppress(Unavailable):
        record = store.get(ClockRecord, RECORD_ID)
        if record is not None and abs(record.reached - reached) < WRITTEN_EVERY_SECONDS:
            return
    await store.write(lambda tx: tx.put(ClockRecord(id=RECORD_ID, created_at=reached, reached=reached)))
