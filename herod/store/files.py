"""The store's files: where they may be, who may read them, and that one process has them.

    <path>  <path>-wal  <path>-shm  <path>.lock      all 0600, in a folder that is made 0700 when it is not there
    <path>.snapshot  <path>.restoring                for as long as a backup is made or restored

Nothing here opens the database. Closing a descriptor of a file drops every POSIX lock that the process has on it, so
the database file is touched before SQLite opens it and never after.
"""

import errno
import fcntl
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from herod.errors import RuntimeFailure, SettingsError

__all__ = [
    "FILES",
    "RESTORING",
    "SNAPSHOT",
    "StoreLock",
    "create_beside",
    "drop_leftovers",
    "drop_temporary",
    "prepare_file",
    "resolve_path",
    "sync_folder",
]

logger = logging.getLogger("herod.store")

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
FILES: Final = ("", "-wal", "-shm")
"""What SQLite keeps, as suffixes of the path."""
SNAPSHOT: Final = ".snapshot"
RESTORING: Final = ".restoring"
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class StoreLock:
    """Holds `<path>.lock` as long as the process lives, or until `release`. The file stays: removing it would race.

    Raises:
        RuntimeFailure: another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        lock = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(lock, _OPEN, FILE_MODE)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = _read_pid(self._descriptor)
            self.release()
            raise RuntimeFailure(
                f"the store {path} is in use by {holder}: stop that one first, or give this one another store"
            ) from None
        except OSError as error:
            self.release()
            raise _failure(path, error) from None

    def release(self) -> None:
        """Let another process have the store."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def resolve_path(path: Path) -> Path:
    """The one name of the store's file, in a folder that exists.

    Raises:
        SettingsError: it names a folder, or something else that is no file.
        RuntimeFailure: its folder cannot be made.
    """
    try:
        resolved = path.resolve()
        if resolved.is_dir():
            raise SettingsError(f"the store {path} is a folder: name a file in it, such as {path / 'herod.db'}")
        if resolved.exists() and not resolved.is_file():
            raise SettingsError(f"the store {path} is not a regular file: name another")
        _make_folder(resolved.parent)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise _failure(path, error) from None
    return resolved


def prepare_file(path: Path) -> None:
    """Make the database file if it is not there, empty; see to it that nobody else may read any of the files.

    SQLite gives its own two files the mode of this one.

    Raises:
        RuntimeFailure: it cannot be written.
    """
    try:
        os.close(os.open(path, _OPEN, FILE_MODE))
        for suffix in FILES:
            with suppress(FileNotFoundError):
                _close_to_others(path.with_name(path.name + suffix))
    except OSError as error:
        raise _failure(path, error) from None


def create_beside(path: Path, suffix: str) -> Path:
    """A new, empty file for the time of some work, 0600, in the place of one that a killed process has left.

    Raises:
        RuntimeFailure: it cannot be made.
    """
    temporary = path.with_name(path.name + suffix)
    try:
        drop_temporary(temporary)
        os.close(os.open(temporary, _OPEN | os.O_EXCL, FILE_MODE))
    except OSError as error:
        raise _failure(path, error) from None
    return temporary


def drop_temporary(temporary: Path) -> None:
    """Remove a temporary database and what SQLite has put beside it."""
    for suffix in (*FILES, "-journal"):
        temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def drop_leftovers(path: Path) -> None:
    """Remove what a killed backup or restore has left beside the store; the lock is held."""
    for suffix in (SNAPSHOT, RESTORING):
        with suppress(OSError):
            drop_temporary(path.with_name(path.name + suffix))


def sync_folder(folder: Path) -> None:
    """Make what was linked, renamed and removed there durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=FOLDER_MODE)


def _close_to_others(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~FILE_MODE:
        path.chmod(FILE_MODE)
        logger.warning("%s could be read by others (mode %04o): it is 0600 now", path, mode)


def _read_pid(descriptor: int) -> str:
    text = os.pread(descriptor, 20, 0).strip()
    return f"the herod with process id {text.decode()}" if text.isdigit() else "another herod"


def _failure(path: Path, error: OSError | RuntimeError) -> RuntimeFailure:
    code = error.errno if isinstance(error, OSError) else errno.ELOOP
    why = os.strerror(code) if code is not None else str(error)
    match code:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            cure = (
                f"let uid {os.geteuid()} write to {path.parent} and the files of that name in it, or name another store"
            )
        case errno.ENOSPC | errno.EDQUOT:
            cure = "make room on that disk, or name another store"
        case errno.ELOOP:
            cure = "remove the symbolic link, or name another store"
        case errno.ENOTDIR:
            cure = "a part of that path is a file: name another store"
        case _:
            cure = "mend that, or name another store"
    return RuntimeFailure(f"the store {path} cannot be opened ({why}): {cure}")
