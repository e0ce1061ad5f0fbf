"""The owner of a TCP client's socket, as the kernel names it."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from herod.server.sockets.tcp_peer_uid import TcpPeerUids

UIDS = (os.getuid(), 4711) if os.getuid() == 0 else (os.getuid(),)
# It connects as another user, and listens on the same port where asked to.
CLIENT = """
import os, socket, sys
user, family, host, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if user != os.getuid():
    os.setgroups([]); os.setgid(user); os.setuid(user)
client = socket.socket(family)
if "device" in sys.argv:
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    except PermissionError:  # before Linux 5.7
        pass
client.connect((host, port))
if "half" in sys.argv:
    client.shutdown(socket.SHUT_WR)
sys.stdin.read()
"""


@contextmanager
def listening(family: socket.AddressFamily, host: str) -> Iterator[socket.socket]:
    """A listening socket; one of `::` takes IPv4 too."""
    with socket.socket(family) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listener.bind((host, 0))
        listener.listen()
        listener.settimeout(60)
        yield listener


@contextmanager
def asking() -> Iterator[TcpPeerUids]:
    """A netlink socket."""
    uids = TcpPeerUids()
    yield uids
    uids.close()


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize(
    ("listens", "connects"),
    [
        ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1")),
        ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")),
        ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.9.9.9")),  # noqa: S104 - on this machine, for a moment
        ((socket.AF_INET6, "::1"), (socket.AF_INET6, "::1")),
        ((socket.AF_INET6, "::"), (socket.AF_INET6, "::1")),
        ((socket.AF_INET6, "::"), (socket.AF_INET, "127.0.0.1")),
        ((socket.AF_INET6, "::"), (socket.AF_INET6, "::ffff:127.0.0.1")),
    ],
)
def test_the_clients_user(
    uid: int, listens: tuple[socket.AddressFamily, str], connects: tuple[socket.AddressFamily, str]
) -> None:
    """The uid is that of the client's process, for both families and for IPv4 on a socket for both."""
    with asking() as uids, listening(*listens) as listener:
        where = [str(uid), str(int(connects[0])), connects[1], str(listener.getsockname()[1])]
        with subprocess.Popen([sys.executable, "-c", CLIENT, *where], stdin=subprocess.PIPE) as client:
            connected, address = listener.accept()
            with connected:
                assert [uids.find(connected, address[:2]) for _ in range(3)] == [uid] * 3
            assert client.stdin is not None
            client.stdin.close()


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket, tuple[str, int]]]:
    """Both ends of a connection, and the client's address."""
    with listening(socket.AF_INET, "127.0.0.1") as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.connect(listener.getsockname())
        connected, address = listener.accept()
        with connected:
            yield client, connected, address


@pytest.mark.parametrize("uid", UIDS)
def test_a_client_that_sends_no_more(uid: int) -> None:
    """It is named as long as it can read: nobody gets another share by closing the sending half."""
    with asking() as uids, listening(socket.AF_INET, "127.0.0.1") as listener:
        where = [str(uid), str(int(socket.AF_INET)), "127.0.0.1", str(listener.getsockname()[1]), "half"]
        with subprocess.Popen([sys.executable, "-c", CLIENT, *where], stdin=subprocess.PIPE) as client:
            connected, address = listener.accept()
            with connected:
                assert connected.recv(1) == b""
                assert uids.find(connected, address) == uid
            assert client.stdin is not None
            client.stdin.close()


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_client_that_is_bound_to_an_interface(uid: int, family: socket.AddressFamily, host: str) -> None:
    """It is named too, though the kernel finds it only by that interface."""
    with asking() as uids, listening(family, host) as listener:
        where = [str(uid), str(int(family)), host, str(listener.getsockname()[1]), "device"]
        with subprocess.Popen([sys.executable, "-c", CLIENT, *where], stdin=subprocess.PIPE) as client:
            connected, address = listener.accept()
            with connected:
                assert uids.find(connected, address[:2]) == uid
            assert client.stdin is not None
            client.stdin.close()


def test_an_end_that_is_gone() -> None:
    """A client that has gone is not named: nor is who listens on its port by then."""
    with asking() as uids, connection() as (client, connected, address):
        assert uids.find(connected, address) == os.getuid()
        client.shutdown(socket.SHUT_WR)
        assert uids.find(connected, address) == os.getuid()
        client.close()
        assert uids.find(connected, address) is None
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # another process has the port by then, which is as good
                other.bind(address)
                other.listen()
            assert uids.find(connected, address) is None


def test_a_connection_that_was_reset() -> None:
    """It is refused: its port may by now belong to somebody else, who would be named in its place."""
    with listening(socket.AF_INET, "127.0.0.1") as listener, asking() as uids:
        with socket.socket() as client:
            client.connect(listener.getsockname())
            address = client.getsockname()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(address)
            other.connect(listener.getsockname())
            connected, found = listener.accept()
            assert found == address
            with connected, pytest.raises(OSError, match="not connected"):
                uids.find(connected, found)


def test_a_client_elsewhere_is_not_looked_up() -> None:
    """Only clients of this machine are; a wrong port finds nobody."""
    with asking() as uids, connection() as (_, connected, address):
        assert uids.find(connected, ("192.0.2.7", address[1])) is None
        assert uids.find(connected, ("127.0.0.1", address[1] ^ 1)) is None


def test_a_sandbox_without_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AF_NETLINK is not allowed, nobody is named and everything else works."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    with monkeypatch.context() as patched:
        patched.setattr("herod.server.sockets.tcp_peer_uid.socket.socket", refuse)
        uids = TcpPeerUids()
    with connection() as (_, connected, address):
        assert uids.find(connected, address) is None
    uids.close()
