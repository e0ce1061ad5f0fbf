"""Opens the daemon's listening sockets, or takes them over from the service manager.

A TCP address that cannot be had is tried again while the others serve (`listener_set.py`). A Unix socket that cannot be
had is an error, because its lock says that another herod runs.

The path of a Unix socket is locked before anything is touched; the socket is bound under a temporary name with its
final mode and then renamed, so that it is never missing, too permissive or not yet listening. Must never remove
anything but a socket, nor a socket that another process has created at the path.
"""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.inherited_sockets import hold_cookie, socket_path, take_inherited
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.tcp_places import group_places, has_both_families
from herod.server.sockets.tls import Certificates
from herod.server.sockets.unix_socket import SocketFile, prepare_folder
from herod.settings.bind_addresses import Bind, FdBind, TcpBind, UnixBind, clear_text_refusal, with_both_loopbacks
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["listening", "open_listeners"]

_log = logging.getLogger(__name__)

_SUN_PATH_BYTES: Final = 107  # unix(7), "Pathname sockets": 108 with the final NUL
_TEMPORARY_NAME_BYTES: Final = 7


def open_listeners(
    binds: Sequence[Bind],
    *,
    passed: Sequence[FdBind] = (),
    tls: Certificates | None = None,
    is_insecure: bool = False,
) -> Listeners:
    """Listen on all Unix sockets, or on none, and on the TCP addresses that can be had now.

    Args:
        binds: the addresses.
        passed: sockets that the service manager holds; one is used in place of binding its address, if that is named.
        tls: the certificate of the TCP addresses; without it they are unencrypted.
        is_insecure: passed TCP sockets may be unencrypted beyond loopback. (The settings check the other addresses.)

    An optional TCP address is left out, with a line in the log, if the machine lacks its address family.

    Raises:
        RuntimeFailure: a Unix socket cannot be had, or no address at all; the message says what to do.
        SettingsError: a passed socket is reachable from other machines without TLS.
    """
    with ExitStack() as opened:
        held = _take_named(binds, passed, opened)
        first: list[BoundListener] = []
        passed_tcp: dict[TcpBind, socket.socket] = {}
        for bind in binds:
            if isinstance(bind, UnixBind):
                first.append(opened.enter_context(_open_named_unix(bind, held)))
            elif isinstance(bind, FdBind):
                taken = take_inherited(bind)
                opened.callback(taken.close)
                if taken.family == socket.AF_UNIX:
                    first.append(opened.enter_context(_passed_unix(str(bind), taken, has_peer=True)))
                else:
                    address = _address_of(bind, taken, is_secure=tls is not None, is_insecure=is_insecure)
                    if address in passed_tcp:
                        raise RuntimeFailure(f"{bind} is a second socket of {address}: pass only one of them")
                    passed_tcp[address] = taken
        named = {bind: held.pop(bind) for bind in [*held] if isinstance(bind, TcpBind)}
        tcp = _with_passed(binds, passed_tcp, named)
        listeners = Listeners(first, group_places(tcp), passed=named, tls=tls)
        if not listeners:
            reasons = [one.reason for one in listeners.missing]
            raise RuntimeFailure(reasons[0] if reasons else "there is no address to listen on: name one with --bind")
        opened.pop_all()
    for one in listeners.missing:
        _log.warning("not listening on %s: %s", " and ".join(one.addresses), one.reason)
    return listeners


@contextmanager
def listening(
    binds: Sequence[Bind],
    *,
    passed: Sequence[FdBind] = (),
    tls: Certificates | None = None,
    is_insecure: bool = False,
) -> Iterator[Listeners]:
    """Listen on the addresses for the length of a `with` block; arguments and errors as for `open_listeners`."""
    listeners = open_listeners(binds, passed=passed, tls=tls, is_insecure=is_insecure)
    try:
        yield listeners
    finally:
        listeners.close()


def _take_named(
    binds: Sequence[Bind], passed: Sequence[FdBind], opened: ExitStack
) -> dict[TcpBind | Path, socket.socket]:
    """Take over the passed sockets whose address is named in `binds`, by address or path."""
    tcp = {(bind.host, bind.port): bind for bind in binds if isinstance(bind, TcpBind)}
    paths = {_absolute(bind) for bind in binds if isinstance(bind, UnixBind)}
    held: dict[TcpBind | Path, socket.socket] = {}
    unused = []
    for bind in passed:
        if bind in binds:
            continue
        one = take_inherited(bind)
        key: TcpBind | Path | None
        if one.family == socket.AF_UNIX:
            path = socket_path(one)
            key = path if path in paths else None
            address = f"unix:{path}"
        else:
            host, port, *_ = one.getsockname()
            key = tcp.get((host, port))
            address = str(TcpBind(host.partition("%")[0], port))
        if key is None or key in held:
            one.detach()
            unused.append(f"{bind} ({address})")
            continue
        opened.callback(one.close)
        held[key] = one
    if unused:
        _log.warning("--bind names other addresses, so herod does not accept on %s (LISTEN_FDS)", ", ".join(unused))
    return held


def _open_named_unix(bind: UnixBind, held: dict[TcpBind | Path, socket.socket]) -> BoundListener:
    passed = held.pop(_absolute(bind), None)
    return _open_unix(bind) if passed is None else _passed_unix(f"fd://{passed.fileno()}", passed, has_peer=bind.peer)


def _passed_unix(name: str, passed: socket.socket, *, has_peer: bool) -> BoundListener:
    path = socket_path(passed)
    if path is None:
        return BoundListener(passed, label=name, has_peer=has_peer)
    place = hold_cookie(path) if has_peer else None
    return BoundListener(passed, label=f"{name} (unix:{path})", place=place, has_peer=has_peer)


def _address_of(bind: FdBind, passed: socket.socket, *, is_secure: bool, is_insecure: bool) -> TcpBind:
    """The address of a passed TCP socket.

    Raises:
        SettingsError: other machines can reach it, without TLS.
    """
    host, port, *_ = passed.getsockname()
    address = TcpBind(host.partition("%")[0], port)
    if not is_secure and not address.is_loopback:
        if not is_insecure:
            raise SettingsError(clear_text_refusal(f"{bind} ({address})"))
        _log.warning("%s (%s): secrets are sent unencrypted to and from other machines (--insecure).", bind, address)
    return address


def _with_passed(
    binds: Sequence[Bind], passed: Mapping[TcpBind, socket.socket], named: dict[TcpBind, socket.socket]
) -> list[TcpBind]:
    """The TCP addresses to listen on, with those of passed sockets, which `named` gets.

    Of a loopback whose other one is neither named nor passed, that one is opened too.
    """
    tcp = [bind for bind in binds if isinstance(bind, TcpBind)]
    for address, one in passed.items():
        same = next((bind for bind in tcp if (bind.host, bind.port) == (address.host, address.port)), None)
        if same is None:
            tcp.append(address)
        named[same or address] = one
    for address, one in passed.items():
        if not has_both_families(one):
            _, *other = with_both_loopbacks([address])
            known = {(bind.loopback, bind.port) for bind in tcp}
            tcp += [bind for bind in other if isinstance(bind, TcpBind) and (bind.loopback, bind.port) not in known]
    return tcp


def _absolute(bind: UnixBind) -> Path:
    return Path(os.path.abspath(bind.path))  # noqa: PTH100 - resolve() would follow links that others may change


def _open_unix(bind: UnixBind) -> BoundListener:
    path = _absolute(bind)
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
