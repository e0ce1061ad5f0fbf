"""Unpacks a backup file to a database beside the store, and replaces the store with it.

The store is not touched before the whole backup has been verified, and the former store is kept under another name. If
the process is killed, the old store or the new one is in place, never none.
"""

import os
from pathlib import Path
from typing import BinaryIO, Final

from herod.credentials.backup_encryption import HEADER_BYTES, SEALED_CHUNK_BYTES, BackupOpener, NoBackup
from herod.credentials.keyring import WrongSecret, derive_backup_key
from herod.credentials.sealing import SealBroken
from herod.input_files import open_input
from herod.store.sqlite.disk.database_files import RESTORING, create_beside, drop_temporary, sync_folder
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["open_backup", "put_in_place", "unpack"]

# Files that SQLite would replay into the new database if they were left beside it.
LOGS: Final = ("-wal", "-shm", "-journal")


def open_backup(file: Path) -> BinaryIO:
    """Open a backup for reading.

    Raises:
        RuntimeFailure: it cannot be read.
    """
    try:
        return open_input(file)
    except (OSError, ValueError) as error:
        raise RuntimeFailure(f"the backup {file} cannot be read: {_words(error)}") from None


def unpack(source: BinaryIO, secret: str, path: Path) -> Path:
    """Write the database in a backup to a file beside the store, and return its path.

    Args:
        source: the backup, from `open_backup`.
        secret: the secret of the store that was backed up.
        path: the store's path; the caller holds its lock.

    Raises:
        SettingsError: the backup was made with another secret.
        RuntimeFailure: it cannot be read, is not a backup or is incomplete; or the disk fails.
    """
    file = source.name
    opener = _open(source, secret)
    temporary = create_beside(path, RESTORING)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "wb") as target:
            _pour(source, opener, target)
            target.flush()
            os.fsync(target.fileno())
    except BaseException as error:
        drop_temporary(temporary)
        if isinstance(error, SealBroken):
            raise RuntimeFailure(
                f"the backup {file} is damaged or incomplete: nothing was changed; use another one"
            ) from None
        if isinstance(error, OSError):
            raise RuntimeFailure(
                f"the backup {file} could not be unpacked ({_words(error)}): nothing was changed; it needs as "
                f"much free space in {path.parent} as the file is long"
            ) from None
        raise
    return temporary


def put_in_place(temporary: Path, path: Path, aside: Path | None) -> None:
    """Replace the store with the new database; both must be closed.

    Args:
        temporary: the new database, in one file.
        path: the store's path; the caller holds its lock.
        aside: the path that the old store is kept under; None if there is none.

    Raises:
        RuntimeFailure: the disk fails; the old store is still in place, possibly under both names.
    """
    try:
        if aside is not None:
            for suffix in ("", *LOGS):
                old = path.with_name(path.name + suffix)
                if old.exists():
                    aside.with_name(aside.name + suffix).hardlink_to(old)
            sync_folder(path.parent)
        for suffix in LOGS:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync_folder(path.parent)  # before the new database is moved there
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise RuntimeFailure(f"the store {path} could not be replaced with the backup: {_words(error)}") from None


def _open(source: BinaryIO, secret: str) -> BackupOpener:
    file = source.name
    try:
        return BackupOpener(derive_backup_key(secret), source.read(HEADER_BYTES))
    except NoBackup:
        raise RuntimeFailure(f"{file} is not a herod backup, or is from a newer herod: choose another file") from None
    except WrongSecret:
        raise SettingsError(
            f"the backup {file} was made with another secret, or its first bytes are damaged: give the HERO_SECRET "
            "(or HEROD_STORE_SECRET) of that time with --backup-secret-file FILE"
        ) from None
    except OSError as error:
        raise RuntimeFailure(f"the backup {file} cannot be read: {_words(error)}") from None


def _pour(source: BinaryIO, opener: BackupOpener, target: BinaryIO) -> None:
    sealed = source.read(SEALED_CHUNK_BYTES)
    is_last = False
    while not is_last:
        following = source.read(SEALED_CHUNK_BYTES)
        is_last = not following
        target.write(opener.open(sealed, is_last=is_last))
        sealed = following


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
