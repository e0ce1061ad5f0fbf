"""The content of the in-memory store, and how it is read."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from herod.records import Record
from herod.store.audit_chain import ChainEnd, ChainRow
from herod.store.page_cursors import Order, cursor_after, parse_cursor
from herod.store.record_cache import Key
from herod.store.sqlite.sealed_rows import sealed_bytes
from herod.store.store_interface import MAX_PAGE, MAX_READ_BYTES, Page, Usage

__all__ = ["MemoryReader", "MemoryState", "count_read", "lookup_of"]

R = TypeVar("R", bound=Record)


class MemoryState:
    """The content of the store.

    Attributes:
        records: by kind, then by id.
        lookups: ids by kind and lookup.
        revs: the revision of each record and tombstone.
        tombstones: (kind, id) of deleted records, oldest first.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {}
        self.lookups: dict[tuple[str, ...], set[str]] = {}
        self.revs: dict[Key, int] = {}
        self.tombstones: dict[Key, None] = {}
        self.rev = 0
        self.floor = 0
        self.audit: list[ChainRow] = []
        self.chain_end = ChainEnd()
        self.anchor = ChainEnd()
        self.usage: dict[str, Usage] = {}

    def of(self, kind: str) -> dict[str, Record]:
        """The records of a kind."""
        return self.records.setdefault(kind, {})


class MemoryReader:
    """Reads the state."""

    def __init__(self, state: MemoryState) -> None:
        self.state = state

    def get(self, record_type: type[R], id: str) -> R | None:
        """As `Reader.get`."""
        return cast("R | None", self.state.of(record_type.kind).get(id))

    def find(self, record_type: type[R], *lookup: str) -> "list[R]":
        """As `Reader.find`."""
        records = self.state.of(record_type.kind)
        ids = self.state.lookups.get((record_type.kind, *lookup), ())
        return cast("list[R]", _by_age(records[id_] for id_ in ids))

    def find_any(self, record_type: type[R], name: str, words: Sequence[str]) -> "list[R]":
        """As `Reader.find_any`."""
        return cast("list[R]", _by_age(found for word in words for found in self.find(record_type, name, word)))

    def scan(self, record_type: type[R]) -> Iterator[R]:
        """As `Reader.scan`."""
        yield from cast("list[R]", [*self.state.of(record_type.kind).values()])

    def count(self, record_type: type[Record]) -> int:
        """As `Reader.count`."""
        return len(self.state.of(record_type.kind))

    def count_owned(self, record_type: type[Record], owner: str, *, limit: int) -> int:
        """As `Reader.count_owned`."""
        owned = (1 for record in self.state.of(record_type.kind).values() if record.owner_id == owner)
        return sum(islice(owned, limit))

    def was_deleted(self, record_type: type[Record], id: str) -> bool:
        """As `Reader.was_deleted`."""
        return (record_type.kind, id) in self.state.tombstones

    def usage(self, id: str) -> Usage | None:
        """As `Reader.usage`."""
        return self.state.usage.get(id)

    def list(
        self,
        record_type: type[R],
        *,
        owner: str | None = None,
        order: Order = Order.OLDEST,
        cursor: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[R]:
        """As `Reader.list`."""
        after = None if cursor is None else parse_cursor(cursor)
        limit = max(1, min(limit, MAX_PAGE))
        if owner is not None and order is Order.EXPIRES:
            raise ValueError("no index has one owner's records by expiry")
        places = (
            (record.expires_at if order is Order.EXPIRES else record.created_at, record.id, record)
            for record in self.state.of(record_type.kind).values()
            if owner is None or record.owner_id == owner
        )
        is_down = order is Order.NEWEST
        found = sorted(
            (
                (at, id_, record)
                for at, id_, record in places
                if at is not None and (after is None or ((at, id_) < after if is_down else (at, id_) > after))
            ),
            key=lambda place: place[:2],
            reverse=is_down,
        )
        records = cast("list[R]", [record for _, _, record in found])
        items = records[: count_read(records, limit)]
        return Page(items, None if len(items) == len(records) else cursor_after(items[-1], order))


def count_read(records: Iterable[Record | None], limit: int) -> int:
    """How many records are read at once: `limit`, or fewer if they reach `MAX_READ_BYTES`. None counts as 0 bytes."""
    count = size = 0
    for record in records:
        if count == limit or size >= MAX_READ_BYTES:
            break
        count += 1
        size += 0 if record is None else sealed_bytes(record)
    return count


def lookup_of(record: Record) -> tuple[str, ...] | None:
    """Under what `MemoryState.lookups` has the record; None if only its id finds it."""
    return None if record.lookup is None else (record.kind, *record.lookup)


def _by_age(records: Iterable[Record]) -> list[Any]:
    return sorted(records, key=lambda record: (record.created_at, record.id))
