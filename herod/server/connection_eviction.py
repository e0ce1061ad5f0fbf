"""Connection eviction: chooses the connection to end when the limit is reached, fairly between sources.

No source may lock others out, however often it connects. So a new connection at once replaces one of a source that has
more connections than the newcomer's would; among equals, only a connection that has kept herod waiting for some time is
evicted. A source is a local user, or an address as the rate limits see it: all of 127.0.0.0/8 is one, an IPv6 /64 is
one. Sources that one person can have many of (`herod/throttle/source_ranges.py`) are first compared together.

It must never choose a connection whose request is being processed, and it only chooses: the caller ends connections.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from herod.throttle.source_ranges import range_of

__all__ = ["Eviction", "EvictionCandidate"]


class EvictionCandidate(Protocol):
    """A connection, as eviction sees it.

    Attributes:
        share: its source.
        is_receiving: waiting for the client to send.
        is_idle: between two requests; else in the middle of one.
        is_sending: waiting for the client to read a response.
        waits_since: since when it has been waiting for the client to send.
    """

    share: str
    is_receiving: bool
    is_idle: bool
    is_sending: bool
    waits_since: float


Candidate = TypeVar("Candidate", bound=EvictionCandidate)


class Eviction(Generic[Candidate]):
    """The connections that count against the limit."""

    def __init__(self) -> None:
        self.by_range: dict[str, dict[str, set[Candidate]]] = {}  # and by source
        self._of_range: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of_range.total()

    def add(self, one: Candidate) -> None:
        """Add a connection."""
        range_ = range_of(one.share)
        self.by_range.setdefault(range_, {}).setdefault(one.share, set()).add(one)
        self._of_range[range_] += 1

    def discard(self, one: Candidate) -> None:
        """Remove a connection; may be called again."""
        range_ = range_of(one.share)
        sources = self.by_range.get(range_, {})
        source = sources.get(one.share)
        if source is None or one not in source:
            return
        source.remove(one)
        self._of_range[range_] -= 1
        if not source:
            del sources[one.share]
        if not sources:
            del self.by_range[range_], self._of_range[range_]

    def choose(self, newcomer: str | None, *, latest: float) -> Candidate | None:
        """The connection to evict for a newcomer, or None.

        Unfinished requests are evicted before idle connections: otherwise a client that fills the limit with requests
        that never end would lock out all others, and by reconnecting do so permanently.

        Args:
            newcomer: its source; None if it is not known yet.
            latest: a connection that has waited since then, or longer, counts as unused.
        """
        own_range = range_of(newcomer) if newcomer is not None else ""
        own = len(self.by_range.get(own_range, {}).get(newcomer or "", ()))
        if newcomer is not None:
            for source in self._heavier(own_range, own):
                waiting = [one for one in source if one.is_receiving or one.is_sending]
                if waiting:
                    return min(waiting, key=lambda one: _order(one, latest))
        waiting = [
            one
            for range_, sources in self.by_range.items()
            if self._of_range[range_] >= self._of_range[own_range]
            for source in sources.values()
            if range_ != own_range or len(source) >= own
            for one in source
            if one.is_receiving and one.waits_since <= latest
        ]
        return min(waiting, key=lambda one: _order(one, latest), default=None)

    def _heavier(self, own_range: str, own: int) -> Iterator[set[Candidate]]:
        """The sources that hold more than the newcomer's would: of other ranges, then of its own; the most first."""
        limit = self._of_range[own_range] + 1
        for range_ in sorted(self.by_range, key=self._of_range.__getitem__, reverse=True):
            if self._of_range[range_] > limit:
                yield from sorted(self.by_range[range_].values(), key=len, reverse=True)
        siblings = [source for source in self.by_range.get(own_range, {}).values() if len(source) > own + 1]
        yield from sorted(siblings, key=len, reverse=True)


def _order(one: EvictionCandidate, latest: float) -> tuple[bool, bool, bool, float]:
    """Sort order: long waits first, then unfinished requests, then the longest wait; those being sent to last."""
    return not one.is_receiving, one.waits_since > latest, one.is_idle, one.waits_since
