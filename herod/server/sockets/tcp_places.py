"""TCP addresses that are opened together or not at all: a *place* is both loopbacks of a port, or one other address.

A client that goes to `localhost:PORT` tries `::1` or `127.0.0.1` first as it likes. So where another process has one of
them, herod serves neither.
"""

import contextlib
import errno
import logging
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from herod.server.sockets.unix_socket import BACKLOG
from herod.settings.bind_addresses import TcpBind
from herod_client.core.errors import RuntimeFailure

__all__ = ["Place", "bind_left_out", "bind_place", "bind_tcp", "group_places", "has_both_families", "held_loopbacks"]

_log = logging.getLogger(__name__)

# A port that the kernel chose for one loopback can be in use on the other: try so many.
_CHOICES: Final = 8

Place: TypeAlias = tuple[TcpBind, ...]


def group_places(binds: Iterable[TcpBind]) -> list[Place]:
    """Group addresses to places, in their order: the two loopbacks of the same port are one."""
    places: list[Place] = []
    for bind in binds:
        for index, place in enumerate(places):
            if _are_one_place(place, bind):
                places[index] = (*place, bind)
                break
        else:
            places.append((bind,))
    return places


def _are_one_place(place: Place, bind: TcpBind) -> bool:
    (first, *more) = place
    loopbacks = (first.loopback, bind.loopback)
    return not more and None not in loopbacks and loopbacks[0] != loopbacks[1] and first.port == bind.port


def bind_place(place: Place, passed: Mapping[TcpBind, socket.socket]) -> dict[TcpBind, socket.socket]:
    """Listen on all addresses of a place, except those whose socket was passed.

    An optional address is left out if the machine lacks its address family.

    Returns:
        The new sockets, with the ports that the kernel chose.

    Raises:
        RuntimeFailure: an address is in use, not permitted or missing; the message says what to do.
    """
    for _ in range(_CHOICES - 1):
        try:
            return _bind_all(place, passed)
        except _ChosenPortInUseError:
            continue
    return _bind_all(place, passed)


class _ChosenPortInUseError(RuntimeFailure):
    """The port that the kernel chose for the first address is in use on the second."""


def _bind_all(place: Place, passed: Mapping[TcpBind, socket.socket]) -> dict[TcpBind, socket.socket]:
    opened: dict[TcpBind, socket.socket] = {}
    with contextlib.ExitStack() as undo:
        for bind in place:
            if bind in passed:
                continue
            chosen = next((one.port for one in opened), 0) if not bind.port else 0
            wanted = replace(bind, port=chosen) if chosen else bind
            tcp = _bind_one(wanted, is_chosen=bool(chosen))
            if tcp is None:
                _log.info("%s is left out: this machine has no such address", bind)
            else:
                undo.callback(tcp.close)
                opened[replace(bind, port=tcp.getsockname()[1])] = tcp
        undo.pop_all()
    return opened


def bind_left_out(bind: TcpBind) -> socket.socket | None:
    """Listen on an optional address that was left out of its place; None if the machine still lacks it.

    Raises:
        RuntimeFailure: another process has it now, or it is not permitted.
    """
    return _bind_one(bind, is_chosen=False)


def _bind_one(bind: TcpBind, *, is_chosen: bool) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        return bind_tcp(family, bind)
    except OSError as error:
        if bind.is_optional and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return None
        kind = _ChosenPortInUseError if is_chosen and error.errno == errno.EADDRINUSE else RuntimeFailure
        raise kind(_explain_tcp(bind, error)) from error


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


def has_both_families(tcp: socket.socket) -> bool:
    """Whether a socket for all addresses takes IPv4 too, as those of other processes may: none of ours does."""
    return tcp.family == socket.AF_INET6 and not tcp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def held_loopbacks(sockets: Iterable[socket.socket]) -> frozenset[str]:
    """The loopback addresses that listening sockets answer for."""
    held: set[str | None] = set()
    for tcp in sockets:
        host, port, *_ = tcp.getsockname()
        loopback = TcpBind(host, port).loopback
        held |= {loopback, "127.0.0.1" if host == "::" and has_both_families(tcp) else loopback}
    return frozenset(one for one in held if one is not None)


def _explain_tcp(bind: TcpBind, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{bind} is in use: stop the process that listens there, or choose another port with --port or --bind"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{bind} is not an address of this machine: choose another --bind"
    if error.errno == errno.EAFNOSUPPORT:
        return f"{bind}: this machine has no IPv6: choose another --bind"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{bind}: this user may not listen there: choose a port of at least 1024 with --port or --bind"
    return f"{bind}: cannot listen ({error.strerror}): choose another --bind"
