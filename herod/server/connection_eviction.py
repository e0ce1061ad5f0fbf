"""Connection eviction: chooses the connection to end when the limit is reached, fairly between sources.

No source may lock others out, however often it connects. So a new connection at once replaces one of a source that has
more connections than the newcomer's would; among equals, only a connection that has kept herod waiting for some time is
evicted. A source is a local user, or an address as the rate limits see it: all of 127.0.0.0/8 is one, an IPv6 /64 is
one.

It must never choose a connection whose request is being processed, and it only chooses: the caller ends connections.
"""

from typing import Generic, Protocol, TypeVar

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
        self.by_source: dict[str, set[Candidate]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, one: Candidate) -> None:
        """Add a connection."""
        self.by_source.setdefault(one.share, set()).add(one)
        self._count += 1

    def discard(self, one: Candidate) -> None:
        """Remove a connection; may be called again."""
        source = self.by_source.get(one.share)
        if source is None or one not in source:
            return
        source.remove(one)
        self._count -= 1
        if not source:
            del self.by_source[one.share]

    def choose(self, newcomer: str | None, *, latest: float) -> Candidate | None:
        """The connection to evict for a newcomer, or None.

        Unfinished requests are evicted before idle connections: otherwise a client that fills the limit with requests
        that never end would lock out all others, and by reconnecting do so permanently.

        Args:
            newcomer: its source; None if it is not known yet.
            latest: a connection that has waited since then, or longer, counts as unused.
        """
        own = len(self.by_source.get(newcomer, ())) if newcomer is not None else None
        if own is not None:
            heavier = [source for source in self.by_source.values() if len(source) > own + 1]
            for source in sorted(heavier, key=len, reverse=True):
                waiting = [one for one in source if one.is_receiving or one.is_sending]
                if waiting:
                    return min(waiting, key=lambda one: _order(one, latest))
        waiting = [
            one
            for source in self.by_source.values()
            if len(source) >= (own or 0)
            for one in source
            if one.is_receiving and one.waits_since <= latest
        ]
        return min(waiting, key=lambda one: _order(one, latest), default=None)


def _order(one: EvictionCandidate, latest: float) -> tuple[bool, bool, bool, float]:
    """Sort order: long waits first, then unfinished requests, then the longest wait; those being sent to last."""
    return not one.is_receiving, one.waits_since > latest, one.is_idle, one.waits_since
