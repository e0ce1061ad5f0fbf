"""Who gives up a place when all are taken: the connections that are there, by the source they come from.

Nobody may be kept out by what one source does, however often it comes. So a newcomer gets a place of a source that
holds more than the newcomer's would, at once; among equals only who has kept herod waiting for some time gives way. A
source is a local user, or an address as the guessing limits see it: all of 127.0.0.0/8 is one, an IPv6 /64 is one.

Must never end a connection whose request is being carried out, nor do anything else to one: it only chooses.
"""

from typing import Generic, Protocol, TypeVar

__all__ = ["Eviction", "EvictionCandidate"]


class EvictionCandidate(Protocol):
    """A connection, as far as its place is concerned.

    Attributes:
        share: the source it comes from.
        is_receiving: waiting for the client to send.
        is_idle: between two requests; else in the middle of one.
        is_sending: waiting for the client to take an answer.
        waits_since: when it began to wait for what the client is to send.
    """

    share: str
    is_receiving: bool
    is_idle: bool
    is_sending: bool
    waits_since: float


Candidate = TypeVar("Candidate", bound=EvictionCandidate)


class Eviction(Generic[Candidate]):
    """The connections that have a place."""

    def __init__(self) -> None:
        self.by_source: dict[str, set[Candidate]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, one: Candidate) -> None:
        """It has a place."""
        self.by_source.setdefault(one.share, set()).add(one)
        self._count += 1

    def discard(self, one: Candidate) -> None:
        """It has none any more; to be called as often as one likes."""
        source = self.by_source.get(one.share)
        if source is None or one not in source:
            return
        source.remove(one)
        self._count -= 1
        if not source:
            del self.by_source[one.share]

    def choose(self, newcomer: str | None, *, latest: float) -> Candidate | None:
        """Who is to make room for a newcomer from this source, or from one that is not known yet; None for nobody.

        Half a request goes before none: otherwise whoever fills all places with requests that never end keeps
        everybody out, and by coming again does so for good.

        Args:
            newcomer: its source.
            latest: who has waited since then, or longer, is taken not to be in use.
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
    """First who waits long, then who is in the middle of a request, then who has waited longest; answers last."""
    return not one.is_receiving, one.waits_since > latest, one.is_idle, one.waits_since
