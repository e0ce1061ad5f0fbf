"""A Unix socket in the file system: its folder, lock, cookie and path.

Must never remove anything but a socket, nor a socket that another process has created at the path.
"""

import errno
import fcntl
import logging
import os
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from herod.file_ownership import name_user, require_own_path
from herod.private_files import PRIVATE_MODE, write_private
from herod_client.core.errors import RuntimeFailure

__all__ = ["BACKLOG", "SocketFile", "prepare_folder"]

_log = logging.getLogger(__name__)

BACKLOG: Final = 1024
_FOLDER_MODE: Final = 0o755
_COOKIE_BYTES: Final = 32
_NO_FILE: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})


def prepare_folder(path: Path) -> None:
    """Create a socket's folder if necessary, and make sure that no other user can replace files in it.

    Raises:
        RuntimeFailure: it cannot be created or written, or others could replace the socket; or this is root, and the
            folder or the path to it belongs to another user.
    """
    folder = path.parent
    require_own_path(path, "the socket", may_share=True)
    try:
        umask = os.umask(0o777 & ~_FOLDER_MODE)
        try:
            folder.mkdir(mode=_FOLDER_MODE)
        finally:
            os.umask(umask)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise RuntimeFailure(f"{folder.parent} does not exist: create it, or choose another --bind") from None
    except PermissionError:
        raise RuntimeFailure(
            f"{folder.parent} is not writable for this user: create {folder} there, or choose another --bind"
        ) from None
    require_own_path(path, "the socket", may_share=True)  # another user may have created the folder meanwhile
    info = folder.stat()
    if not stat.S_ISDIR(info.st_mode):
        raise RuntimeFailure(f"{folder} is not a folder: choose another --bind")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RuntimeFailure(f"{folder} is not writable for this user: change its owner, or choose another --bind")
    is_sticky = bool(info.st_mode & stat.S_ISVTX)
    if info.st_mode & stat.S_IWOTH and not is_sticky:
        raise RuntimeFailure(
            f"{folder} is writable for every user, who could replace the socket: "
            f"chmod o-w {folder}, or choose another --bind"
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        _log.warning("%s is writable for other users: the folder of a socket should have mode 0755", folder)
    if info.st_uid not in {0, os.geteuid()}:
        _log.warning(
            "%s belongs to uid %d, who could replace the socket: the folder should belong to herod's user",
            folder,
            info.st_uid,
        )


class SocketFile:
    """A socket's path in the file system, locked by a file beside it.

    The lock file is never removed: a process that opened it just before would then lock a deleted file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cookie: str | None = None
        self._cookie_path = path.with_name(path.name + ".cookie")
        self._ours: dict[Path, tuple[int, int]] = {}
        self._lock = _open_lock(path.with_name(path.name + ".lock"))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RuntimeFailure(f"another herod is listening on {path}: stop it or choose another --bind") from None

    def make_free(self) -> None:
        """Check that nothing is at the path, or only a stale socket."""
        try:
            info = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(info.st_mode):
            raise RuntimeFailure(f"{self.path} is not a socket: move it away, or choose another --bind")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            try:
                probe.connect(os.fspath(self.path))
            except ConnectionRefusedError:
                return  # stale: the rename replaces it
            except BlockingIOError:
                pass  # in use, with a full queue
        raise RuntimeFailure(f"something is listening on {self.path}: stop it or choose another --bind")

    def write_cookie(self) -> None:
        """Write the cookie that proves a local admin: new at each start, readable by this user only."""
        cookie = secrets.token_urlsafe(_COOKIE_BYTES)
        temporary = self._temporary()
        write_private(temporary, cookie.encode("ascii"))
        try:
            self._put(temporary, self._cookie_path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.cookie = cookie

    def bind(self, mode: int) -> socket.socket:
        """Listen at the path. The socket is created with its mode: a later chmod by name could follow a link."""
        temporary = self._temporary()
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(OSError):  # Linux gives the file this mode, even where an access list replaces the umask
                os.fchmod(unix.fileno(), mode)
            umask = os.umask(0o777 & ~mode)
            try:
                unix.bind(os.fspath(temporary))
            finally:
                os.umask(umask)
            unix.listen(BACKLOG)
            self._put(temporary, self.path)
        except BaseException:
            unix.close()
            temporary.unlink(missing_ok=True)
            raise
        return unix

    def clear(self) -> None:
        """Remove the files that this object created, if they are still the same files."""
        for path, identity in self._ours.items():
            try:
                if _identity(path) == identity:
                    path.unlink()
            except OSError as error:
                if error.errno != errno.ENOENT:
                    _log.warning("%s could not be removed: %s", path, error.strerror)
        self._ours.clear()

    def unlock(self) -> None:
        """Release the lock on the path."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _temporary(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{secrets.token_hex(3)}")

    def _put(self, temporary: Path, path: Path) -> None:
        identity = _identity(temporary)
        temporary.rename(path)
        self._ours[path] = identity


def _open_lock(path: Path) -> int:
    """Open the lock file, which must be this user's or root's: otherwise another user could keep it locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise RuntimeFailure(f"{path} is not a regular file: move it away, or choose another --bind") from None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid in {0, os.geteuid()}:
        return descriptor
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise RuntimeFailure(f"{path} is not a regular file: move it away, or choose another --bind")
    raise RuntimeFailure(f"{path} belongs to {name_user(found.st_uid)}: remove it, or choose another --bind")


def _identity(path: Path) -> tuple[int, int]:
    info = path.lstat()
    return info.st_dev, info.st_ino
