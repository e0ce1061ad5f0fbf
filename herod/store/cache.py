"""Records by id, kept exact: also remembers ids that have no record, for most tokens asked about are not revoked.

Used on the event loop alone. Whoever commits calls `forget` there with all that the commit changed before it answers
anyone, and a reader stores only what it has just read without awaiting in between. So what stands here is what the
last acknowledged write left, and never older. Nothing is set from a commit: forgetting cannot be wrong.
"""

from typing import Final, Generic, TypeVar

from herod.records import Record

__all__ = ["ABSENT", "Absent", "Key", "RecordCache"]

T = TypeVar("T")

Key = tuple[str, str]
"""kind and id."""

MAX_ID_CHARS: Final = 128


class Absent:
    """There is no such record: something known, unlike None for nothing known."""


ABSENT: Final = Absent()


class RecordCache:
    """Bounded; what was used least recently goes first, roughly.

    Args:
        size: records kept, and ids without a record kept besides: guessed ids push out no record.
    """

    __slots__ = ("_absent", "_present")

    def __init__(self, size: int) -> None:
        self._present: _Generations[Record] = _Generations(size)
        self._absent: _Generations[Absent] = _Generations(size)

    def __len__(self) -> int:
        return len(self._present) + len(self._absent)

    def get(self, key: Key) -> Record | Absent | None:
        """What is known of it; None when nothing is."""
        return self._present.get(key) or self._absent.get(key)

    def keep(self, key: Key, record: Record | None) -> None:
        """Remember what was just read from the store."""
        if record is not None:
            self._present.keep(key, record)
        elif len(key[1]) <= MAX_ID_CHARS:  # a stranger chooses these: a bound on their number alone is none
            self._absent.keep(key, ABSENT)

    def forget(self, key: Key) -> None:
        """It has changed."""
        self._present.forget(key)
        self._absent.forget(key)


class _Generations(Generic[T]):
    """Two halves: what was used since the last turn, and the rest. One dict lookup for what is used often."""

    __slots__ = ("_half", "_older", "_recent")

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._recent: dict[Key, T] = {}
        self._older: dict[Key, T] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def get(self, key: Key) -> T | None:
        found = self._recent.get(key)
        if found is None and (found := self._older.pop(key, None)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: Key, value: T) -> None:
        if len(self._recent) >= self._half:
            self._older, self._recent = self._recent, {}
        self._recent[key] = value

    def forget(self, key: Key) -> None:
        self._recent.pop(key, None)
        self._older.pop(key, None)
