"""The store's files: their paths, their modes, and the lock that gives them to one process.

    <path>  <path>-wal  <path>-shm  <path>.lock      all 0600, in a folder that is created 0700 if it does not exist
    <path>.snapshot.part  <path>.restoring.part      while a backup is made or restored

Nothing here opens the database. Closing a descriptor of a file drops every POSIX lock that the process has on it, so
the database file is touched only before SQLite opens it.
"""

import errno
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from herod.file_ownership import PathTrace, name_user, require_own_path
from herod.private_files import create_private
from herod.store.sqlite.disk.file_header import HEADER_BYTES, Content, judge_header
from herod.store.sqlite.disk.own_files import close_to_others, open_own, own_file
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = [
    "FILES",
    "RESTORING",
    "SNAPSHOT",
    "PlacedFiles",
    "StoreLock",
    "check_files",
    "create_beside",
    "drop_leftovers",
    "drop_temporary",
    "prepare_file",
    "resolve_path",
    "sync_folder",
]

logger = logging.getLogger("herod.store")

FOLDER_MODE: Final = 0o700
FILES: Final = ("", "-wal", "-shm")
"""SQLite's files, as suffixes of the path."""
_JOURNAL: Final = "-journal"
# Unlikely names for a backup: files that a killed command left under them are removed.
SNAPSHOT: Final = ".snapshot.part"
RESTORING: Final = ".restoring.part"
_LOCK_BYTES: Final = 200


class StoreLock:
    """Holds `<path>.lock` until `release` or the end of the process. The file is kept: removing it would race.

    Its first line has the holder's process id, its second how far the store had come; a new holder keeps the second.

    Attributes:
        mark: the second line as it was found; empty if there was none.

    Raises:
        RuntimeFailure: another process holds the lock, or the file cannot be created or is not this user's own.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self.mark = b""
        lock = path.with_name(path.name + ".lock")
        try:
            self._descriptor = open_own(lock, may_create=True)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _, _, rest = os.pread(self._descriptor, _LOCK_BYTES, 0).partition(b"\n")
            self.mark = rest.partition(b"\n")[0]
            self._write(self.mark + b"\n" if self.mark else b"")
            os.ftruncate(self._descriptor, len(self._holder) + len(self.mark) + bool(self.mark))
        except BlockingIOError:
            holder = _read_pid(self._descriptor)
            self.release()
            raise RuntimeFailure(
                f"the store {path} is in use by {holder}: stop that process first, or use another store"
            ) from None
        except OSError as error:
            self.release()
            raise _failure(lock, error) from None

    @property
    def _holder(self) -> bytes:
        return f"{os.getpid()}\n".encode()

    def note(self, mark: bytes) -> None:
        """Write how far the store has come, in one line. Errors are ignored: an older mark is still true."""
        with suppress(OSError):
            self._write(mark)

    def _write(self, mark: bytes) -> None:
        os.pwrite(self._descriptor, self._holder + mark, 0)

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PlacedFiles:
    """The database and its two companion files, as they were when they were opened.

    If another program removes or replaces them, a process that has them open gets no error, but all it writes from
    then on is lost when it ends. So this must be checked.
    """

    def __init__(self, path: Path) -> None:
        names = [path.with_name(path.name + suffix) for suffix in FILES]
        self._known = [(name, identity) for name in names if (identity := _identity(name)) is not None]

    def find_moved(self) -> Path | None:
        """The first file that was removed or replaced; None if there is none, or if that cannot be checked."""
        with suppress(OSError):
            for name, identity in self._known:
                if _identity(name) != identity:
                    return name
        return None


def resolve_path(path: Path) -> Path:
    """The resolved path of the store's file; creates its folder.

    Raises:
        SettingsError: the path is a folder, or otherwise not a regular file.
        RuntimeFailure: its folder cannot be created, or another user can change where the path leads.
    """
    try:
        route = _trace(path)
        resolved = route.target
        if resolved.is_dir():
            raise SettingsError(f"the store {path} is a folder: give a file in it, such as {path / 'herod.db'}")
        if resolved.exists() and not resolved.is_file():
            raise SettingsError(f"the store {path} is not a regular file: choose another path")
        if not resolved.parent.is_dir():
            _make_folder(resolved.parent)
            if _trace(path).target != resolved:  # another process created it first
                raise RuntimeFailure(
                    f"the path of the store {path} has just changed: find out what changes its folders, and try again"
                )
    except OSError as error:
        raise _failure(path, error) from None
    return resolved


def prepare_file(path: Path) -> None:
    """Create an empty database file if there is none, and make all files private to this user.

    A file that is not a store is left unchanged, including its mode. SQLite gives its own files the mode of this one.

    Raises:
        RuntimeFailure: it cannot be written, is not a store, or one of the files is not this user's own.
    """
    try:
        with own_file(path, may_create=True) as descriptor:
            content = judge_header(os.pread(descriptor, HEADER_BYTES, 0))
            _require_store(path, content)
            if content is not Content.UNFINISHED:  # which may belong to any program
                close_to_others(descriptor, path)
        for suffix in (*FILES[1:], _JOURNAL):
            name = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError), own_file(name) as descriptor:
                close_to_others(descriptor, name)
    except OSError as error:
        raise _failure(path, error) from None


def check_files(path: Path) -> None:
    """Check that the files at the store's path may be moved away: this user owns them, and they are herod's.

    Raises:
        RuntimeFailure: one belongs to another user, is not a regular file, or is a database of another program.
    """
    try:
        for suffix in (*FILES, _JOURNAL):
            name = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError), own_file(name) as descriptor:
                if name == path and judge_header(os.pread(descriptor, HEADER_BYTES, 0)) is Content.OTHER_DATABASE:
                    _require_store(path, Content.OTHER_DATABASE)
    except OSError as error:
        raise _failure(path, error) from None


def create_beside(path: Path, suffix: str) -> Path:
    """Create an empty temporary file beside the store, 0600, replacing one that a killed process left.

    Raises:
        RuntimeFailure: it cannot be created.
    """
    temporary = path.with_name(path.name + suffix)
    try:
        drop_temporary(temporary)
        os.close(create_private(temporary))
    except OSError as error:
        raise _failure(path, error) from None
    return temporary


def drop_temporary(temporary: Path) -> None:
    """Remove a temporary database and SQLite's files beside it."""
    for suffix in (*FILES, _JOURNAL):
        temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def drop_leftovers(path: Path) -> None:
    """Remove what a killed backup or restore left beside the store; the caller holds the lock."""
    for suffix in (SNAPSHOT, RESTORING):
        with suppress(OSError):
            drop_temporary(path.with_name(path.name + suffix))


