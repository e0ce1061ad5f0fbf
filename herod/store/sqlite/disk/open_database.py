"""Opening the embedded store: make it, or find out that it is ours, whole, and opened by this secret.

Everything that is wrong is said here, in one line with what to do, before the daemon answers anyone. A file that is
not ours must never be changed.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import apsw
import msgspec

from herod.credentials.keyring import (
    Keyring,
    WrongSecret,
    derive_backup_key,
    new_root,
    unwrap_root,
    wrap_root,
)
from herod.credentials.sealing import SealBroken
from herod.store.integrity_head import StoreHead, open_head
from herod.store.sqlite.disk.database_files import PlacedFiles, StoreLock, drop_leftovers, prepare_file, resolve_path
from herod.store.sqlite.disk.disk_faults import Fault, describe, fault_of
from herod.store.sqlite.disk.file_header import APPLICATION_ID
from herod.store.sqlite.disk.missing_rows import find_loss, find_missing, parse_mark
from herod.store.sqlite.sealed_rows import logger
from herod.store.sqlite.write_transaction import write_head
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["OpenedFile", "OpenedStore", "connect", "load_head", "make_file", "open_file", "open_store", "put_wraps"]

SCHEMA_VERSION: Final = 1
BUSY_MILLISECONDS: Final = 5000
# A check reads the whole file and compares its indexes: about 10 ms a MiB. Larger ones are read as they are used, and
# every row checks itself.
CHECKED_BYTES: Final = 16 * 1024 * 1024

# Read with the module: where root makes a store as another user, that user need not be able to read herod's own folder.
_SCHEMA: Final = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_WRAPS: Final = "SELECT value FROM meta WHERE name = 'wraps'"
_PUT_WRAPS: Final = "INSERT OR REPLACE INTO meta (name, rev, value) VALUES ('wraps', 0, ?)"
_HEAD: Final = "SELECT rev, value FROM meta WHERE name = 'head'"
_NEWEST: Final = "SELECT max((SELECT ifnull(max(rev), 0) FROM records), (SELECT ifnull(max(rev), 0) FROM tombstones))"
_LAST_AUDIT: Final = "SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStore:
    """What an open store consists of. The lock is released last."""

    path: Path
    lock: StoreLock
    files: PlacedFiles
    reader: apsw.Connection
    writer: apsw.Connection
    keyring: Keyring
    head: StoreHead
    backup_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """A store's file that nobody serves: for commands that work on it under its lock.

    Attributes:
        wraps: the root as each secret that may open it seals it.
        root: as `wrap` has it.
        wrap: which of the wraps the secret has opened.
    """

    connection: apsw.Connection
    wraps: tuple[bytes, ...]
    root: bytes = field(repr=False)
    wrap: bytes
    keyring: Keyring
    head: StoreHead


def open_store(path: Path, secret: str, *, now: int) -> OpenedStore:
    """Open the store in `path`, or make it.

    Raises:
        SettingsError: another secret has made it, or the path names no file.
        RuntimeFailure: another process has it, it is damaged, not ours or too new, or the disk says no.
    """
    path = resolve_path(path)
    with ExitStack() as cleanup:
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        drop_leftovers(path)
        was_there = path.exists()
        prepare_file(path)
        try:
            writer = connect(path, apsw.SQLITE_OPEN_READWRITE)
            cleanup.callback(writer.close)
            is_new = _is_new(writer, path)
            if is_new and was_there and parse_mark(lock.mark) is not None:
                raise _outdated(path, "the file is empty now")
            _set_durable(writer, path)
            if is_new:
                _create(writer, secret, now)
            else:
                _check(writer, path)
            wraps, wrap, root = _load_root(writer, path, secret)
            keyring = Keyring(root)
            head = _load_checked_head(writer, path, keyring)
            if loss := find_loss(parse_mark(lock.mark), head):
                raise _outdated(path, loss)
            reader = connect(path, apsw.SQLITE_OPEN_READONLY)
            cleanup.callback(reader.close)
            _one(reader, _HEAD)  # so that what stops the reader is found here
            files = PlacedFiles(path)
        except apsw.Error as error:
            raise _failure(path, error) from error
        if wrap == wraps[0] and len(wraps) > 1:
            _drop_old_wraps(writer, wrap)
        cleanup.pop_all()
    return OpenedStore(
        path=path,
        lock=lock,
        files=files,
        reader=reader,
        writer=writer,
        keyring=keyring,
        head=head,
        backup_key=derive_backup_key(secret),
    )


def make_file(path: Path, secret: str, *, now: int) -> None:
    """Make an empty store's file where there is none; its lock is the caller's.

    Raises:
        RuntimeFailure: it cannot be made.
    """
    prepare_file(path)
    try:
        connection = connect(path, apsw.SQLITE_OPEN_READWRITE)
        try:
            if _is_new(connection, path):
                _set_durable(connection, path)
                _create(connection, secret, now)
        finally:
            connection.close()
    except apsw.Error as error:
        raise _failure(path, error) from error


def open_file(path: Path, secret: str, *, is_salvage: bool = False) -> OpenedFile:
    """Open an existing store's file to work on it; its lock is the caller's.

    Args:
        is_salvage: it is known to be damaged, and what opens of it is wanted all the same.

    Raises:
        SettingsError: another secret has made it.
        RuntimeFailure: it is not there, damaged, not ours or too new, or the disk says no.
    """
    with ExitStack() as cleanup:
        try:
            connection = connect(path, apsw.SQLITE_OPEN_READWRITE)
            cleanup.callback(connection.close)
            if _is_new(connection, path):
                raise RuntimeFailure(f"the store {path} is empty: name another store")
            _set_durable(connection, path)
            if not is_salvage:
                _check(connection, path)
            wraps, wrap, root = _load_root(connection, path, secret)
            keyring = Keyring(root)
            head = _load_checked_head(connection, path, keyring, is_salvage=is_salvage)
        except apsw.Error as error:
            raise _failure(path, error) from error
        cleanup.pop_all()
    return OpenedFile(connection=connection, wraps=wraps, root=root, wrap=wrap, keyring=keyring, head=head)


def put_wraps(connection: apsw.Connection, *wraps: bytes) -> None:
    """Write down what opens the store, the newest first; inside the caller's transaction, if there is one."""
    connection.execute(_PUT_WRAPS, (msgspec.msgpack.encode(wraps),)).fetchall()


