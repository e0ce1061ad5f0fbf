"""What connections hold of answers that their clients have not taken yet: counted in bytes, and bounded.

A client that asks and does not read costs what it was answered, for as long as `write_seconds`. So each connection,
each source and all together have a bound, and beyond it connections end: those of the source that holds most, the one
that has waited longest first. Nobody is cut off for what another source does not read.

Must never count what all connections share, such as a document of one kept copy, nor end anything itself: `add` says
who is to end.
"""

from typing import Generic, Protocol, TypeVar

from herod.server.connection_limits import Limits

__all__ = ["SMALL_BYTES", "SendBuffers", "Sender"]

# So little is not counted: even all connections together hold not much of it, and most answers cost nothing here.
SMALL_BYTES = 8 * 1024


class Sender(Protocol):
    """A connection, as far as its unsent bytes are concerned.

    Attributes:
        share: the source it comes from.
    """

    share: str


One = TypeVar("One", bound=Sender)


class SendBuffers(Generic[One]):
    """The connections that hold answers which are not small."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[str, dict[One, int]] = {}  # by source, those that have waited longest first
        self._sums: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, one: One, count: int) -> list[One]:
        """It holds so many bytes; who is to end for that, perhaps itself."""
        self._held.setdefault(one.share, {})[one] = count
        self._sums[one.share] = self._sums.get(one.share, 0) + count
        self._total += count
        ending: list[One] = []
        if count > self._limits.unsent_bytes:
            ending.append(self._drop(one))
        while self._sums.get(one.share, 0) > self._limits.unsent_bytes_of_source:
            ending.append(self._drop(next(iter(self._held[one.share]))))
        while self._total > self._limits.unsent_bytes_in_all:
            heaviest = max(self._sums, key=self._sums.__getitem__)
            ending.append(self._drop(next(iter(self._held[heaviest]))))
        return ending

    def discard(self, one: One) -> None:
        """It holds none any more; to be called as often as one likes."""
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
