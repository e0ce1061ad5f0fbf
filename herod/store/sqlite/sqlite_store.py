"""The embedded store: SQLite through apsw, sealed rows, group commit.

Reads run on the event loop through their own connection, with a cache in front of `get`; writes go to the one writer
thread; long reads have their own thread and connection. The parts: `disk`, `sealed_rows`, `sql_reader`,
`write_transaction`, `group_commit`, `threaded_record_scans`, `threaded_audit_scans`, `backup_snapshot`.
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import apsw
import msgspec
import outcome
import trio

from herod.credentials.keyring import Keyring
from herod.credentials.sealing import SealBroken
from herod.records import RECORD_TYPES, Record
from herod.store.audit_chain import decode_event
from herod.store.audit_filter import AuditFilter
from herod.store.integrity_head import StoreHead
from herod.store.notifier import ChangeNotifier
from herod.store.record_cache import ABSENT, FOUND_KINDS, Key, RecordCache
from herod.store.sqlite.backup_snapshot import Snapshot, Snapshots
from herod.store.sqlite.disk.disk_faults import Condition, describe
from herod.store.sqlite.disk.missing_rows import encode_mark, mark_of
from herod.store.sqlite.disk.open_database import OpenedStore, load_head, open_store
from herod.store.sqlite.group_commit import GroupWriter
from herod.store.sqlite.sealed_rows import TYPES, RowCodec, damaged, logger
from herod.store.sqlite.sql_reader import SqlReader
from herod.store.sqlite.threaded_audit_scans import AuditScans
from herod.store.sqlite.threaded_record_scans import RecordScans
from herod.store.sqlite.write_transaction import Transaction
from herod.store.store_interface import (
    MAX_PAGE,
    PURGED,
    AuditRow,
    AuditVerdict,
    Changes,
    Cursor,
    Health,
    Reader,
    StoreStats,
    Usage,
    Writer,
)
from herod_client.core.errors import Unavailable

__all__ = ["SqliteStore", "open_sqlite"]

R = TypeVar("R", bound=Record)
T = TypeVar("T")

CACHED_RECORDS: Final = 16_384
KEPT_TOMBSTONES: Final = 100_000
PURGED_AT_ONCE: Final = 200
FORGOTTEN_AT_ONCE: Final = 2000
USES_AT_ONCE: Final = 500
# Parts of the change feed that are kept until the next commit.
KEPT_CHANGES: Final = 8
# Credentials with an unwritten last use.
MAX_NOTED: Final = 16_384

UNFOLLOWED: Final = frozenset(record_type.kind for record_type in RECORD_TYPES if not record_type.is_followed)
# All kinds, so that the limit bounds the work, too.
_CHANGES: Final = (
    "SELECT kind, id, lookup, owner, created_at, expires_at, rev, sealed FROM records WHERE rev > ? "
    "UNION ALL SELECT kind, id, NULL, NULL, 0, NULL, rev, NULL FROM tombstones WHERE rev > ? ORDER BY rev LIMIT ?"
)
_AUDIT_ROWS: Final = "SELECT seq, json, mac FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"


def open_sqlite(
    path: Path,
    secret: str,
    *,
    now: int,
    cached_records: int = CACHED_RECORDS,
    kept_tombstones: int = KEPT_TOMBSTONES,
) -> "SqliteStore":
    """Open the store in a file, or create it. Blocks: only for the start, before the daemon serves.

    Args:
        path: the database file; its folder is created if necessary.
        secret: opens the root key.
        now: Unix seconds.
        cached_records: how many records `get` may keep in memory.
        kept_tombstones: how many deletions the change feed remembers.

    Raises:
        SettingsError: it was made with another secret, or the path is not that of a file.
        RuntimeFailure: another process uses it; it is damaged, not a herod store or too new; or the disk fails.
    """
    return SqliteStore(
        open_store(path, secret, now=now), cached_records=cached_records, kept_tombstones=kept_tombstones
    )


class SqliteStore(SqlReader):
    """A `Store` in one file. It can be read at once, and written inside `async with`, which closes it at the end."""

    def __init__(self, opened: OpenedStore, *, cached_records: int, kept_tombstones: int) -> None:
        codec, condition = RowCodec(opened.keyring), Condition()
        super().__init__(opened.reader, codec, condition, opened.head)
        self.opened = opened
        self._kept_tombstones = kept_tombstones
        self._cache = RecordCache(cached_records)
        self._change_notifier = ChangeNotifier()
        self._audit_notifier = ChangeNotifier()
        self._noted: dict[str, Usage] = {}
        self._flushing: dict[str, Usage] = {}
        self._told: dict[tuple[Cursor, int, frozenset[str] | None], Changes] = {}
        self._told_of = opened.head
        transaction = Transaction(opened.writer, codec, condition, opened.head, opened.keyring)
        self._audit = AuditScans(opened.path, opened.keyring, self._failed)
        self._surveys = RecordScans(opened.path, opened.keyring, codec, condition, self._failed)
        self.snapshots = Snapshots(opened.path, opened.backup_key)
        self.group_writer = GroupWriter(
            transaction,
            opened.writer,
            opened.keyring,
            condition,
            self._settle,
            check=self._check_files,
            note=lambda head: opened.lock.note(encode_mark(mark_of(head))),
        )

    async def __aenter__(self) -> Self:
        """Start the writer thread."""
        self.group_writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish waiting writes, then close."""
        with trio.CancelScope(shield=True):
            with suppress(Unavailable):
                await self.flush_usage()
            await self.group_writer.stop()
        self.close()

    def close(self) -> None:
        """Close the files; call it directly only for a store that was never entered."""
        self._check_files()  # if the files were replaced, SQLite would remove another store's log when it closes
        if not self.condition.is_writable:
            # The last connection would write the log back to a disk that has failed.
            self.opened.writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.opened.reader.close()
        try:
            self.opened.writer.close()
        except apsw.Error as failure:
            logger.error("closing the store: %s", describe(failure))
        logger.info("audit chain ends at row %d, HMAC %s", self._head.audit.seq, self._head.audit.mac.hex())
        self.opened.lock.release()

    @property
    def path(self) -> Path:
        """The database file."""
        return self.opened.path

    @property
    def keyring(self) -> Keyring:
        """As `Store.keyring`."""
        return self.opened.keyring

    @property
    def cursor(self) -> Cursor:
        """As `Store.cursor`."""
        return self._head.cursor

    @property
    def health(self) -> tuple[Health, str | None]:
        """As `Store.health`."""
        self._check_files()
        return self.condition.health

    @property
    def change_notifier(self) -> ChangeNotifier:
        """As `Store.change_notifier`."""
        return self._change_notifier

    @property
    def stats(self) -> StoreStats:
        """As `Store.stats`."""
        return self.group_writer.stats

    def get(self, record_type: type[R], id: str) -> R | None:
        """As `Reader.get`; from the cache if possible."""
        key = record_type.kind, id
        known = self._cache.get(key)
        if known is None:
            record = super().get(record_type, id)
            self._cache.keep(key, record)
            return record
        return None if known is ABSENT else known  # type: ignore[return-value]  # the kind is in the key

    def find_any(self, record_type: type[R], name: str, words: Sequence[str]) -> "list[R]":
        """As `Reader.find_any`; from the cache if possible."""
        if record_type.kind not in FOUND_KINDS:
            return super().find_any(record_type, name, words)
        key = record_type.kind, name, *words
        known = self._cache.get_found(key)
        if known is None:
            known = super().find_any(record_type, name, words)
            self._cache.keep_found(key, known)
        return [*known]  # type: ignore[list-item]  # the kind is in the key

    def usage(self, id: str) -> Usage | None:
        """As `Reader.usage`; includes uses that are not written yet."""
        return self._noted.get(id) or self._flushing.get(id) or super().usage(id)

    def note_use(self, id: str, usage: Usage) -> None:
        """As `Store.note_use`."""
        if id not in self._noted and len(self._noted) >= MAX_NOTED:  # the store is not writable: drop the oldest
            del self._noted[next(iter(self._noted))]
        self._noted[id] = usage

    async def flush_usage(self) -> None:
        """Write all uses noted so far.

        Raises:
            Unavailable: they are kept, and tried again with the next write.
        """
        while self._noted or self._flushing:
            await self.write(_nothing)

    async def write(self, function: Callable[[Writer], T]) -> T:
        """As `Store.write`.

        Once submitted it cannot be cancelled: the call returns what happened, and the cancellation takes effect at the
        caller's next checkpoint.
        """
        return await self._write(function)

    async def purge_expired(self, now: int) -> int:
        """As `Store.purge_expired`; one write for each `PURGED_AT_ONCE` records."""
        purged = 0
        for record_type, kept in PURGED:
            count = PURGED_AT_ONCE
            while count == PURGED_AT_ONCE:
                count = await self._write(
                    partial(
                        Transaction.purge,
                        record_type=record_type,
                        now=now - kept,
                        limit=PURGED_AT_ONCE,
                    )
                )
                purged += count
        forget = partial(Transaction.forget_tombstones, keep=self._kept_tombstones, limit=FORGOTTEN_AT_ONCE)
        while await self._write(forget) == FORGOTTEN_AT_ONCE:
            pass
        return purged

    def changes(self, since: Cursor, *, limit: int = 1000, kinds: frozenset[str] | None = None) -> Changes:
        """As `Store.changes`. The last answers are kept until the next commit: many readers wait at the same cursor.

        Raises:
            Unavailable: a row is damaged, or the store cannot be read.
        """
        asked = since, limit, kinds
        if self._told_of is not self._head:
            self._told_of, self._told = self._head, {}
        if asked not in self._told:
            if len(self._told) >= KEPT_CHANGES:
                self._told.clear()
            self._told[asked] = self._read_changes(since, limit, kinds)
        return self._told[asked]

    def _read_changes(self, since: Cursor, limit: int, kinds: frozenset[str] | None) -> Changes:
        with self._one_moment(self._connection):
            try:
                head = load_head(self._connection, self.keyring)
            except apsw.Error as error:
                raise self._failed(error) from error
            except (SealBroken, msgspec.DecodeError):
                raise damaged("head", "head") from None
            if since.generation != head.generation or not head.floor <= since.rev <= head.rev:
                return Changes(cursor=head.cursor, is_reset=True)
            rows, is_last = self._read_some(_CHANGES, (since.rev, since.rev), limit)
        put: list[Record] = []
        deleted: list[Key] = []
        for kind, *row in rows:
            if kind in UNFOLLOWED or (kinds is not None and kind not in kinds):
                continue
            if row[-1] is None:
                deleted.append((kind, row[0]))
            elif kind in TYPES:
                put.append(self._codec.open(TYPES[kind], tuple(row)))
            else:
                raise damaged(kind, row[0])
        last = head.rev if is_last else rows[-1][6]
        return Changes(
            cursor=Cursor(head.generation, last), put=tuple(put), deleted=tuple(deleted), has_more=not is_last
        )

    def audit_rows(self, *, after: int = 0, limit: int = MAX_PAGE) -> "list[AuditRow]":
        """As `Store.audit_rows`. The chain is not verified here; `verify_audit` does that.

        Raises:
            Unavailable: a row is no longer an audit event, or the store cannot be read.
        """
        rows = self._rows(_AUDIT_ROWS, (after, max(1, min(limit, MAX_PAGE))))
        try:
            return [AuditRow(seq, decode_event(json), mac.hex()) for seq, json, mac in rows]
        except msgspec.DecodeError as error:
            raise damaged("audit", str(after)) from error

    @property
    def audit_head(self) -> tuple[int, str]:
        """As `Store.audit_head`."""
        return self._head.audit.seq, self._head.audit.mac.hex()

    @property
    def audit_anchor(self) -> tuple[int, str]:
        """As `Store.audit_anchor`."""
        return self._head.anchor.seq, self._head.anchor.mac.hex()

    @property
    def audit_notifier(self) -> ChangeNotifier:
        """As `Store.audit_notifier`."""
        return self._audit_notifier

    async def find_audit(
        self, wanted: AuditFilter, *, after: int | None = None, before: int | None = None, limit: int = MAX_PAGE
    ) -> "list[AuditRow]":
        """As `Store.find_audit`.

        Raises:
            Unavailable: a row is no longer an audit event, or the store cannot be read.
        """
        return await self._audit.find(wanted, after=after, before=before, limit=limit)

    async def survey(self, function: Callable[[Reader], T]) -> T:
        """As `Store.survey`."""
        return await self._surveys.run(function)

    async def backup(self) -> Snapshot:
        """As `Store.backup`."""
        return await self.snapshots.take()

    async def verify_audit(self, *, expect: bytes | None = None) -> AuditVerdict:
        """As `Store.verify_audit`.

        Raises:
            Unavailable: the store cannot be read.
        """
        return await self._audit.verify(expect=expect)

    def _check_files(self) -> None:
        """Stop writing if the files were removed or replaced: writes would be lost."""
        moved = self.opened.files.find_moved() if self.condition.is_writable else None
        if moved is not None:
            self.condition.stop_writing(
                FileNotFoundError(
                    errno.ENOENT, "a file of the store was removed or replaced while herod had it open", str(moved)
                )
            )

    async def _write(self, function: Callable[[Transaction], T]) -> T:
        self._flush_some()
        return await self.group_writer.run(function)

    def _flush_some(self) -> None:
        """Submit noted uses as a separate function, so that their failure does not affect the caller's write."""
        if not self._noted or self._flushing:
            return
        for id_ in list(self._noted)[:USES_AT_ONCE]:
            self._flushing[id_] = self._noted.pop(id_)
        try:
            self.group_writer.submit(partial(Transaction.note_uses, uses=self._flushing), self._flushed)
        except Unavailable as error:
            self._flushed(outcome.Error(error))

    def _flushed(self, result: outcome.Value[None] | outcome.Error) -> None:
        flushing, self._flushing = self._flushing, {}
        if not isinstance(result, outcome.Error):
            return
        if isinstance(result.error, Unavailable):
            self._noted = {**flushing, **self._noted}
        else:  # trying again would not help
            logger.error("the last uses of credentials could not be written", exc_info=result.error)

    def _settle(self, head: StoreHead, changed: frozenset[Key]) -> None:
        """Update head and cache after a durable commit, so that nothing older is served."""
        has_new_rows = head.audit.seq != self._head.audit.seq
        self._head = head
        for key in changed:
            self._cache.forget(key)
        if has_new_rows:
            self._audit_notifier.send()
        news = {kind for kind, _ in changed} - UNFOLLOWED
        if news:
            self._change_notifier.send(news)

    @contextmanager
    def _one_moment(self, connection: apsw.Connection) -> Iterator[None]:
        """Run several statements on one snapshot."""
        try:
            connection.execute("BEGIN").fetchall()
            yield
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK").fetchall()


def _nothing(_tx: Writer) -> None:
    """Do nothing: as a write, it waits for those before it."""
