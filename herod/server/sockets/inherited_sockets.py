"""Sockets that another process opened and passed on: systemd's, from descriptor 3, or any named as `fd://N`.

Must never accept anything but a listening stream socket of a family that herod serves, nor remove the path of one: it
belongs to the process that created it.
"""

import logging
import os
import socket
import stat
from pathlib import Path
from typing import Final

from herod.file_ownership import require_own_path
from herod.server.sockets.unix_socket import SocketFile
from herod.settings.bind_addresses import FdBind
from herod_client.core.errors import RuntimeFailure

__all__ = ["hold_cookie", "keep_from_children", "socket_path", "take_inherited"]

_log = logging.getLogger(__name__)

_FAMILIES: Final = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
_FIRST: Final = 3  # SD_LISTEN_FDS_START (sd_listen_fds(3))


def take_inherited(bind: FdBind) -> socket.socket:
    """Take over the socket of a descriptor.

    Raises:
        RuntimeFailure: there is none, or it cannot accept connections.
    """
    try:
        is_socket = stat.S_ISSOCK(os.fstat(bind.fd).st_mode)
    except OSError:
        raise RuntimeFailure(f"{bind}: no such descriptor was passed: pass it, or choose another --bind") from None
    if not is_socket:
        raise RuntimeFailure(f"{bind} is not a socket: pass a listening one, or choose another --bind")
    passed = socket.socket(fileno=bind.fd)
    try:
        passed.set_inheritable(False)
        _check(bind, passed)
    except BaseException:
        passed.close()
        raise
    return passed


def _check(bind: FdBind, passed: socket.socket) -> None:
    if passed.family not in _FAMILIES or passed.type != socket.SOCK_STREAM:
        raise RuntimeFailure(f"{bind} is not a Unix or TCP stream socket: pass one (with systemd: ListenStream=)")
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise RuntimeFailure(f"{bind} does not listen: pass a listening socket (with systemd: Accept=no)")
    if passed.family == socket.AF_UNIX and isinstance(passed.getsockname(), bytes):
        raise RuntimeFailure(f"{bind} is an abstract socket, which has no permissions: pass one that has a path")


def socket_path(passed: socket.socket) -> Path | None:
    """The path of a Unix socket, if it has one."""
    name = passed.getsockname()
    return Path(name) if isinstance(name, str) and name.startswith("/") else None


def hold_cookie(path: Path) -> SocketFile | None:
    """Lock a passed socket's path and write the local admin's cookie beside it; None if that is not possible.

    Raises:
        RuntimeFailure: another herod has locked that path.
    """
    try:
        if (reason := _why_not(path)) is None:
            place = SocketFile(path)
            try:
                place.write_cookie()
            except BaseException:
                place.clear()
                place.unlock()
                raise
            return place
    except OSError as error:
        reason = f"{error.filename or path.parent}: {error.strerror}"
    _log.warning("no local admin on unix:%s, because its cookie cannot be written: %s", path, reason)
    return None


def _why_not(path: Path) -> str | None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        return "its path leads to something else"
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        return f"{path.parent} is writable for every user, who could replace the socket"
    try:
        require_own_path(path, "the socket", may_share=True)
    except RuntimeFailure as failure:
        return str(failure)
    return None


def keep_from_children(count: int) -> None:
    """Make sure that child processes inherit none of the descriptors that systemd passed, used or not."""
    for descriptor in range(_FIRST, _FIRST + count):
        try:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the call has no keyword
        except OSError as error:
            raise RuntimeFailure(
                f"descriptor {descriptor} of LISTEN_FDS={count} was not passed ({error.strerror}): "
                "start with the sockets, or without LISTEN_FDS"
            ) from None