def connect(path: Path, flags: int) -> apsw.Connection:
    """A connection of herod's kind to an existing file, whose path has no symbolic link in it."""
    connection = apsw.Connection(str(path), flags=flags | apsw.SQLITE_OPEN_NOFOLLOW)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    # A file edited by a stranger must not run SQL of theirs.
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def load_head(connection: apsw.Connection, keyring: Keyring) -> StoreHead:
    """The head as the connection sees it.

    Raises:
        SealBroken: it is not there, or was changed.
        apsw.Error: the file cannot be read.
    """
    row = _one(connection, _HEAD)
    if row is None:
        raise SealBroken("the store has no head")
    return open_head(keyring, *row)


def _is_new(connection: apsw.Connection, path: Path) -> bool:
    application_id = connection.pragma("application_id")
    version = connection.pragma("user_version")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0]
    if application_id == 0 and version == 0 and tables == 0:
        return True
    if application_id != APPLICATION_ID:
        raise RuntimeFailure(f"{path} is a database of another program, not herod's: name another store")
    if version > SCHEMA_VERSION:
        raise RuntimeFailure(
            f"the store {path} was made by a newer herod (its format is {version}, this one knows {SCHEMA_VERSION}): "
            "install the newer herod again, or restore a backup from before"
        )
    if version < SCHEMA_VERSION:
        raise _damaged(path, f"there is no format {version}")
    return False


