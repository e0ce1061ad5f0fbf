"""Turns for slow work that runs one piece at a time: the sources that wait are served in rotation.

However much one source asks for, another waits for at most one turn of each other source, and for the work that runs
already. The bound on the sources that may wait at once therefore bounds everybody's wait; of a range of sources that
one person can have (`source_ranges.py`) only one is served in a rotation.

A source that was refused for a wrong secret several times in the last minutes is served after the others, so that a
sign-in hardly waits while many sources guess; but every fourth turn goes to whoever has waited the longest. A full
queue refuses a newcomer only if its source waits for as much as any other; otherwise the last of the source that waits
for the most is refused instead.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from herod.throttle.source_ranges import range_of
from herod_client.core.errors import Unauthenticated, Unavailable

__all__ = ["MAX_WAITING", "MAX_WAITING_RANGES", "FairTurns"]

# Pieces of work that wait, in all.
MAX_WAITING: Final = 64
# Ranges of sources that wait at a time: with 30 ms for a turn, the last waits for less than a second.
MAX_WAITING_RANGES: Final = 24
# So many refusals, with `HALF_LIFE` seconds, make a source wait for the others.
SUSPECT: Final = 3.0
HALF_LIFE: Final = 60.0
# Every so many turns, whoever has waited the longest is served.
PLAIN_TURN: Final = 4
# Sources whose past is remembered.
MAX_REMEMBERED: Final = 4096


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call that waits for its turn."""

    source: str
    number: int
    may_go: trio.Event = field(default_factory=trio.Event)
    is_refused: bool = False


@dataclass(slots=True)
class _Past:
    """What is remembered of a source or a range."""

    last_turn: int = 0
    refusals: float = 0.0
    at: float = 0.0

    def suspicion(self, now: float) -> float:
        refusals: float = self.refusals * 0.5 ** ((now - self.at) / HALF_LIFE)
        return refusals


class FairTurns:
    """Gives turns, one at a time.

    Args:
        refusal: the message for those that a full queue refuses.
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._waiting: dict[str, dict[str, deque[_Waiter]]] = {}  # by range, then by source
        self._past: dict[str, _Past] = {}
        self._is_taken = False
        self._turns = 0
        self._calls = 0

    @asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the block. A block that raises `Unauthenticated` counts as a wrong guess.

        Args:
            source: as limits name it.

        Raises:
            Unavailable: too many others wait already.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_taken:
            await self._wait(source)
        self._is_taken = True
        self._begin(source)
        try:
            yield
        except Unauthenticated:
            self._suspect(source)
            raise
        finally:
            self._hand_over()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(queue) for sources in self._waiting.values() for queue in sources.values())

    async def _wait(self, source: str) -> None:
        self._make_room(source)
        self._calls += 1
        waiter = _Waiter(source, self._calls)
        self._waiting.setdefault(range_of(source), {}).setdefault(source, deque()).append(waiter)
        try:
            await waiter.may_go.wait()
        except trio.Cancelled:
            if waiter.may_go.is_set():
                if not waiter.is_refused:  # the turn was ours already
                    self._hand_over()
            else:
                self._remove(waiter)
            raise
        if waiter.is_refused:
            raise self._full()

    def _make_room(self, source: str) -> None:
        """Refuse somebody if the queue is full: the newcomer, or who waits for the most.

        Raises:
            Unavailable: the newcomer.
        """
        if not self._waiting:
            return
        own = range_of(source)
        if own not in self._waiting and len(self._waiting) >= MAX_WAITING_RANGES:
            worst = max(self._waiting, key=self._suspicion)
            if self._suspicion(worst) < SUSPECT or self._suspicion(own) >= SUSPECT:
                raise self._full()
            for waiter in [waiter for queue in self._waiting[worst].values() for waiter in queue]:
                self._refuse(waiter)
        elif self.waiting >= MAX_WAITING:
            sizes = {name: sum(map(len, sources.values())) for name, sources in self._waiting.items()}
            heaviest = max(sizes, key=lambda name: (sizes[name], name == own))
            if heaviest != own and sizes[heaviest] <= sizes.get(own, 0) + 1:
                raise self._full()
            queues = self._waiting[heaviest]
            most = max(queues, key=lambda name: (len(queues[name]), name == source))
            if heaviest == own and len(queues[most]) <= len(queues.get(source, ())) + 1:
                raise self._full()
            self._refuse(queues[most][-1])

    def _hand_over(self) -> None:
        """Give the turn to the next, or leave it free."""
        self._is_taken = bool(self._waiting)
        if not self._waiting:
            return
        if self._turns % PLAIN_TURN == 0:
            firsts = (queue[0] for queues in self._waiting.values() for queue in queues.values())
            waiter = min(firsts, key=lambda one: one.number)
        else:
            queues = self._waiting[min(self._waiting, key=self._order)]
            waiter = queues[min(queues, key=self._order)][0]
        self._remove(waiter)
        waiter.may_go.set()

    def _order(self, name: str) -> tuple[bool, int]:
        past = self._past.get(name)
        return self._suspicion(name) >= SUSPECT, past.last_turn if past is not None else 0

    def _suspicion(self, name: str) -> float:
        past = self._past.get(name)
        return past.suspicion(trio.current_time()) if past is not None else 0.0

    def _begin(self, source: str) -> None:
        self._turns += 1
        for name in {source, range_of(source)}:
            self._remember(name).last_turn = self._turns

    def _suspect(self, source: str) -> None:
        now = trio.current_time()
        for name in {source, range_of(source)}:
            past = self._remember(name)
            past.refusals, past.at = past.suspicion(now) + 1, now

    def _remember(self, name: str) -> _Past:
        past = self._past.pop(name, None) or _Past()
        if len(self._past) >= MAX_REMEMBERED:
            del self._past[next(iter(self._past))]
        self._past[name] = past
        return past

    def _refuse(self, waiter: _Waiter) -> None:
        self._remove(waiter)
        waiter.is_refused = True
        waiter.may_go.set()

    def _remove(self, waiter: _Waiter) -> None:
        name = range_of(waiter.source)
        queues = self._waiting[name]
        queues[waiter.source].remove(waiter)
        if not queues[waiter.source]:
            del queues[waiter.source]
        if not queues:
            del self._waiting[name]

    def _full(self) -> Unavailable:
        return Unavailable(self._refusal, reason="work_queue_full")
