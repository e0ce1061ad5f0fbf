"""Writes through one SQLite connection: every method of `Writer`, inside the write transaction.

Used by the writer thread only. It never begins or ends a transaction: `group_commit.py` does, and also decides which
functions' writes are rolled back.
"""

from typing import Final

import apsw
import msgspec

from herod.audit_event import AuditEvent
from herod.credentials.keyring import Keyring
from herod.records import Record
from herod.store.audit_chain import encode_event, link, trim
from herod.store.integrity_head import StoreHead, seal_head
from herod.store.record_cache import Key
from herod.store.sqlite.disk.disk_faults import Condition, extended_code, is_sql_fault
from herod.store.sqlite.sealed_rows import SELECT_ROWS, Row, RowCodec, logger
from herod.store.sqlite.sql_reader import SqlReader
from herod.store.store_interface import NotWritten, Usage, former_use
from herod_client.core.errors import Conflict, HerodError, Unavailable

__all__ = ["Transaction", "write_head"]

_UPDATE: Final = (
    "UPDATE records SET lookup = ?, owner = ?, created_at = ?, expires_at = ?, rev = ?, sealed = ? "
    "WHERE kind = ? AND id = ?"
)
_INSERT: Final = (
    "INSERT OR IGNORE INTO records (kind, id, lookup, owner, created_at, expires_at, rev, sealed) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_DELETE: Final = "DELETE FROM records WHERE kind = ? AND id = ?"
_EXPIRED: Final = f"{SELECT_ROWS} WHERE kind = ? AND expires_at <= ? LIMIT ?"
_BURY: Final = "INSERT INTO tombstones (rev, kind, id) VALUES (?, ?, ?)"
_DIG_UP: Final = "DELETE FROM tombstones WHERE kind = ? AND id = ?"
_OLDEST_KEPT: Final = "SELECT rev FROM tombstones ORDER BY rev DESC LIMIT 1 OFFSET ?"
_LAST_OF_OLDEST: Final = "SELECT rev FROM tombstones WHERE rev <= ? ORDER BY rev LIMIT ?"
_FORGET_TOMBSTONES: Final = "DELETE FROM tombstones WHERE rev <= ?"
_NOTE_USE: Final = (
    "INSERT INTO usage (id, at, source) VALUES (?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET at = excluded.at, source = excluded.source"
)
_FORGET_USES: Final = "DELETE FROM usage WHERE id IN (?, ?)"
# A row that was forged after the head is replaced: `audit.verify` could have reported it until now.
_AUDIT: Final = "INSERT OR REPLACE INTO audit (seq, json, mac) VALUES (?, ?, ?)"
_OLDEST_AUDIT: Final = "SELECT seq, json, mac FROM audit ORDER BY seq LIMIT ?"
_TRIM_AUDIT: Final = "DELETE FROM audit WHERE seq <= ?"
_HEAD: Final = "INSERT OR REPLACE INTO meta (name, rev, value) VALUES ('head', ?, ?)"


class Transaction(SqlReader):
    """The `Writer` that a function passed to `Store.write` gets.

    Attributes:
        head: the head after the commit; restored to the one before if a function fails.
        changed: the keys of changed records.
        fault: the error of SQLite that ended the whole transaction, if any.
    """

    def __init__(
        self, connection: apsw.Connection, codec: RowCodec, condition: Condition, head: StoreHead, keyring: Keyring
    ) -> None:
        super().__init__(connection, codec, condition, head)
        self._keyring = keyring
        self.changed: set[Key] = set()
        self.fault: apsw.Error | None = None

    @property
    def head(self) -> StoreHead:
        """The head after the commit."""
        return self._head

    @head.setter
    def head(self, head: StoreHead) -> None:
        self._head = head

    @property
    def revision(self) -> int:
        """As `Writer.revision`."""
        return self._head.rev

    def put(self, record: Record) -> None:
        """As `Writer.put`."""
        kind = record.kind
        rev = self._head.rev + 1
        row = self._codec.seal(record, rev)
        self._rows(_INSERT, (kind, *row))
        is_new = self._connection.changes() == 1
        if is_new:
            self._rows(_DIG_UP, (kind, record.id))
        elif self._holds(record):
            return
        else:
            self._update(record, row)
        counts = self._head.count(kind, 1) if is_new else self._head.counts
        self._head = msgspec.structs.replace(self._head, rev=rev, counts=counts)
        self.changed.add((kind, record.id))

    def _update(self, record: Record, row: Row) -> None:
        """Replace the record of the same id. If there is none, another record with the same lookup is the conflict."""
        is_taken = False
        try:
            self._rows(_UPDATE, (*row[1:], record.kind, record.id))
            is_taken = self._connection.changes() == 0
        except apsw.ConstraintError as error:
            if extended_code(error) != apsw.SQLITE_CONSTRAINT_UNIQUE:
                raise
            is_taken = True
        if is_taken:
            word = "id" if record.lookup is None else record.lookup[0]
            raise Conflict(
                f"Another {record.kind} has this {word} already: choose another, or change that one.", reason="taken"
            )

    def _holds(self, record: Record) -> bool:
        """Whether an equal record is stored already; a row that does not open is replaced."""
        try:
            return self.get(type(record), record.id) == record
        except Unavailable:
            if self.fault is not None:
                raise
            return False

    def delete(self, record_type: type[Record], id: str) -> bool:
        """As `Writer.delete`."""
        kind = record_type.kind
        try:
            self._rows(_DELETE, (kind, id))
        except UnicodeEncodeError:  # a lone surrogate: no record has one
            return False
        if self._connection.changes() == 0:
            return False
        rev = self._head.rev + 1
        if record_type.is_followed:
            self._rows(_BURY, (rev, kind, id))
        self._rows(_FORGET_USES, (id, former_use(id)))
        self._head = msgspec.structs.replace(self._head, rev=rev, counts=self._head.count(kind, -1))
        self.changed.add((kind, id))
        return True

    def audit(self, event: AuditEvent) -> None:
        """As `Writer.audit`."""
        json = encode_event(event)
        end = link(self._keyring, self._head.audit, json)
        self._rows(_AUDIT, (end.seq, json, end.mac))
        self._head = msgspec.structs.replace(self._head, audit=end)

    def trim_audit(self, *, before: int, through: int, limit: int, latest: int | None = None) -> int:
        """As `Writer.trim_audit`."""
        anchor, rows = self._head.anchor, self._rows(_OLDEST_AUDIT, (limit,))
        after, bad = trim(
            self._keyring, rows, anchor=anchor, head=self._head.audit, before=before, through=through, latest=latest
        )
        if bad is not None:
            logger.error("audit row %d was changed: it and all later rows are kept; run `herod audit verify`", bad)
        if after != anchor:
            self._rows(_TRIM_AUDIT, (after.seq,))
            self._head = msgspec.structs.replace(self._head, anchor=after)
        return after.seq - anchor.seq

    def purge(self, record_type: type[Record], *, now: int, limit: int) -> int:
        """Delete records that expired at or before `now`, at most `limit`; return how many.

        The sealed record must open first: an expiry edited in the clear-text column must not bring a revoked token
        back.
        """
        purged = 0
        for row in self._rows(_EXPIRED, (record_type.kind, now, limit)):
            try:
                self._codec.open(record_type, row)
            except Unavailable:
                continue  # logged
            purged += self.delete(record_type, row[0])
        return purged

    def forget_tombstones(self, *, keep: int, limit: int) -> int:
        """Keep only the newest; followers whose cursor is older must start over.

        Returns:
            How many were dropped, at most `limit`: more may be left.
        """
        kept = self._rows(_OLDEST_KEPT, (keep,))
        oldest = self._rows(_LAST_OF_OLDEST, (kept[0][0], limit)) if kept else []
        if oldest:
            floor = oldest[-1][0]
            self._rows(_FORGET_TOMBSTONES, (floor,))
            self._head = msgspec.structs.replace(self._head, floor=floor)
            logger.info("the change feed now starts at revision %d", floor)
        return len(oldest)

    def note_uses(self, uses: dict[str, Usage]) -> None:
        """Write when credentials were last used."""
        for id_, usage in uses.items():
            self._rows(_NOTE_USE, (id_, usage.at, usage.source))

    def _failed(self, error: apsw.Error) -> HerodError:
        if not is_sql_fault(error):
            raise error
        self.fault = error  # even if the function ignores the exception
        return NotWritten("The store could not write", "read herod's log", reason="write_failed")


def write_head(connection: apsw.Connection, keyring: Keyring, head: StoreHead) -> None:
    """Seal the head and write its row."""
    connection.execute(_HEAD, (head.rev, seal_head(keyring, head))).fetchall()
