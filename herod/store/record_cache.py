"""Records by id, kept exact: also remembers ids that have no record, for most tokens asked about are not revoked.

Used on the event loop alone. Whoever commits calls `forget` there with all that the commit changed before it answers
anyone, and a reader stores only what it has just read without awaiting in between. So what stands here is what the
last acknowledged write left, and never older. Nothing is set from a commit: forgetting cannot be wrong.
"""

from typing import Final

from herod.records import Record
from herod_client.core.bounded_cache import BoundedCache

__all__ = ["ABSENT", "CACHED_BYTES", "Absent", "Key", "RecordCache", "record_bytes"]

Key = tuple[str, str]
"""kind and id."""

MAX_ID_CHARS: Final = 128
# Of all records that are kept; the same once more for ids without one.
CACHED_BYTES: Final = 32 * 1024 * 1024
# What Python takes for a record besides its letters, for a name of 64 letters in a list, and for an unknown id.
RECORD_BYTES: Final = 1024
ITEM_BYTES: Final = 128
ABSENT_BYTES: Final = 512


class Absent:
    """There is no such record: something known, unlike None for nothing known."""


ABSENT: Final = Absent()


class RecordCache:
    """Bounded in number and bytes; what was used least recently goes first, roughly.

    Args:
        size: records kept, and ids without a record kept besides: guessed ids push out no record.
    """

    __slots__ = ("_absent", "_present")

    def __init__(self, size: int) -> None:
        self._present: BoundedCache[Key, Record] = BoundedCache(
            entries=size, total=CACHED_BYTES, size=lambda _, record: record_bytes(record)
        )
        self._absent: BoundedCache[Key, Absent] = BoundedCache(
            entries=size, total=CACHED_BYTES, size=lambda *_: ABSENT_BYTES
        )

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


def record_bytes(record: Record) -> int:
    """About how many bytes a record takes in memory, never much less: a name in a list takes more than its letters."""
    size = RECORD_BYTES
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            size += len(value) if value.isascii() else 4 * len(value)
        elif isinstance(value, bytes):
            size += len(value)
        elif isinstance(value, tuple):
            size += ITEM_BYTES * len(value)
    return size
