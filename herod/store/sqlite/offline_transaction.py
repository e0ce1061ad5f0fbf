"""Offline work on a store's file: one transaction over all of it, checking it, and sealing it again.

The caller holds its lock. All changes are made in one SQLite transaction: a killed process leaves the store unchanged
or completely changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import apsw
import msgspec

from herod.credentials.keyring import Keyring
from herod.records import Record
from herod.store.audit_chain import link, walk
from herod.store.integrity_head import StoreHead
from herod.store.sqlite.disk.disk_faults import Condition, describe
from herod.store.sqlite.disk.open_database import OpenedFile
from herod.store.sqlite.sealed_rows import SELECT_ROWS, TYPES, Row, RowCodec
from herod.store.sqlite.write_transaction import Transaction, write_head
from herod.store.store_interface import AuditVerdict
from herod_client.core.errors import RuntimeFailure, Unavailable

__all__ = ["OfflineTransaction", "check_all", "readable", "reseal", "tidy", "tombstones", "transaction"]

R = TypeVar("R", bound=Record)

ROWS_AT_ONCE: Final = 500

_KINDS: Final = "SELECT DISTINCT kind FROM records"
_ROWS: Final = f"{SELECT_ROWS} WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"
_RESEAL: Final = "UPDATE records SET lookup = ?, owner = ?, sealed = ? WHERE kind = ? AND id = ?"
_AUDIT: Final = "SELECT seq, json, mac FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
_ALL_AUDIT: Final = "SELECT seq, json, mac FROM audit ORDER BY seq"
_RELINK: Final = "UPDATE audit SET mac = ? WHERE seq = ?"
_TOMBSTONES: Final = "SELECT kind, id FROM tombstones ORDER BY rev"
_BURY: Final = "INSERT OR REPLACE INTO tombstones (rev, kind, id) VALUES (?, ?, ?)"


class OfflineTransaction(Transaction):
    """A `Writer` over a file, with the changes that only offline commands make."""

    def begin_generation(self, generation: str, *ancestors: StoreHead) -> None:
        """Begin a new generation: followers of the change feed start over; `ancestors` as in `StoreHead.begin`."""
        self.head = self.head.begin(generation, *ancestors)

    def bury(self, kind: str, id: str) -> None:
        """Add a tombstone for a record that does not exist here."""
        rev = self.head.rev + 1
        self._rows(_BURY, (rev, kind, id))
        self.head = msgspec.structs.replace(self.head, rev=rev)


@contextmanager
def transaction(opened: OpenedFile, *, root: bytes | None = None) -> Iterator[OfflineTransaction]:
    """One transaction over the whole file, committed at the end of the block.

    Args:
        opened: from `open_file`.
        root: seal everything again under this root first.

    Raises:
        RuntimeFailure: the disk or the file fails; nothing was changed.
    """
    connection, keyring, head = opened.connection, opened.keyring, opened.head
    try:
        connection.execute("BEGIN IMMEDIATE").fetchall()
        try:
            if root is not None:
                fresh = Keyring(root)
                head = reseal(connection, keyring, fresh, opened)
                keyring = fresh
            tx = OfflineTransaction(connection, RowCodec(keyring), Condition(), head, keyring)
            yield tx
            write_head(connection, keyring, tx.head)
            connection.execute("COMMIT").fetchall()
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK").fetchall()
            raise
    except apsw.Error as error:
        raise RuntimeFailure(f"the store could not be written, and nothing was changed: {describe(error)}") from error
    except Unavailable as error:
        raise RuntimeFailure(f"the store could not be written, and nothing was changed: {error.message}") from error


def reseal(connection: apsw.Connection, old: Keyring, new: Keyring, opened: OpenedFile) -> StoreHead:
    """Seal every record and relink every audit row under another keyring; return the new head.

    A broken audit chain stays broken at the same row: only its valid beginning is relinked.

    Raises:
        Unavailable: a row does not open.
    """
    before, after = RowCodec(old), RowCodec(new)
    for kind in _kinds(connection):
        for record, row in _opened_rows(connection, before, kind):
            fresh = after.seal(record, row[5])
            connection.execute(_RESEAL, (fresh[1], fresh[2], fresh[6], kind, record.id)).fetchall()
    verdict = _walk(connection, opened)
    end = opened.head.anchor
    while rows := _rows(connection, _AUDIT, end.seq, ROWS_AT_ONCE):
        for seq, json, _ in rows:
            if verdict.first_bad is not None and seq >= verdict.first_bad:
                return opened.head
            end = link(new, end, json)
            connection.execute(_RELINK, (end.mac, seq)).fetchall()
    return opened.head if verdict.first_bad is not None else msgspec.structs.replace(opened.head, audit=end)


def check_all(opened: OpenedFile) -> AuditVerdict:
    """Open every row, and verify the audit chain.

    Raises:
        Unavailable: a row does not open.
    """
    codec = RowCodec(opened.keyring)
    for kind in _kinds(opened.connection):
        for _ in _opened_rows(opened.connection, codec, kind):
            pass
    return _walk(opened.connection, opened)


def readable(opened: OpenedFile, record_type: type[R]) -> Iterator[R]:
    """The readable records of a type, from a store that is about to be replaced and may be damaged."""
    codec = RowCodec(opened.keyring)
    with suppress(apsw.CorruptError):  # the rest cannot be read
        for row in _rows_of(opened.connection, record_type.kind):
            with suppress(Unavailable):  # logged
                yield codec.open(record_type, row)


def tombstones(opened: OpenedFile) -> list[tuple[str, str]]:
    """(kind, id) of deleted records that were not created again, oldest first, as far as they can be read."""
    found: list[tuple[str, str]] = []
    with suppress(apsw.CorruptError):
        found.extend((str(kind), str(id_)) for kind, id_ in opened.connection.execute(_TOMBSTONES))
    return found


def tidy(connection: apsw.Connection) -> None:
    """Remove all deleted and replaced data from the file and its log.

    Raises:
        apsw.Error: for example, there is not enough space; the store remains valid.
    """
    connection.execute("VACUUM").fetchall()
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _rows(connection: apsw.Connection, sql: str, *values: str | int) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _kinds(connection: apsw.Connection) -> list[str]:
    return [kind for (kind,) in _rows(connection, _KINDS)]


def _opened_rows(connection: apsw.Connection, codec: RowCodec, kind: str) -> Iterator[tuple[Record, Row]]:
    record_type = TYPES.get(kind)
    if record_type is None:
        raise Unavailable(f"It has records of an unknown kind, {kind[:40]!r}.", reason="damaged")
    for row in _rows_of(connection, kind):
        yield codec.open(record_type, row), row


def _rows_of(connection: apsw.Connection, kind: str) -> Iterator[Row]:
    last = ""
    while rows := _rows(connection, _ROWS, kind, last, ROWS_AT_ONCE):
        yield from rows
        last = rows[-1][0]


def _walk(connection: apsw.Connection, opened: OpenedFile) -> AuditVerdict:
    rows = connection.execute(_ALL_AUDIT)
    return walk(opened.keyring, rows, anchor=opened.head.anchor, head=opened.head.audit)
