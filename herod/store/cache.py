"""Records by id, kept exact: also remembers ids that have no record, for most tokens asked about are not revoked.

Used on the event loop alone. Whoever commits calls `forget` there with all that the commit changed before it answers
anyone, and a reader stores only what it has just read without awaiting in between. So what stands here is what the
last acknowledged write left, and never older. Nothing is set from a commit: forgetting cannot be wrong.
"""

from typing import Final, Generic, TypeVar

import msgspec

from herod.records import Record

__all__ = ["ABSENT", "Absent", "Key", "RecordCache", "encoded_size"]

T = TypeVar("T")

Key = tuple[str, str]
"""kind and id."""

MAX_ID_CHARS: Final = 128


_encode: Final = msgspec.msgpack.Encoder().encode


def encoded_size(record: Record) -> int:
    """A record's size in bytes, as it is kept; in memory it takes some times that."""
    return len(_encode(record))


class Absent:
    """There is no such record: something known, unlike None for nothing known."""


ABSENT: Final = Absent()


class RecordCache:
    """Bounded; what was used least recently goes first, roughly.

    Args:
        size: records kept, and ids without a record kept besides: guessed ids push out no record.
        most_bytes: of the records, as `encoded_size` counts them.
    """

    __slots__ = ("_absent", "_present")

    def __init__(self, size: int, most_bytes: int) -> None:
        self._present: _Generations[Record] = _Generations(size, most_bytes)
        self._absent: _Generations[Absent] = _Generations(size, most_bytes)

    def __len__(self) -> int:
        return len(self._present) + len(self._absent)

    def get(self, key: Key) -> Record | Absent | None:
        """What is known of it; None when nothing is."""
        return self._present.get(key) or self._absent.get(key)

    def keep(self, key: Key, record: Record | None) -> None:
        """Remember what was just read from the store."""
        if record is not None:
            self._present.keep(key, record, encoded_size(record))
        elif len(key[1]) <= MAX_ID_CHARS:  # a stranger chooses these: a bound on their number alone is none
            self._absent.keep(key, ABSENT)

    def forget(self, key: Key) -> None:
        """It has changed."""
        self._present.forget(key)
        self._absent.forget(key)


class _Generations(Generic[T]):
    """Two halves: what was used since the last turn, and the rest. One dict lookup for what is used often."""

    __slots__ = ("_half", "_half_bytes", "_older", "_recent", "_recent_bytes")

    def __init__(self, size: int, most_bytes: int) -> None:
        self._half = max(1, size // 2)
        self._half_bytes = most_bytes // 2
        self._recent: dict[Key, T] = {}
        self._recent_bytes = 0
        self._older: dict[Key, T] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def get(self, key: Key) -> T | None:
        found = self._recent.get(key)
        if found is None and (found := self._older.pop(key, None)) is not None:
            self.keep(key, found, encoded_size(found) if isinstance(found, Record) else 0)
        return found

    def keep(self, key: Key, value: T, size: int = 0) -> None:
        if len(self._recent) >= self._half or (self._recent and self._recent_bytes + size > self._half_bytes):
            self._older, self._recent, self._recent_bytes = self._recent, {}, 0
        self._recent[key] = value
        self._recent_bytes += size

    def forget(self, key: Key) -> None:
        self._recent.pop(key, None)
        self._older.pop(key, None)
