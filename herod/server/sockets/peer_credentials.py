"""Reads the credentials of a Unix socket's peer from the kernel: uid, gid and groups (SO_PEERCRED, unix(7))."""

import socket
import struct
from typing import Final

from herod.scopes.principal import Peer

__all__ = ["read_peer"]

# From <asm-generic/socket.h>; Python's socket module does not name it.
_SO_PEERGROUPS: Final = 59
_GROUP_BYTES: Final = 4
# The most that Python's getsockopt can return: 256 groups.
_GROUPS_BUFFER: Final = 1024


def read_peer(connected: socket.socket) -> Peer:
    """Ask the kernel who connected to a Unix socket: the ids at the time of connect, and never the pid.

    A process with more than 256 supplementary groups is treated as having none: it may get less, but never more.
    """
    _, uid, gid = struct.unpack("iII", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BUFFER)
    except OSError:
        raw = b""
    groups = struct.unpack(f"{len(raw) // _GROUP_BYTES}I", raw)
    return Peer(uid, gid, frozenset(groups))
