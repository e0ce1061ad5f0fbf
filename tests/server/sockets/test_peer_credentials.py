"""Peer credentials from the kernel."""

import os
import socket
import struct

from herod.scopes.principal import Peer
from herod.server.sockets.peer_credentials import read_peer


def test_peer_is_this_process() -> None:
    """Both ends of a socket pair have this process's ids and groups, and no pid is kept."""
    near, far = socket.socketpair()
    with near, far:
        assert read_peer(near) == Peer(os.getuid(), os.getgid(), frozenset(os.getgroups()))


class Kernel:
    """A fake socket that answers getsockopt."""

    def __init__(self, *, groups: bytes | None, uid: int = 1000, gid: int = 1001) -> None:
        self._groups = groups
        self._ids = uid, gid

    def getsockopt(self, _level: int, option: int, _size: int) -> bytes:
        """SO_PEERCRED, else SO_PEERGROUPS."""
        if option == socket.SO_PEERCRED:
            return struct.pack("iII", 4242, *self._ids)
        if self._groups is None:
            raise OSError(34, "Numerical result out of range")
        return self._groups


def test_peer_groups() -> None:
    """Groups are parsed from the kernel's format; if there are too many, none are used."""
    some = Kernel(groups=struct.pack("3I", 5, 6, 4_000_000_000))
    assert read_peer(some) == Peer(1000, 1001, frozenset({5, 6, 4_000_000_000}))  # type: ignore[arg-type]
    assert read_peer(Kernel(groups=None)) == Peer(1000, 1001)  # type: ignore[arg-type]


def test_peer_ids_have_no_sign() -> None:
    """Ids up to 2**32 - 2, as in user namespaces with wide ranges, do not become negative."""
    far = Kernel(groups=b"", uid=3_000_000_000, gid=4_294_967_294)
    assert read_peer(far) == Peer(3_000_000_000, 4_294_967_294)  # type: ignore[arg-type]
