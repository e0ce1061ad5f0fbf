"""A cache bounded in entries and bytes, for values that can be read or computed again.

Must never hold the only copy of a value: the least recently used entries are evicted silently.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Two generations: entries used since the last rotation, and older ones. A hit is usually one dict lookup.

    Two threads may use it at once: at worst an entry is evicted early, or miscounted until the next rotation.

    Args:
        entries: the maximum number, in both generations together.
        total: the maximum size of all entries, in bytes.
        size: about how many bytes an entry takes in memory, with its key. Called when it is kept, never on a hit.
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
        """Return the value of a key, or None."""
        found = self._recent.get(key)
        if found is None and (found := self._older.pop(key, None)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: K, value: V) -> None:
        """Store a value, unless it takes more than half of `total`."""
        size = self._size(key, value)
        if size > self._room:
            self.forget(key)  # the key's former value is out of date
            return
        if len(self._recent) >= self._entries or self._used + size > self._room:
            self._older, self._recent, self._used = self._recent, {}, 0
        self._recent[key] = value
        self._used += size

    def forget(self, key: K) -> None:
        """Remove a key. Its bytes are freed by the next rotation."""
        self._recent.pop(key, None)
        self._older.pop(key, None)

    def clear(self) -> None:
        """Remove everything."""
        self._older, self._recent, self._used = {}, {}, 0