def _set_durable(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("journal_mode", "wal") != "wal":
        raise RuntimeFailure(f"the file system of {path} cannot hold a write-ahead log: put the store on a local disk")
    connection.pragma("synchronous", "FULL")  # what was acknowledged survives a power cut


def _create(connection: apsw.Connection, secret: str, now: int) -> None:
    """Make everything in one transaction: a half-made store is never found."""
    root = new_root()
    connection.execute(f"BEGIN IMMEDIATE; {_SCHEMA}").fetchall()
    put_wraps(connection, wrap_root(root, secret))
    write_head(connection, Keyring(root), StoreHead(generation=token_hex(8), created_at=now))
    connection.execute("COMMIT").fetchall()


def _check(connection: apsw.Connection, path: Path) -> None:
    if path.stat().st_size > CHECKED_BYTES:
        return
    ((answer,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    finding = str(answer)
    if finding != "ok":
        raise _damaged(path, " ".join(finding.split()))


def _load_root(connection: apsw.Connection, path: Path, secret: str) -> tuple[tuple[bytes, ...], bytes, bytes]:
    """All wraps, the one that the secret opens, and the root in it."""
    row = _one(connection, _WRAPS)
    try:
        wraps = msgspec.msgpack.decode(row[0] if row else b"", type=tuple[bytes, ...])
    except msgspec.DecodeError:
        raise _damaged(path, "its wrapped root key cannot be read") from None
    for wrap in wraps:
        try:
            return wraps, wrap, unwrap_root((wrap,), secret)
        except WrongSecret:
            continue
    raise SettingsError(
        f"the store {path} was made with another secret: give that HERO_SECRET (or HEROD_STORE_SECRET, if one "
        "was set), and change it with `herod secret rotate`; or move the file away to begin with an empty store"
    )


def _drop_old_wraps(connection: apsw.Connection, wrap: bytes) -> None:
    """The new secret has opened the store: the one before shall not any more, not even by what SQLite left behind."""
    try:
        connection.pragma("secure_delete", "on")
        put_wraps(connection, wrap)
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.pragma("secure_delete", "off")
    except apsw.Error as error:  # the next start tries again
        logger.warning("the store still opens with the old secret, too: %s", describe(error))
    else:
        logger.info("the store opens with the new secret alone from now on")


def _load_checked_head(
    connection: apsw.Connection, path: Path, keyring: Keyring, *, is_salvage: bool = False
) -> StoreHead:
    try:
        head = load_head(connection, keyring)
    except (SealBroken, msgspec.DecodeError):
        raise _damaged(path, "its sealed head does not open") from None
    if is_salvage:
        return head
    newest = _one(connection, _NEWEST)
    if newest is not None and newest[0] > head.rev:
        raise _damaged(path, "it holds rows that are newer than its sealed head")
    if missing := find_missing(connection, head):
        raise _damaged(path, missing)
    # The daemon starts all the same: the audit log is evidence and must stay readable.
    last = _one(connection, _LAST_AUDIT) or (head.anchor.seq, head.anchor.mac)
    if last != (head.audit.seq, head.audit.mac):
        logger.error(
            "the audit log does not end where its sealed head says: somebody changed %s from outside; keep a copy", path
        )
    return head


def _one(connection: apsw.Connection, sql: str) -> tuple[Any, ...] | None:
    rows = connection.execute(sql).fetchall()
    return rows[0] if rows else None


def _damaged(path: Path, what: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"the store {path} is damaged ({what}): restore a backup, or move the file away to begin with an empty store"
    )


def _outdated(path: Path, what: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"the store {path} is not what it was ({what}): restore a backup, or, to go on with what is there, remove "
        f"{path}.lock and revoke again what was revoked lately"
    )


def _failure(path: Path, error: apsw.Error) -> RuntimeFailure:
    if isinstance(error, apsw.NotADBError):
        return RuntimeFailure(
            f"{path} is not a herod store, or its beginning is damaged: name another store, or restore a backup"
        )
    if isinstance(error, apsw.CorruptError | apsw.SQLError):  # SQLError: a table of ours is not there
        return _damaged(path, describe(error))
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return RuntimeFailure(
            f"the store {path} cannot be opened ({describe(error)}): let herod's user write to {path.parent} and the "
            "files of that name in it"
        )
    match fault_of(error):
        case Fault.FULL:
            return RuntimeFailure(f"the disk of the store {path} is full: make room and start again")
        case Fault.LOCKED:
            return RuntimeFailure(f"another program has locked the store {path}: close it and start again")
        case Fault.BROKEN:
            return RuntimeFailure(f"the store {path} cannot be read or written ({describe(error)}): check its disk")
