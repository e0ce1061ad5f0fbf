"""Opens the embedded store: creates it, or checks that it is a herod store, intact, and opened by this secret.

All problems are reported here, in one line with what to do, before the daemon serves. A file that is not a herod store
must never be changed.
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
from herod.store.sqlite.disk.migrations import NEWEST, migrate
from herod.store.sqlite.disk.missing_rows import find_loss, find_missing, parse_mark
from herod.store.sqlite.sealed_rows import logger
from herod.store.sqlite.write_transaction import write_head
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["OpenedFile", "OpenedStore", "connect", "load_head", "make_file", "open_file", "open_store", "put_wraps"]

BUSY_MILLISECONDS: Final = 5000
# A check reads the whole file and compares its indexes: about 10 ms a MiB. Larger stores are not checked at the start,
# but every row is verified when it is read.
CHECKED_BYTES: Final = 16 * 1024 * 1024

# Read at import: root may create a store as another user, who may not be able to read herod's own folder.
_SCHEMA: Final = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_WRAPS: Final = "SELECT value FROM meta WHERE name = 'wraps'"
_PUT_WRAPS: Final = "INSERT OR REPLACE INTO meta (name, rev, value) VALUES ('wraps', 0, ?)"
_HEAD: Final = "SELECT rev, value FROM meta WHERE name = 'head'"
_NEWEST: Final = "SELECT max((SELECT ifnull(max(rev), 0) FROM records), (SELECT ifnull(max(rev), 0) FROM tombstones))"
_LAST_AUDIT: Final = "SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStore:
    """The parts of an open store. The lock is released last."""

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
    """A store's file without a running daemon: for offline commands that hold its lock.

    Attributes:
        wraps: the root, sealed under each secret that may open it.
        root: the root key in `wrap`.
        wrap: the wrap that the secret opened.
    """

    connection: apsw.Connection
    wraps: tuple[bytes, ...]
    root: bytes = field(repr=False)
    wrap: bytes
    keyring: Keyring
    head: StoreHead


def open_store(path: Path, secret: str, *, now: int) -> OpenedStore:
    """Open the store in `path`, or create it.

    Raises:
        SettingsError: it was made with another secret, or the path is not that of a file.
        RuntimeFailure: another process uses it; it is damaged, not a herod store or too new; or the disk fails.
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
            migrate(writer, keyring)
            reader = connect(path, apsw.SQLITE_OPEN_READONLY)
            cleanup.callback(reader.close)
            _one(reader, _HEAD)  # so that errors of the reader show here
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
    """Create the file of an empty store; the caller holds its lock.

    Raises:
        RuntimeFailure: it cannot be created.
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
    """Open an existing store's file to work on it; the caller holds its lock.

    Args:
        is_salvage: the store is known to be damaged; open it as far as possible.

    Raises:
        SettingsError: it was made with another secret.
        RuntimeFailure: it is missing, damaged, not a herod store or too new; or the disk fails.
    """
    with ExitStack() as cleanup:
        try:
            connection = connect(path, apsw.SQLITE_OPEN_READWRITE)
            cleanup.callback(connection.close)
            if _is_new(connection, path):
                raise RuntimeFailure(f"the store {path} is empty: choose another store")
            _set_durable(connection, path)
            if not is_salvage:
                _check(connection, path)
            wraps, wrap, root = _load_root(connection, path, secret)
            keyring = Keyring(root)
            head = _load_checked_head(connection, path, keyring, is_salvage=is_salvage)
            if not is_salvage:
                migrate(connection, keyring)
        except apsw.Error as error:
            raise _failure(path, error) from error
        cleanup.pop_all()
    return OpenedFile(connection=connection, wraps=wraps, root=root, wrap=wrap, keyring=keyring, head=head)


def put_wraps(connection: apsw.Connection, *wraps: bytes) -> None:
    """Store the wrapped roots, the newest first; inside the caller's transaction, if there is one."""
    connection.execute(_PUT_WRAPS, (msgspec.msgpack.encode(wraps),)).fetchall()


