"""Listening sockets: opening, labelling and closing them.

The path of a Unix socket is locked before anything is touched; the socket is bound under a temporary name with its
final mode and then renamed, so that it is never missing, too permissive or not yet listening. Must never remove
anything but a socket, nor a socket that another process has created at the path.
"""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from herod.server.sockets.inherited_sockets import hold_cookie, socket_path, take_inherited
from herod.server.sockets.tls import Certificates
from herod.server.sockets.unix_socket import BACKLOG, SocketFile, prepare_folder
from herod.settings.bind_addresses import Bind, FdBind, TcpBind, UnixBind, clear_text_refusal
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["BoundListener", "bind_tcp", "listening", "open_listeners"]

_log = logging.getLogger(__name__)

_SUN_PATH_BYTES: Final = 107  # unix(7), "Pathname sockets": 108 with the final NUL
_TEMPORARY_NAME_BYTES: Final = 7


class BoundListener:
    """A listening, non-blocking socket, and what is needed to release its address.

    Attributes:
        label: `unix:/path`, `127.0.0.1:3350` or `[::1]:3350`: the actual address.
        host: the accepted Host header, without port; None on a Unix socket, where every Host is accepted.
        has_peer: whether callers are identified by the kernel.
        cookie: what a local admin must present there; None without a local admin.
        tls: the certificate; None without TLS.
    """

    def __init__(
        self,
        listening_socket: socket.socket,
        *,
        label: str,
        host: str | None = None,
        place: SocketFile | None = None,
        has_peer: bool = False,
        tls: Certificates | None = None,
    ) -> None:
        listening_socket.settimeout(0)
        self.socket = listening_socket
        self.label = label
        self.host = host
        self.has_peer = has_peer
        self.tls = tls
        self.cookie = place.cookie if place is not None else None
        self._place = place

    def bound_buffers(self, *, send: int, receive: int) -> None:
        """Limit the kernel's buffers of TCP connections, which inherit them from the listening socket.

        A Unix socket has only the sender's buffer, and its default size is about as small.
        """
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)

    def stop(self) -> None:
        """Stop listening and remove the path; the lock is kept."""
        if self._place is not None:
            self._place.clear()
        self.socket.close()

    def close(self) -> None:
        """Stop, and release the address."""
        self.stop()
        if self._place is not None:
            self._place.unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_listeners(
    binds: Sequence[Bind], *, tls: Certificates | None = None, is_insecure: bool = False
) -> list[BoundListener]:
    """Listen on all addresses, or on none.

    Args:
        binds: the addresses.
        tls: the certificate of the TCP addresses; without it they are unencrypted.
        is_insecure: passed TCP sockets may be unencrypted beyond loopback. (The settings check the other addresses.)

    An optional TCP address is left out, with a line in the log, if the machine lacks its address family.

    Raises:
        RuntimeFailure: an address is in use, not permitted or missing; the message says what to do.
        SettingsError: a passed socket is reachable from other machines without TLS.
    """
    with contextlib.ExitStack() as opened:
        listeners = [opened.enter_context(one) for bind in binds if (one := _open(bind, tls, is_insecure)) is not None]
        if not listeners:
            raise RuntimeFailure("there is no address to listen on: name one with --bind")
        opened.pop_all()
    return listeners


@contextmanager
def listening(
    binds: Sequence[Bind], *, tls: Certificates | None = None, is_insecure: bool = False
) -> Iterator[list[BoundListener]]:
    """Listen on all addresses for the length of a `with` block; arguments and errors as for `open_listeners`."""
    listeners = open_listeners(binds, tls=tls, is_insecure=is_insecure)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _open(bind: Bind, tls: Certificates | None, is_insecure: bool) -> BoundListener | None:  # noqa: FBT001 - passed on
    if isinstance(bind, UnixBind):
        return _open_unix(bind)
    if isinstance(bind, TcpBind):
        return _open_tcp(bind, tls)
    return _open_passed(bind, tls, is_insecure=is_insecure)


def _open_passed(bind: FdBind, tls: Certificates | None, *, is_insecure: bool) -> BoundListener:
    passed = take_inherited(bind)
    try:
        if passed.family != socket.AF_UNIX:
            return _passed_tcp(bind, passed, tls, is_insecure=is_insecure)
        path = socket_path(passed)
        if path is None:
            return BoundListener(passed, label=str(bind), has_peer=True)
        return BoundListener(passed, label=f"{bind} (unix:{path})", place=hold_cookie(path), has_peer=True)
    except BaseException:
        passed.close()
        raise


def _passed_tcp(bind: FdBind, passed: socket.socket, tls: Certificates | None, *, is_insecure: bool) -> BoundListener:
    host, port, *_ = passed.getsockname()
    address = TcpBind(host.partition("%")[0], port)
    if tls is None and not address.is_loopback:
        if not is_insecure:
            raise SettingsError(clear_text_refusal(f"{bind} ({address})"))
        _log.warning("%s (%s): secrets are sent unencrypted to and from other machines (--insecure).", bind, address)
    return BoundListener(passed, label=f"{bind} ({address})", host=address.url_host, tls=tls)


def _open_tcp(bind: TcpBind, tls: Certificates | None) -> BoundListener | None:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        tcp = bind_tcp(family, bind)
    except OSError as error:
        is_absent = error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
        if bind.is_optional and is_absent:
            _log.info("%s is left out: this machine has no such address", bind)
            return None
        raise RuntimeFailure(_explain_tcp(bind, error)) from error
    port = tcp.getsockname()[1]
    return BoundListener(tcp, label=f"{bind.url_host}:{port}", host=bind.url_host, tls=tls)


def bind_tcp(family: socket.AddressFamily, bind: TcpBind) -> socket.socket:
    """Bind a TCP socket to an address and listen.

    Raises:
        OSError: the kernel refuses it.
    """
    tcp = socket.socket(family, socket.SOCK_STREAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tcp.bind((bind.host, bind.port))
        tcp.listen(BACKLOG)
    except BaseException:
        tcp.close()
        raise
    return tcp


def _explain_tcp(bind: TcpBind, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{bind} is in use: stop the process that listens there, or choose another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{bind} is not an address of this machine: choose another --bind"
    if error.errno == errno.EAFNOSUPPORT:
        return f"{bind}: this machine has no IPv6: choose another --bind"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{bind}: this user may not listen there: choose a --port of at least 1024"
    return f"{bind}: cannot listen ({error.strerror}): choose another --bind"


def _open_unix(bind: UnixBind) -> BoundListener:
    path = Path(os.path.abspath(bind.path))  # noqa: PTH100 - resolve() would follow links that others may change
    length = len(os.fsencode(path)) + _TEMPORARY_NAME_BYTES
    if length > _SUN_PATH_BYTES:
        most = _SUN_PATH_BYTES - _TEMPORARY_NAME_BYTES
        raise RuntimeFailure(f"{path} is too long for a socket: choose a --bind of at most {most} bytes")
    try:
        prepare_folder(path)
        place = SocketFile(path)
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
