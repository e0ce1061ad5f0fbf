"""Counts attempts at secrets in the store by the rules of `rules.py`, and delays or refuses them.

An attempt is counted in its own commit before any slow work, so that neither concurrent guesses nor a restart or crash
in the middle gain a free one. A locked attempt is refused after a read: it costs no write and no hash. An attempt that
was never judged (a full queue, a bad parameter, a store that cannot write) is uncounted.

Guesses at legacy and ownership secrets are checked in one step on the event loop, so they cannot race each other.
They are counted in memory and written within a second and at shutdown: with a commit for each, anyone who can send a
header could keep the disk busy. A crash loses what was not yet written, at most ten guesses a source; a restart loses
none. They are not delayed: the services of a whole machine may share one legacy secret, and strangers could slow down
all of them. Correct secrets are not counted, so that services which ask often cause no writes.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import ceil
from typing import Final

import trio

from herod.credentials.keyring import Keyring, Purpose
from herod.records import GuessCount
from herod.store.store_interface import Reader, Store, Writer
from herod.throttle.fair_places import FairPlaces
from herod.throttle.rules import (
    MAX_DELAYED,
    MAX_DELAYED_PER_SOURCE,
    PAIR,
    Attempt,
    CountedAttempt,
    Counter,
    add,
    delay,
    seconds_locked,
    take_back,
)
from herod.throttle.source_ranges import range_of
from herod_client.core.errors import HerodError, RateLimited, SecondFactorNeeded, Unauthenticated, Unavailable

__all__ = ["MAX_UNWRITTEN", "AttemptLimiter"]

logger = logging.getLogger("herod.operations")

# Counters with unwritten guesses; while the store cannot write, the oldest are dropped.
MAX_UNWRITTEN: Final = 4096
CROWDED: Final = "too_many_delayed"


class AttemptLimiter:
    """Counts attempts in one store and enforces the rules."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keyring = store.keyring
        self._delayed = FairPlaces(MAX_DELAYED, MAX_DELAYED, MAX_DELAYED_PER_SOURCE)  # by range and source
        self._unwritten: dict[str, GuessCount] = {}

    @asynccontextmanager
    async def counting(self, attempt: Attempt, now: int) -> AsyncIterator[CountedAttempt]:
        """Count an attempt, wait for the delay of its rules, then run the block.

        On success the block calls `settle` in its transaction. An attempt that fails for any reason but a wrong
        secret is uncounted here.

        Raises:
            RateLimited: the attempt is locked, or too many are waiting already: from its source, or from its range
                while others need the places.
            Unavailable: the attempt could not be counted, so it is refused.
        """
        await self._count(attempt, now)
        counted = CountedAttempt(attempt, now)
        try:
            yield counted
        except SecondFactorNeeded:  # the secret was right
            await self._give_back(counted)
            raise
        except Unauthenticated:
            raise
        except HerodError:
            if attempt.is_guess:
                await self._give_back(counted)
            raise

    def settle(self, tx: Writer, counted: CountedAttempt) -> None:
        """Record a correct guess: clear its pair counter, and uncount it from the others."""
        if counted.attempt.is_guess:
            for counter in counted.attempt.counters:
                self._take_back(tx, counter, counted.at, is_right=True)

    def check(self, *counters: Counter, now: int) -> None:
        """Refuse an attempt that a rule locks, right or wrong, before the secret is checked.

        Raises:
            RateLimited: one of the counters is locked.
        """
        for counter in counters:
            _refuse_if_locked(counter, self._waiting_count(self._id(counter)), now)

    def count(self, *counters: Counter, now: int) -> None:
        """Count a wrong guess, in memory for now; no other task may run between the check and this.

        Raises:
            RateLimited: there were too many wrong ones before; then nothing is counted.
        """
        self.check(*counters, now=now)
        for counter in counters:
            id_ = self._id(counter)
            count = self._waiting_count(id_)
            if id_ not in self._unwritten and len(self._unwritten) >= MAX_UNWRITTEN:
                del self._unwritten[next(iter(self._unwritten))]
            self._unwritten[id_] = _one_more(id_, counter, count, now)

    async def flush(self) -> None:
        """Write the guesses counted in memory to the store. Called every second and at shutdown."""
        waiting = dict(self._unwritten)
        if not waiting:
            return
        try:
            await self._store.write(partial(_put, waiting))
        except Unavailable:  # the store has logged why
            return
        for id_, count in waiting.items():
            if self._unwritten.get(id_) is count:
                del self._unwritten[id_]

    async def _count(self, attempt: Attempt, now: int) -> None:
        path = (range_of(attempt.source), attempt.source)
        seconds = self._check(self._store, attempt, now)
        if seconds and not self._delayed.has_room(*path):
            raise _too_many(ceil(seconds), CROWDED)
        seconds = await self._store.write(partial(self._reserve, attempt, now))
        if not seconds:
            return
        with self._delayed.hold(*path) as place:  # None if concurrent attempts, not counted before, have taken them
            if place is not None:
                with place.scope:
                    await trio.sleep(seconds)
                    return
        await self._give_back(CountedAttempt(attempt, now))
        raise _too_many(ceil(seconds), CROWDED)

    def _check(self, reader: Reader, attempt: Attempt, now: int) -> float:
        """How many seconds an attempt must wait.

        Raises:
            RateLimited: a rule locks it.
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
            logger.warning("a failed attempt that was not a wrong guess stays counted", extra={"reason": error.message})

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
    """The id of a counter's record: an HMAC, because ids are stored in clear text."""
    words = (word.encode() for word in counter.words)
    return keyring.mac(Purpose.LOOKUPS, GuessCount.kind.encode(), counter.law.name.encode(), *words).hex()


def _read(reader: Reader, id_: str) -> GuessCount | None:
    """A stored count; also None if its row is damaged, because the next attempt rewrites it."""
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
    """The refusal: the same for all rules and subjects, so that it reveals only the time to wait."""
    unit = "second" if seconds == 1 else "seconds"
    return RateLimited(f"Too many attempts: try again in {seconds} {unit}.", retry_after=seconds, reason=reason)
