"""Tries at what people choose, counted in the store by the laws of `rules.py`, and held back.

A try is counted in a commit of its own before any slow work, so neither guesses made at one time nor a restart or a
crash in the middle gain one. What is locked is refused by reading alone: it costs no write and no hash. A try that
was never judged (a full queue, a bad parameter, a store that cannot write) is taken back.

Guesses at legacy and at ownership secrets are found in one step on the event loop, where none can overtake another.
They are counted in memory and written within a second and at the end: with a commit for each, anybody who can send a
header could fill the disk's queue. A crash forgets what was not yet written, at most ten guesses a source; a restart
forgets none. They are not delayed: the services of a whole machine stand behind legacy secrets, and strangers could
slow them all; and what is right is not counted, so that services which ask often cost no write.
"""

import logging
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import ceil
from typing import Final

import trio

from herod.credentials.keyring import Keyring, Purpose
from herod.records import GuessCount
from herod.scopes.principal import Source
from herod.store.store_interface import Reader, Store, Writer
from herod.throttle.rules import (
    MAX_DELAYED_PER_SOURCE,
    PAIR,
    Attempt,
    CountedAttempt,
    Counter,
    add,
    delay,
    legacy_counter,
    seconds_locked,
    take_back,
)
from herod_client.core.errors import HerodError, RateLimited, Unauthenticated, Unavailable

__all__ = ["MAX_UNWRITTEN", "AttemptLimiter"]

logger = logging.getLogger("herod.operations")

# Counters whose guesses wait to be written; while the store cannot write, the oldest are forgotten.
MAX_UNWRITTEN: Final = 4096