def sync_folder(folder: Path) -> None:
    """Make links, renames and removals in a folder durable."""
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


def _trace(path: Path) -> PathTrace:
    """Resolve the path, and refuse one that another user can change.

    For root, every folder and link on the path is checked. For any other user only the file itself is: it must not be a
    link that another user created.
    """
    route = require_own_path(path, "the store")
    for step in route.steps:
        if step.is_link and step.is_last and step.uid not in {0, os.geteuid()}:
            raise RuntimeFailure(
                f"the store {path} is reached through {step.path}, a symbolic link of {name_user(step.uid)}: give the "
                "path of the file itself"
            )
    return route


def _require_store(path: Path, content: Content) -> None:
    if content is Content.OTHER:
        raise RuntimeFailure(
            f"{path} is not a herod store, or its beginning is damaged: choose another store, or restore a backup"
        )
    if content is Content.OTHER_DATABASE:
        raise RuntimeFailure(f"{path} is a database of another program, not herod's: choose another store")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no such file."""
    try:
        info = os.stat(path)  # noqa: PTH116 - called at each commit, and twice as fast as `Path.stat`
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info.st_dev, info.st_ino


def _read_pid(descriptor: int) -> str:
    text = os.pread(descriptor, _LOCK_BYTES, 0).partition(b"\n")[0].strip()
    return f"the herod with process id {text.decode()}" if text.isdigit() else "another herod"


def _failure(path: Path, error: OSError) -> RuntimeFailure:
    why = os.strerror(error.errno) if error.errno is not None else str(error)
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            cure = f"let uid {os.geteuid()} write to {path.parent} and the store's files in it, or choose another store"
        case errno.ENOSPC | errno.EDQUOT:
            cure = "free some space on that disk, or choose another store"
        case errno.ENOTDIR:
            cure = "a part of that path is a file: choose another store"
        case _:
            cure = "fix that, or choose another store"
    return RuntimeFailure(f"the store {path} cannot be opened ({why}): {cure}")