def connect(path: Path, flags: int) -> apsw.Connection:
    """Connect to an existing file with herod's options; the path must not contain symbolic links."""
    connection = apsw.Connection(str(path), flags=flags | apsw.SQLITE_OPEN_NOFOLLOW)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    # A file edited by others must not run their SQL.
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def load_head(connection: apsw.Connection, keyring: Keyring) -> StoreHead:
    """The head as the connection sees it.

    Raises:
        SealBroken: it is missing, or was changed.
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
        raise RuntimeFailure(f"{path} is a database of another program, not herod's: choose another store")
    if version > NEWEST:
        raise RuntimeFailure(
            f"the store {path} was made by a newer herod (its format is {version}, this one has {NEWEST}): "
            "install the newer herod again, or restore a backup from before"
        )
    if version < 1:
        raise _damaged(path, f"there is no format {version}")
    return False


def _set_durable(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("journal_mode", "wal") != "wal":
        raise RuntimeFailure(
            f"the file system of {path} does not support a write-ahead log: put the store on a local disk"
        )
    connection.pragma("synchronous", "FULL")  # acknowledged writes survive a power failure


def _create(connection: apsw.Connection, secret: str, now: int) -> None:
    """Create everything in one transaction, so that no partial store is ever found."""
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
    """Load all wraps, the one that the secret opens, and the root in it."""
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
        "was set), and change it with `herod secret rotate`; or move the file away to start with an empty store"
    )


def _drop_old_wraps(connection: apsw.Connection, wrap: bytes) -> None:
    """Delete the old wraps once the new secret has opened the store, and SQLite's remnants of them."""
    try:
        connection.pragma("secure_delete", "on")
        put_wraps(connection, wrap)
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.pragma("secure_delete", "off")
    except apsw.Error as error:  # the next start tries again
        logger.warning("the old secret still opens the store, too: %s", describe(error))
    else:
        logger.info("only the new secret opens the store from now on")


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
        raise _damaged(path, "it has rows that are newer than its sealed head")
    if missing := find_missing(connection, head):
        raise _damaged(path, missing)
    # The daemon starts anyway: the audit log is evidence and must stay readable.
    last = _one(connection, _LAST_AUDIT) or (head.anchor.seq, head.anchor.mac)
    if last != (head.audit.seq, head.audit.mac):
        logger.error("the audit log does not match its sealed head: %s was changed outside herod; keep a copy", path)
    return head


def _one(connection: apsw.Connection, sql: str) -> tuple[Any, ...] | None:
    rows = connection.execute(sql).fetchall()
    return rows[0] if rows else None


def _damaged(path: Path, what: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"the store {path} is damaged ({what}): restore a backup, or move the file away to start with an empty store"
    )


def _outdated(path: Path, what: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"the store {path} has lost data ({what}): restore a backup, or, to continue with what is left, remove "
        f"{path}.lock and repeat recent revocations"
    )


def _failure(path: Path, error: apsw.Error) -> RuntimeFailure:
    if isinstance(error, apsw.NotADBError):
        return RuntimeFailure(
            f"{path} is not a herod store, or its beginning is damaged: choose another store, or restore a backup"
        )
    if isinstance(error, apsw.CorruptError | apsw.SQLError):  # SQLError: one of herod's tables is missing
        return _damaged(path, describe(error))
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return RuntimeFailure(
            f"the store {path} cannot be opened ({describe(error)}): let herod's user write to {path.parent} and the "
            "store's files in it"
        )
    match fault_of(error):
        case Fault.FULL:
            return RuntimeFailure(f"the disk of the store {path} is full: free some space and start again")
        case Fault.LIMITED as fault:
            return RuntimeFailure(f"the store {path} cannot be written: {fault.remedy} and start again")
        case Fault.LOCKED:
            return RuntimeFailure(f"another program has locked the store {path}: close it and start again")
        case Fault.BROKEN:
            return RuntimeFailure(f"the store {path} cannot be read or written ({describe(error)}): check its disk")
