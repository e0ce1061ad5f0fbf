"""The store's files: where they may be, who may read them, and that one process has them.

    <path>  <path>-wal  <path>-shm  <path>.lock      all 0600, in a folder that is made 0700 when it is not there
    <path>.snapshot.part  <path>.restoring.part      for as long as a backup is made or restored

Nothing here opens the database. Closing a descriptor of a file drops every POSIX lock that the process has on it, so
the database file is touched before SQLite opens it and never after.
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
"""What SQLite keeps, as suffixes of the path."""
_JOURNAL: Final = "-journal"
# Names that nobody gives a backup: what a killed command has left under them is removed.
SNAPSHOT: Final = ".snapshot.part"
RESTORING: Final = ".restoring.part"
_LOCK_BYTES: Final = 200


class StoreLock:
    """Holds `<path>.lock` as long as the process lives, or until `release`. The file stays: removing it would race.

    Its first line says who holds it, its second how far the store had come; whoever takes it keeps that.

    Attributes:
        mark: the second line as it was found; empty when there was none.

    Raises:
        RuntimeFailure: another process holds it, or the file cannot be made or is not this user's own.
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
                f"the store {path} is in use by {holder}: stop that one first, or give this one another store"
            ) from None
        except OSError as error:
            self.release()
            raise _failure(lock, error) from None

    @property
    def _holder(self) -> bytes:
        return f"{os.getpid()}\n".encode()

    def note(self, mark: bytes) -> None:
        """Write down how far the store has come, in one line. What cannot be written is left: an older mark is true."""
        with suppress(OSError):
            self._write(mark)

    def _write(self, mark: bytes) -> None:
        os.pwrite(self._descriptor, self._holder + mark, 0)

    def release(self) -> None:
        """Let another process have the store."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PlacedFiles:
    """The database and its two companions, as they stood under their names when they were opened.

    Who removes or replaces them does not disturb the one who has them open: all that is written from then on is lost
    with the process. So it has to be asked for.
    """

    def __init__(self, path: Path) -> None:
        names = [path.with_name(path.name + suffix) for suffix in FILES]
        self._known = [(name, identity) for name in names if (identity := _identity(name)) is not None]

    def find_moved(self) -> Path | None:
        """The first that is not there any more, or is another file now; None too when nobody may look."""
        with suppress(OSError):
            for name, identity in self._known:
                if _identity(name) != identity:
                    return name
        return None


def resolve_path(path: Path) -> Path:
    """The one name of the store's file, in a folder that exists.

    Raises:
        SettingsError: it names a folder, or something else that is no file.
        RuntimeFailure: its folder cannot be made, or another user can change where it leads.
    """
    try:
        route = _trace(path)
        resolved = route.target
        if resolved.is_dir():
            raise SettingsError(f"the store {path} is a folder: name a file in it, such as {path / 'herod.db'}")
        if resolved.exists() and not resolved.is_file():
            raise SettingsError(f"the store {path} is not a regular file: name another")
        if not resolved.parent.is_dir():
            _make_folder(resolved.parent)
            if _trace(path).target != resolved:  # somebody else made it first
                raise RuntimeFailure(
                    f"the path of the store {path} has just changed: find out who changes its folders, and try again"
                )
    except OSError as error:
        raise _failure(path, error) from None
    return resolved


def prepare_file(path: Path) -> None:
    """Make the database file if it is not there, empty; see to it that nobody else may read any of the files.

    A file that is not a store is left unchanged, including its mode. SQLite gives its own files the mode of this one.

    Raises:
        RuntimeFailure: it cannot be written, is not a store, or one of the files is not this user's own.
    """
    try:
        with own_file(path, may_create=True) as descriptor:
            content = judge_header(os.pread(descriptor, HEADER_BYTES, 0))
            _require_store(path, content)
            if content is not Content.UNFINISHED:  # which may be that of any program
                close_to_others(descriptor, path)
        for suffix in (*FILES[1:], _JOURNAL):
            name = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError), own_file(name) as descriptor:
                close_to_others(descriptor, name)
    except OSError as error:
        raise _failure(path, error) from None


def check_files(path: Path) -> None:
    """Check that the files in the store's place may be moved away: this user owns them, and no other program does.

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
    """A new, empty file for the time of some work, 0600, in the place of one that a killed process has left.

    Raises:
        RuntimeFailure: it cannot be made.
    """
    temporary = path.with_name(path.name + suffix)
    try:
        drop_temporary(temporary)
        os.close(create_private(temporary))
    except OSError as error:
        raise _failure(path, error) from None
    return temporary


def drop_temporary(temporary: Path) -> None:
    """Remove a temporary database and what SQLite has put beside it."""
    for suffix in (*FILES, _JOURNAL):
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


def _trace(path: Path) -> PathTrace:
    """Where the path leads, unless another user decides that.

    For root that means every folder and link on the way. For any other user only the file itself is checked: it must
    not be a link that somebody else has made.
    """
    route = require_own_path(path, "the store")
    for step in route.steps:
        if step.is_link and step.is_last and step.uid not in {0, os.geteuid()}:
            raise RuntimeFailure(
                f"the store {path} is reached through {step.path}, a symbolic link of {name_user(step.uid)}: name the "
                "file that it should lead to"
            )
    return route


def _require_store(path: Path, content: Content) -> None:
    if content is Content.OTHER:
        raise RuntimeFailure(
            f"{path} is not a herod store, or its beginning is damaged: name another store, or restore a backup"
        )
    if content is Content.OTHER_DATABASE:
        raise RuntimeFailure(f"{path} is a database of another program, not herod's: name another store")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None when there is no such file."""
    try:
        info = os.stat(path)  # noqa: PTH116 - asked for with each commit: half the time of `Path.stat`
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
            cure = (
                f"let uid {os.geteuid()} write to {path.parent} and the files of that name in it, or name another store"
            )
        case errno.ENOSPC | errno.EDQUOT:
            cure = "make room on that disk, or name another store"
        case errno.ENOTDIR:
            cure = "a part of that path is a file: name another store"
        case _:
            cure = "mend that, or name another store"
    return RuntimeFailure(f"the store {path} cannot be opened ({why}): {cure}")
