"""A consistent cache of records by id, which also caches missing ids, because most checked tokens are not revoked.

Used on the event loop only. After a commit, `forget` is called there for all changed records before any caller gets its
result, and a reader stores only what it has just read, without awaiting in between. So the cache has the state of the
last acknowledged write, never an older one. A commit never sets entries: only removing them cannot be wrong.
"""

from collections.abc import Sequence
from typing import Final

from herod.records import PeerRule, Record
from herod_client.core.bounded_cache import BoundedCache

__all__ = ["ABSENT", "CACHED_BYTES", "FOUND_KINDS", "Absent", "Key", "RecordCache", "record_bytes"]

Key = tuple[str, str]
"""kind and id."""
FoundKey = tuple[str, ...]
"""kind, name of the lookup, and words, as `Reader.find_any` takes them."""

MAX_ID_CHARS: Final = 128
# The limit for all cached records, and the same again for missing ids.
CACHED_BYTES: Final = 32 * 1024 * 1024
# The limits for what was found by many words at once: the rules for the groups of a local process.
CACHED_FINDS: Final = 256
CACHED_FINDS_BYTES: Final = 16 * 1024 * 1024
# Python's memory for a record besides its strings, for a name of 64 letters in a list, and for a missing id.
RECORD_BYTES: Final = 1024
ITEM_BYTES: Final = 128
ABSENT_BYTES: Final = 512
# The kinds whose finds are cached: they change rarely, and each change empties the cache.
FOUND_KINDS: Final = frozenset({PeerRule.kind})


class Absent:
    """Cached knowledge that there is no such record; None means that nothing is cached."""


ABSENT: Final = Absent()


class RecordCache:
    """Bounded in number and bytes; approximately the least recently used entry is evicted first.

    Args:
        size: the number of records, and separately of missing ids: guessed ids evict no record.
    """

    __slots__ = ("_absent", "_found", "_present")

    def __init__(self, size: int) -> None:
        self._present: BoundedCache[Key, Record] = BoundedCache(
            entries=size, total=CACHED_BYTES, size=lambda _, record: record_bytes(record)
        )
        self._absent: BoundedCache[Key, Absent] = BoundedCache(
            entries=size, total=CACHED_BYTES, size=lambda *_: ABSENT_BYTES
        )
        self._found: BoundedCache[FoundKey, Sequence[Record]] = BoundedCache(
            entries=CACHED_FINDS, total=CACHED_FINDS_BYTES, size=_found_bytes
        )

    def __len__(self) -> int:
        return len(self._present) + len(self._absent)

    def get(self, key: Key) -> Record | Absent | None:
        """The cached record or `ABSENT`; None if nothing is cached."""
        return self._present.get(key) or self._absent.get(key)

    def keep(self, key: Key, record: Record | None) -> None:
        """Cache what was just read from the store."""
        if record is not None:
            self._present.keep(key, record)
        elif len(key[1]) <= MAX_ID_CHARS:  # strangers choose these ids: limiting only their number is not enough
            self._absent.keep(key, ABSENT)

    def get_found(self, key: FoundKey) -> Sequence[Record] | None:
        """What was found by these words; None if nothing is cached."""
        return self._found.get(key)

    def keep_found(self, key: FoundKey, records: Sequence[Record]) -> None:
        """Cache what was just found in the store."""
        self._found.keep(key, records)

    def forget(self, key: Key) -> None:
        """Remove an entry whose record has changed, and what may have been found with it or without it."""
        self._present.forget(key)
        self._absent.forget(key)
        if key[0] in FOUND_KINDS:
            self._found.clear()


def record_bytes(record: Record) -> int:
    """The approximate memory size of a record in bytes, never much too low."""
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


def _found_bytes(key: FoundKey, records: Sequence[Record]) -> int:
    return ITEM_BYTES * len(key) + sum(map(record_bytes, records))
