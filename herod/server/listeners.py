"""Listening sockets: who may hold an address, how it appears, and how it is given back.

A Unix socket is locked before anything is touched, bound under a temporary name with no permissions for
others, given its mode and then renamed into place, so that there is no moment in which it is missing, open
too wide or not yet listening. Must never remove what is not a socket, nor a socket that another process has
put in its place.
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from herod.errors import RuntimeFailure
from herod.settings.binds import Bind, FdBind, TcpBind, UnixBind

__all__ = ["BoundListener", "listening", "open_listeners"]

_log = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_FOLDER_MODE: Final = 0o755
_BIND_UMASK: Final = 0o177  # a socket is born 0600
_SUN_PATH_BYTES: Final = 107  # unix(7), "Pathname sockets": 108 with the final NUL
_TEMPORARY_NAME_BYTES: Final = 7
_COOKIE_BYTES: Final = 32


class BoundListener:
    """A listening, non-blocking socket, and what it takes to give its address back.

    Attributes:
        label: `unix:/path`, `127.0.0.1:3350` or `[::1]:3350`: the address it really has.
        host: what a Host header may say to reach it, port aside; None on a Unix socket, where anything goes.
        has_peer: whether callers are to be asked for from the kernel.
        cookie: what a local admin must present there; None where there is none.
    """

    def __init__(
        self,
        listening_socket: socket.socket,
        *,
        label: str,
        host: str | None = None,
        place: "_Place | None" = None,
        has_peer: bool = False,
    ) -> None:
        listening_socket.settimeout(0)
        self.socket = listening_socket
        self.label = label
        self.host = host
        self.has_peer = has_peer
        self.cookie = place.cookie if place is not None else None
        self._place = place

    def stop(self) -> None:
        """Listen no more and take the name away; the lock stays."""
        if self._place is not None:
            self._place.clear()
        self.socket.close()

    def close(self) -> None:
        """Stop, and let others have the address."""
        self.stop()
        if self._place is not None:
            self._place.unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_listeners(binds: Sequence[Bind]) -> list[BoundListener]:
    """Listen on all of these, or on none.

    A TCP bind that is optional is left out, with a line in the log, where the machine lacks its address
    family.

    Raises:
        RuntimeFailure: an address is taken, not allowed or not there; the message says what to do.
    """
    with contextlib.ExitStack() as opened:
        listeners = [opened.enter_context(one) for bind in binds if (one := _open(bind)) is not None]
        if not listeners:
            raise RuntimeFailure("there is no address to listen on: name one with --bind")
        opened.pop_all()
    return listeners


@contextmanager
def listening(binds: Sequence[Bind]) -> Iterator[list[BoundListener]]:
    """Listen on all of these for the length of a `with` block; raises what `open_listeners` raises."""
    listeners = open_listeners(binds)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _open(bind: Bind) -> BoundListener | None:
    if isinstance(bind, UnixBind):
        return _open_unix(bind)
    if isinstance(bind, TcpBind):
        return _open_tcp(bind)
    assert isinstance(bind, FdBind)  # noqa: S101 - for the type checker
    raise RuntimeFailure(f"{bind}: passed sockets are not taken yet: give a path or an address with --bind")


def _open_tcp(bind: TcpBind) -> BoundListener | None:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        tcp = _bind_tcp(family, bind)
    except OSError as error:
        is_absent = error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
        if bind.is_optional and is_absent:
            _log.info("%s is left out: this machine has no such address", bind)
            return None
        raise RuntimeFailure(_explain_tcp(bind, error)) from error
    port = tcp.getsockname()[1]
    return BoundListener(tcp, label=f"{bind.url_host}:{port}", host=bind.url_host)


def _bind_tcp(family: socket.AddressFamily, bind: TcpBind) -> socket.socket:
    tcp = socket.socket(family, socket.SOCK_STREAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tcp.bind((bind.host, bind.port))
        tcp.listen(_BACKLOG)
    except BaseException:
        tcp.close()
        raise
    return tcp


def _explain_tcp(bind: TcpBind, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{bind} is in use: stop what listens there, or choose another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{bind} is not an address of this machine: choose another --bind"
    if error.errno == errno.EAFNOSUPPORT:
        return f"{bind}: this machine has no IPv6: choose another --bind"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{bind}: this user may not listen there: choose a --port from 1024 on"
    return f"{bind}: cannot listen ({error.strerror}): choose another --bind"


def _open_unix(bind: UnixBind) -> BoundListener:
    path = Path(os.path.abspath(bind.path))  # noqa: PTH100 - resolve() would follow a link another may turn
    length = len(os.fsencode(path)) + _TEMPORARY_NAME_BYTES
    if length > _SUN_PATH_BYTES:
        most = _SUN_PATH_BYTES - _TEMPORARY_NAME_BYTES
        raise RuntimeFailure(f"{path} is too long for a socket: choose a --bind of at most {most} bytes")
    try:
        _prepare_folder(path.parent)
        place = _Place(path)
        try:
            place.make_free()
            if bind.peer:
                place.write_cookie()
            unix = place.bind(bind.mode)
        except BaseException:
            place.clear()
            place.unlock()
            raise
    except OSError as error:
        where = error.filename if error.filename is not None else path
        raise RuntimeFailure(
            f"cannot listen on {path}: {where}: {error.strerror}: "
            "make it writable for this user, or choose another --bind"
        ) from error
    return BoundListener(unix, label=f"unix:{path}", place=place, has_peer=bind.peer)


def _prepare_folder(folder: Path) -> None:
    """Make the socket's folder if need be, and see that nobody else can swap what lies in it."""
    try:
        folder.mkdir(mode=_FOLDER_MODE)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise RuntimeFailure(f"{folder.parent} does not exist: make it, or choose another --bind") from None
    except PermissionError:
        raise RuntimeFailure(
            f"{folder.parent} is not writable for this user: make {folder} there, or choose another --bind"
        ) from None
    else:
        folder.chmod(_FOLDER_MODE)  # whatever the umask
    info = folder.stat()
    if not stat.S_ISDIR(info.st_mode):
        raise RuntimeFailure(f"{folder} is not a folder: choose another --bind")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RuntimeFailure(f"{folder} is not writable for this user: change its owner, or choose another --bind")
    is_sticky = bool(info.st_mode & stat.S_ISVTX)
    if info.st_mode & stat.S_IWOTH and not is_sticky:
        raise RuntimeFailure(
            f"{folder} is writable for everyone, who could swap the socket: "
            f"chmod o-w {folder}, or choose another --bind"
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        _log.warning("%s is writable for others: a socket's folder is best 0755", folder)
    if info.st_uid not in {0, os.geteuid()}:
        _log.warning(
            "%s belongs to uid %d, who could swap the socket: a socket's folder is best herod's own",
            folder,
            info.st_uid,
        )


class _Place:
    """A path in the file system, held by a lock beside it.

    The lock file is never removed: whoever opened it just before would then hold a lock on nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cookie: str | None = None
        self._cookie_path = path.with_name(path.name + ".cookie")
        self._ours: dict[Path, tuple[int, int]] = {}
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(path.with_name(path.name + ".lock"), flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RuntimeFailure(f"another herod is listening on {path}: stop it or choose another --bind") from None

    def make_free(self) -> None:
        """See that what lies at the path, if anything, is a socket that nobody answers."""
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
                pass  # alive, with a full queue
        raise RuntimeFailure(f"something is listening on {self.path}: stop it or choose another --bind")

    def write_cookie(self) -> None:
        """Make the secret that proves a local admin, fresh at each start, readable by this user alone."""
        cookie = secrets.token_urlsafe(_COOKIE_BYTES)
        temporary = self._temporary()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(cookie.encode("ascii"))
            self._put(temporary, self._cookie_path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.cookie = cookie

    def bind(self, mode: int) -> socket.socket:
        """Listen, and appear at the path."""
        temporary = self._temporary()
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            umask = os.umask(_BIND_UMASK)
            try:
                unix.bind(os.fspath(temporary))
            finally:
                os.umask(umask)
            temporary.chmod(mode)
            unix.listen(_BACKLOG)
            self._put(temporary, self.path)
        except BaseException:
            unix.close()
            temporary.unlink(missing_ok=True)
            raise
        return unix

    def clear(self) -> None:
        """Take away what was put here, if it is still what lies there."""
        for path, identity in self._ours.items():
            try:
                if _identity(path) == identity:
                    path.unlink()
            except OSError as error:
                if error.errno != errno.ENOENT:
                    _log.warning("%s could not be removed: %s", path, error.strerror)
        self._ours.clear()

    def unlock(self) -> None:
        """Let another process have the path."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _temporary(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{secrets.token_hex(3)}")

    def _put(self, temporary: Path, path: Path) -> None:
        identity = _identity(temporary)
        temporary.rename(path)
        self._ours[path] = identity


def _identity(path: Path) -> tuple[int, int]:
    info = path.lstat()
    return info.st_dev, info.st_ino
