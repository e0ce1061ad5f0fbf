"""Limits the bytes of responses that clients have not read yet.

A client that sends requests and does not read costs the memory of its responses, for as long as `write_seconds`. So
each connection, each source and all connections together have a limit, and over it connections end: those of the
source with the most unsent bytes, in the range of sources with the most; oldest first. No client is cut off for what
another source does not read.

Must never count bytes that connections share, such as a document of which one copy is kept, nor end a connection
itself: `add` returns those to end.
"""

from collections import Counter
from typing import Generic, Protocol, TypeVar

from herod.server.connection_limits import Limits
from herod.throttle.source_ranges import range_of

__all__ = ["SMALL_BYTES", "SendBuffers", "Sender"]

# Smaller responses are not counted: they add up to little even on all connections, and most responses are small.
SMALL_BYTES = 8 * 1024


class Sender(Protocol):
    """A connection, as the limits of unsent bytes see it.

    Attributes:
        share: its source.
    """

    share: str


One = TypeVar("One", bound=Sender)


class SendBuffers(Generic[One]):
    """The connections with unsent responses that are not small."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[str, dict[One, int]] = {}  # by source, those that have waited longest first
        self._sums: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, one: One, count: int) -> list[One]:
        """Count a connection's unsent bytes; return the connections to end for it, possibly including itself."""
        self._held.setdefault(one.share, {})[one] = count
        self._sums[one.share] = self._sums.get(one.share, 0) + count
        self._total += count
        ending: list[One] = []
        if count > self._limits.unsent_bytes:
            ending.append(self._drop(one))
        while self._sums.get(one.share, 0) > self._limits.unsent_bytes_of_source:
            ending.append(self._drop(next(iter(self._held[one.share]))))
        while self._total > self._limits.unsent_bytes_in_all:
            ending.append(self._drop(next(iter(self._held[self._heaviest()]))))
        return ending

    def _heaviest(self) -> str:
        """The source with the most, of the range with the most."""
        of_range = Counter[str]()
        for share, count in self._sums.items():
            of_range[range_of(share)] += count
        return max(self._sums, key=lambda share: (of_range[range_of(share)], self._sums[share]))

    def discard(self, one: One) -> None:
        """Forget a connection's unsent bytes; may be called again."""
        if one in self._held.get(one.share, ()):
            self._drop(one)

    def _drop(self, one: One) -> One:
        held = self._held[one.share]
        count = held.pop(one)
        self._total -= count
        self._sums[one.share] -= count
        if not held:
            del self._held[one.share], self._sums[one.share]
        return one
