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
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from herod.errors import RuntimeFailure, SettingsError

__all__ = [
    "FILES",
    "RESTORING",
    "SNAPSHOT",
    "PlacedFiles",
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
# Names that nobody gives a backup: what a killed command has left under them is removed.
SNAPSHOT: Final = ".snapshot.part"
RESTORING: Final = ".restoring.part"
_LOCK_BYTES: Final = 200
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class StoreLock:
    """Holds `<path>.lock` as long as the process lives, or until `release`. The file stays: removing it would race.

    Its first line says who holds it, its second how far the store had come; whoever takes it keeps that.

    Attributes:
        mark: the second line as it was found; empty when there was none.

    Raises:
        RuntimeFailure: another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self.mark = b""
        lock = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(lock, _OPEN, FILE_MODE)
            _give_to_owner(self._descriptor, path)
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
            raise _failure(path, error) from None

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

    It belongs to whom the store belongs, also when root makes it.

    Raises:
        RuntimeFailure: it cannot be made.
    """
    temporary = path.with_name(path.name + suffix)
    try:
        drop_temporary(temporary)
        descriptor = os.open(temporary, _OPEN | os.O_EXCL, FILE_MODE)
        try:
            _give_to_owner(descriptor, path)
        finally:
            os.close(descriptor)
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


def _give_to_owner(descriptor: int, path: Path) -> None:
    """Let a file that root has just made beside a store belong to whom the store, or else its folder, belongs.

    An offline command under sudo must leave nothing that the daemon's own user cannot open.
    """
    made = os.fstat(descriptor)
    if os.geteuid() != 0 or made.st_uid != 0 or made.st_nlink != 1:  # another link may be anything
        return
    like = (path if path.exists() else path.parent).stat()
    if like.st_uid != 0:
        with suppress(OSError):  # root of a container may not, and then whose the folder is says nothing
            os.fchown(descriptor, like.st_uid, like.st_gid)


def _close_to_others(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~FILE_MODE:
        path.chmod(FILE_MODE)
        logger.warning("%s could be read by others (mode %04o): it is 0600 now", path, mode)


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