class AttemptLimiter:
    """The counts of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keyring = store.keyring
        self._delayed: Tally[str] = Tally()
        self._unwritten: dict[str, GuessCount] = {}

    @asynccontextmanager
    async def counting(self, attempt: Attempt, now: int) -> AsyncIterator[CountedAttempt]:
        """Count an attempt, wait as long as its laws say, and then do what is attempted.

        Who succeeds calls `settle` in the transaction that says so; what was refused for another reason than a wrong
        secret is taken back here.

        Raises:
            RateLimited: it is locked, or too many of its source wait already.
            Unavailable: it could not be counted, so it cannot be made.
        """
        await self._count(attempt, now)
        counted = CountedAttempt(attempt, now)
        try:
            yield counted
        except Unauthenticated:
            raise
        except HerodError:
            if attempt.is_guess:
                await self._give_back(counted)
            raise

    def settle(self, tx: Writer, counted: CountedAttempt) -> None:
        """A guess was right: forget its pair, and take it back from the other counts."""
        if counted.attempt.is_guess:
            for counter in counted.attempt.counters:
                self._take_back(tx, counter, counted.at, is_right=True)

    def check_legacy(self, source: Source, now: int) -> None:
        """Refuse a legacy secret, right or wrong, where too many were wrong.

        Raises:
            RateLimited: they were.
        """
        self.check(legacy_counter(source), now)

    def count_legacy(self, source: Source, now: int) -> None:
        """Count a legacy secret that was none.

        Raises:
            RateLimited: there were too many before it.
        """
        self.count(legacy_counter(source), now)

    def check(self, counter: Counter, now: int) -> None:
        """Refuse what a law locks, right or wrong, before it is looked at.

        Raises:
            RateLimited: it is locked.
        """
        _refuse_if_locked(counter, self._waiting_count(self._id(counter)), now)

    def count(self, counter: Counter, now: int) -> None:
        """Count what was wrong, in memory for now; no other task may have run since it was checked.

        Raises:
            RateLimited: there were too many before it.
        """
        id_ = self._id(counter)
        count = self._waiting_count(id_)
        _refuse_if_locked(counter, count, now)
        if id_ not in self._unwritten and len(self._unwritten) >= MAX_UNWRITTEN:
            del self._unwritten[next(iter(self._unwritten))]
        self._unwritten[id_] = _one_more(id_, counter, count, now)

    async def flush(self) -> None:
        """Write down the guesses that were counted in memory. Called every second, and at the end."""
        waiting = dict(self._unwritten)
        if not waiting:
            return
        try:
            await self._store.write(partial(_put, waiting))
        except Unavailable as error:
            logger.warning("guesses are not in the store yet", extra={"reason": error.message})
            return
        for id_, count in waiting.items():
            if self._unwritten.get(id_) is count:
                del self._unwritten[id_]

    async def _count(self, attempt: Attempt, now: int) -> None:
        source = attempt.source
        self._refuse_if_crowded(source, self._check(self._store, attempt, now))
        seconds = await self._store.write(partial(self._reserve, attempt, now))
        if not seconds:
            return
        try:
            self._refuse_if_crowded(source, seconds)  # those that came together with it had no delay to see before
        except RateLimited:
            await self._give_back(CountedAttempt(attempt, now))
            raise
        self._delayed[source] += 1
        try:
            await trio.sleep(seconds)
        finally:
            self._delayed[source] -= 1
            if not self._delayed[source]:
                del self._delayed[source]

    def _refuse_if_crowded(self, source: str, seconds: float) -> None:
        if seconds and self._delayed[source] >= MAX_DELAYED_PER_SOURCE:
            raise _too_many(ceil(seconds), "too_many_delayed")

    def _check(self, reader: Reader, attempt: Attempt, now: int) -> float:
        """How long to wait.

        Raises:
            RateLimited: a law locks it.
        """
        seconds = 0.0
        for counter in attempt.counters:
            count = _read(reader, self._id(counter))
            _refuse_if_locked(counter, count, now)
            seconds = max(seconds, delay(counter.law, count.marks if count is not None else (), now))
        return seconds

    def _reserve(self, attempt: Attempt, now: int, tx: Writer) -> float:
        seconds = self._check(tx, attempt, now)
        for counter in attempt.counters:
            id_ = self._id(counter)
            tx.put(_one_more(id_, counter, _read(tx, id_), now))
        return seconds

    async def _give_back(self, counted: CountedAttempt) -> None:
        def give_back(tx: Writer) -> None:
            for counter in counted.attempt.counters:
                self._take_back(tx, counter, counted.at, is_right=False)

        try:
            await self._store.write(give_back)
        except Unavailable as error:
            logger.warning("a try that was not judged stays counted", extra={"reason": error.message})

    def _take_back(self, tx: Writer, counter: Counter, at: int, *, is_right: bool) -> None:
        id_ = self._id(counter)
        count = _read(tx, id_)
        if count is None:
            return
        marks = () if is_right and counter.law is PAIR else take_back(counter.law, count.marks, at)
        if marks:
            tx.put(_count_of(id_, counter, marks, count.created_at))
        else:
            tx.delete(GuessCount, id_)

    def _waiting_count(self, id_: str) -> GuessCount | None:
        return self._unwritten.get(id_) or _read(self._store, id_)

    def _id(self, counter: Counter) -> str:
        return counter_id(self._keyring, counter)


def counter_id(keyring: Keyring, counter: Counter) -> str:
    """The id under which a counter is kept: it stands in the clear, so it says nothing."""
    words = (word.encode() for word in counter.words)
    return keyring.mac(Purpose.LOOKUPS, GuessCount.kind.encode(), counter.law.name.encode(), *words).hex()


def _read(reader: Reader, id_: str) -> GuessCount | None:
    """A count; None too when its row is damaged, for the next try writes it anew."""
    try:
        return reader.get(GuessCount, id_)
    except Unavailable as error:
        if error.reason != "damaged":
            raise
        return None


def _put(counts: dict[str, GuessCount], tx: Writer) -> None:
    for count in counts.values():
        tx.put(count)


def _one_more(id_: str, counter: Counter, count: GuessCount | None, now: int) -> GuessCount:
    marks = add(counter.law, count.marks if count is not None else (), now)
    return _count_of(id_, counter, marks, count.created_at if count is not None else now)


def _count_of(id_: str, counter: Counter, marks: tuple[tuple[int, int], ...], created_at: int) -> GuessCount:
    ends = marks[-1][0] + counter.law.window
    return GuessCount(id=id_, created_at=created_at, expires_at=ends, marks=marks)


def _refuse_if_locked(counter: Counter, count: GuessCount | None, now: int) -> None:
    if count is not None:
        seconds = seconds_locked(counter.law, count.marks, now)
        if seconds:
            raise _too_many(seconds, f"locked_{counter.law.name}")


def _too_many(seconds: int, reason: str) -> RateLimited:
    """The refusal: one for all laws and subjects, so that it tells nothing but the time."""
    unit = "second" if seconds == 1 else "seconds"
    return RateLimited(f"Too many tries from here: try again in {seconds} {unit}.", retry_after=seconds, reason=reason)
