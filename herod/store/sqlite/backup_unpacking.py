"""A backup file becomes a database beside the store, and that one takes the store's place.

Nothing of the store is touched before the whole backup has proved good, and what stood there before is kept under
another name. A process that is killed leaves the old store or the new one, never none.
"""

import os
from pathlib import Path
from typing import BinaryIO, Final

from herod.credentials.backup_encryption import HEADER_BYTES, SEALED_CHUNK_BYTES, BackupOpener, NoBackup
from herod.credentials.keyring import WrongSecret, derive_backup_key
from herod.credentials.sealing import SealBroken
from herod.store.sqlite.disk.database_files import RESTORING, create_beside, drop_temporary, sync_folder
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["open_backup", "put_in_place", "unpack"]

# What would be played into the new database if it stood beside it.
LOGS: Final = ("-wal", "-shm", "-journal")


def open_backup(file: Path) -> BinaryIO:
    """Open a backup to read it.

    Raises:
        RuntimeFailure: it cannot be read.
    """
    try:
        return file.open("rb")
    except (OSError, ValueError) as error:
        raise RuntimeFailure(f"the backup {file} cannot be read: {_words(error)}") from None


def unpack(source: BinaryIO, secret: str, path: Path) -> Path:
    """Write the database that a backup holds beside the store; where it is.

    Args:
        source: the backup, from `open_backup`.
        secret: what the daemon that made it opened its store with.
        path: the store's, whose lock is held.

    Raises:
        SettingsError: another secret made the backup.
        RuntimeFailure: it cannot be read, is no backup, or is not whole; or the disk says no.
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
                f"the backup {file} is damaged or not whole: nothing was changed; take another one"
            ) from None
        if isinstance(error, OSError):
            raise RuntimeFailure(
                f"the backup {file} could not be unpacked ({_words(error)}): nothing was changed; it needs as "
                f"much room in {path.parent} as the file has"
            ) from None
        raise
    return temporary


def put_in_place(temporary: Path, path: Path, aside: Path | None) -> None:
    """Let the new database stand where the store stood; both are closed.

    Args:
        temporary: the new one, in one file.
        path: the store's, whose lock is held.
        aside: the name that the old one is kept under; None when there is none.

    Raises:
        RuntimeFailure: the disk says no; the old store stands, under both names perhaps.
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
        sync_folder(path.parent)  # before the other database comes
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise RuntimeFailure(f"the backup could not be put in place of {path}: {_words(error)}") from None


def _open(source: BinaryIO, secret: str) -> BackupOpener:
    file = source.name
    try:
        return BackupOpener(derive_backup_key(secret), source.read(HEADER_BYTES))
    except NoBackup:
        raise RuntimeFailure(f"{file} is no backup of herod's, or of a newer herod: name another file") from None
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
