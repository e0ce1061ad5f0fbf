"""A cache bounded in number and in bytes, for whatever can be read or worked out again.

Must never be the only place that knows something: what was used least recently goes without a word.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Two generations: what was used since the last turn, and the rest. A hit is one dict lookup, mostly.

    Two threads may use it at once: at worst an entry is forgotten early, or counted a little wrong until the next turn.

    Args:
        entries: how many are kept, in both generations together.
        total: bytes that they may take together.
        size: about how many bytes an entry takes in memory, with its key. Asked when the entry is kept, never on a hit.
    """

    __slots__ = ("_entries", "_older", "_recent", "_room", "_size", "_used")

    def __init__(self, *, entries: int, total: int, size: Callable[[K, V], int]) -> None:
        self._entries = max(1, entries // 2)
        self._room = total // 2
        self._size = size
        self._recent: dict[K, V] = {}
        self._older: dict[K, V] = {}
        self._used = 0

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def get(self, key: K) -> V | None:
        """What is kept under a key; None when nothing is."""
        found = self._recent.get(key)
        if found is None and (found := self._older.pop(key, None)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: K, value: V) -> None:
        """Remember a value. One that takes more than half of all the room is not kept."""
        size = self._size(key, value)
        if size > self._room:
            self.forget(key)  # what was kept under the key before is out of date
            return
        if len(self._recent) >= self._entries or self._used + size > self._room:
            self._older, self._recent, self._used = self._recent, {}, 0
        self._recent[key] = value
        self._used += size

    def forget(self, key: K) -> None:
        """Drop what is kept under a key. Its bytes are free from the next turn on."""
        self._recent.pop(key, None)
        self._older.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._older, self._recent, self._used = {}, {}, 0
