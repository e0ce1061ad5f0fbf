"""Reads through one SQLite connection: every method of `Reader`, without a cache.

Each method finishes its statements before it returns: an open statement would keep the connection at an old snapshot,
and later reads would be stale.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import apsw

from herod.records import Record
from herod.store.integrity_head import StoreHead
from herod.store.page_cursors import Order, cursor_after, parse_cursor
from herod.store.sqlite.disk.disk_faults import Condition, Fault, fault_of, is_sql_fault
from herod.store.sqlite.sealed_rows import SELECT_ROWS, RowCodec
from herod.store.store_interface import MAX_PAGE, MAX_READ_BYTES, Page, Usage
from herod_client.core.errors import HerodError, Unavailable

__all__ = ["SqlReader"]

R = TypeVar("R", bound=Record)

SCAN_ROWS: Final = 500

_GET: Final = f"{SELECT_ROWS} WHERE kind = ? AND id = ?"
# The + keeps SQLite from choosing the index that is already ordered, and scanning the whole kind.
_FIND: Final = f"{SELECT_ROWS} WHERE lookup = ? AND +kind = ? ORDER BY created_at, id"
# With as many question marks as there are words.
_FIND_ANY: Final = f"{SELECT_ROWS} WHERE lookup IN (?) AND +kind = ? ORDER BY created_at, id"
_LIST: Final = f"{SELECT_ROWS} WHERE kind = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?"
_LIST_NEWEST: Final = (
    f"{SELECT_ROWS} WHERE kind = ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
)
_LIST_OWNED: Final = (
    f"{SELECT_ROWS} WHERE kind = ? AND owner = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?"
)
_LIST_OWNED_NEWEST: Final = (
    f"{SELECT_ROWS} WHERE kind = ? AND owner = ? AND (created_at, id) < (?, ?) "
    "ORDER BY created_at DESC, id DESC LIMIT ?"
)
_LIST_EXPIRES: Final = (
    f"{SELECT_ROWS} WHERE kind = ? AND expires_at IS NOT NULL AND (expires_at, id) > (?, ?) "
    "ORDER BY expires_at, id LIMIT ?"
)
_SCAN: Final = f"{SELECT_ROWS} WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"
_COUNT_OWNED: Final = "SELECT count(*) FROM (SELECT 1 FROM records WHERE kind = ? AND owner = ? LIMIT ?)"
_TOMBSTONE: Final = "SELECT 1 FROM tombstones WHERE kind = ? AND id = ?"
_USAGE: Final = "SELECT at, source FROM usage WHERE id = ?"
_BEFORE_ALL: Final = (-(2**63), "")
_AFTER_ALL: Final = (2**63 - 1, "\U0010ffff")
# By order: for all owners, for one.
_LISTS: Final = {
    Order.OLDEST: (_LIST, _LIST_OWNED),
    Order.NEWEST: (_LIST_NEWEST, _LIST_OWNED_NEWEST),
    Order.EXPIRES: (_LIST_EXPIRES, None),
}


class SqlReader:
    """A `Reader` over one connection.

    Args:
        connection: used by one thread at a time.
        codec: opens the rows.
        condition: updated when reading fails.
        head: the store's head as this reader knows it.
    """

    def __init__(self, connection: apsw.Connection, codec: RowCodec, condition: Condition, head: StoreHead) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._codec = codec
        self.condition = condition
        self._head = head

    def get(self, record_type: type[R], id: str) -> R | None:
        """As `Reader.get`.

        Raises:
            Unavailable: its row is damaged, or the store cannot be read.
        """
        try:
            rows = self._rows(_GET, (record_type.kind, id))
        except UnicodeEncodeError:  # a lone surrogate: no record has one
            return None
        return self._codec.open(record_type, rows[0]) if rows else None

    def find(self, record_type: type[R], *lookup: str) -> "list[R]":
        """As `Reader.find`.

        Raises:
            Unavailable: as `get`.
        """
        try:
            words = self._codec.lookup(record_type.kind, lookup)
        except UnicodeEncodeError:
            return []
        return [self._codec.open(record_type, row) for row in self._rows(_FIND, (words, record_type.kind))]

    def find_any(self, record_type: type[R], name: str, words: Sequence[str]) -> "list[R]":
        """As `Reader.find_any`.

        Raises:
            Unavailable: as `get`.
        """
        try:
            lookups = [self._codec.lookup(record_type.kind, (name, word)) for word in words]
        except UnicodeEncodeError:
            return []
        rows = self._rows(_FIND_ANY.replace("(?)", f"({','.join('?' * len(lookups))})"), (*lookups, record_type.kind))
        return [self._codec.open(record_type, row) for row in rows]

    def scan(self, record_type: type[R]) -> Iterator[R]:
        """As `Reader.scan`; outside a transaction, only batches of `SCAN_ROWS` are consistent.

        Raises:
            Unavailable: as `get`.
        """
        last: str | None = ""
        while last is not None:
            rows = self._rows(_SCAN, (record_type.kind, last, SCAN_ROWS))
            for row in rows:
                yield self._codec.open(record_type, row)
            last = rows[-1][0] if len(rows) == SCAN_ROWS else None

    def count(self, record_type: type[Record]) -> int:
        """As `Reader.count`."""
        return self._head.counts.get(record_type.kind, 0)

    def count_owned(self, record_type: type[Record], owner: str, *, limit: int) -> int:
        """As `Reader.count_owned`.

        Raises:
            Unavailable: the store cannot be read.
        """
        rows = self._rows(_COUNT_OWNED, (record_type.kind, self._codec.owner(record_type, owner), limit))
        return int(rows[0][0])

    def was_deleted(self, record_type: type[Record], id: str) -> bool:
        """As `Reader.was_deleted`.

        Raises:
            Unavailable: the store cannot be read.
        """
        try:
            return bool(self._rows(_TOMBSTONE, (record_type.kind, id)))
        except UnicodeEncodeError:
            return False

    def usage(self, id: str) -> Usage | None:
        """As `Reader.usage`."""
        rows = self._rows(_USAGE, (id,))
        return Usage(*rows[0]) if rows else None

    def list(
        self,
        record_type: type[R],
        *,
        owner: str | None = None,
        order: Order = Order.OLDEST,
        cursor: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[R]:
        """As `Reader.list`. One damaged row refuses its whole page: leaving it out would hide it.

        Raises:
            InvalidRequest: the cursor is not valid.
            Unavailable: as `get`.
            ValueError: as `Reader.list`.
        """
        first = _AFTER_ALL if order is Order.NEWEST else _BEFORE_ALL
        after = first if cursor is None else parse_cursor(cursor)
        limit = max(1, min(limit, MAX_PAGE))
        of_all, of_one = _LISTS[order]
        if owner is None:
            rows, is_last = self._read_some(of_all, (record_type.kind, *after), limit)
        elif of_one is None:
            raise ValueError("no index has one owner's records by expiry")
        else:
            owner = self._codec.owner(record_type, owner)
            rows, is_last = self._read_some(of_one, (record_type.kind, owner, *after), limit)
        items = [self._codec.open(record_type, row) for row in rows]
        return Page(items, None if is_last else cursor_after(items[-1], order))

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        try:
            return self._execute(sql, values).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error

    def _read_some(self, sql: str, values: tuple[Any, ...], limit: int) -> tuple[Any, bool]:
        """Rows up to `limit`, or until their sealed data reaches `MAX_READ_BYTES`; and whether they are the last.

        Args:
            sql: takes one more value, the number of rows; its last column is the sealed data.
        """
        found: list[Any] = []
        size = 0
        try:
            rows = self._execute(sql, (*values, limit + 1))
            for row in rows:
                if len(found) == limit or size >= MAX_READ_BYTES:
                    rows.close(True)  # noqa: FBT003 - apsw's signature; this ends the statement
                    return found, False
                found.append(row)
                size += len(row[-1] or b"")
        except apsw.Error as error:
            raise self._failed(error) from error
        return found, True

    def _failed(self, error: apsw.Error) -> HerodError:
        """The exception to raise for an error of SQLite."""
        if is_sql_fault(error) and fault_of(error) is Fault.BROKEN:
            self.condition.stop_reading(error)
        return Unavailable(
            "The store cannot be read now: try again; if this persists, check its disk and restart herod.",
            reason="unreadable",
        )
