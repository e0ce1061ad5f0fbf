"""Asks the kernel whose socket is at the other end of a TCP connection from this machine (sock_diag(7)).

The answer is a hint: a process may pass its socket on, or be a relay. It decides whose share of a limit a connection
uses, and is shown in logs. It must never prove an identity: that needs a Unix socket (`peer_credentials.py`).

One exact socket is looked up, never a list of sockets, and the kernel answers within the call: nothing waits.
"""

import logging
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

__all__ = ["TcpPeerUids"]

_log = logging.getLogger(__name__)

# <linux/netlink.h>, <linux/sock_diag.h>, <linux/inet_diag.h>, <net/tcp_states.h>
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
# The client's end exists, also when the client has already sent its last byte (ESTABLISHED, FIN_WAIT1, FIN_WAIT2).
_OPEN: Final = frozenset({1, 4, 5})
_ALL_STATES: Final = 0xFFFF_FFFF
_NO_COOKIE: Final = b"\xff" * 8
_HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST: Final = struct.Struct("=BBBBI")  # struct inet_diag_req_v2, up to the socket's id
_PORTS: Final = struct.Struct("!HH")
_FAMILY_AND_STATE: Final = struct.Struct("=BB")
_UID_AND_INODE: Final = struct.Struct("=II")
# struct inet_diag_msg follows the header: family and state, then the socket's id (ports, addresses, interface and
# cookie: 48 bytes), then three numbers, the uid and the inode.
_ID_AT: Final = _HEADER.size + 4
_UID_AT: Final = _ID_AT + 48 + 12
_INTERFACE: Final = struct.Struct("=I")
_ANSWER_BYTES: Final = 4096
# Answers to earlier questions, which were given up, that are skipped at most.
_MOST_STALE: Final = 4
# The loopback interface is the first. Without privileges nobody can add another.
_MOST_INTERFACES: Final = 16


class TcpPeerUids:
    """A netlink socket that names the owners of sockets on this machine.

    Without one, as in a sandbox that does not allow AF_NETLINK, it names nobody.
    """

    def __init__(self) -> None:
        self._sequence = 0
        self._netlink: socket.socket | None = None
        try:
            self._netlink = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETLINK_SOCK_DIAG
            )
        except OSError as error:
            _log.info("local users over TCP share their limits: the kernel does not name them (%s)", error.strerror)

    def find(self, connected: socket.socket, address: tuple[str, int]) -> int | None:
        """The uid of the process that opened the client's end; None if the client is elsewhere or the kernel is silent.

        Args:
            connected: an accepted TCP socket.
            address: the client's address and port, as `accept` gave them.

        Raises:
            OSError: the client has disconnected.
        """
        if self._netlink is None:
            return None
        server = connected.getsockname()[:2]
        uid = self._ask(address, server)
        if uid is None and _is_of_this_machine(
            address[0]
        ):  # a client that is bound to an interface is found only there
            asked = (self._ask(address, server, number) for number, _ in socket.if_nameindex()[:_MOST_INTERFACES])
            uid = next((found for found in asked if found is not None), None)
        # If this end were closed, the same port might by now belong to another client.
        connected.getpeername()
        return uid

    def close(self) -> None:
        """Close the netlink socket."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def _ask(self, client: tuple[str, int], server: tuple[str, int], interface: int = 0) -> int | None:
        assert self._netlink is not None  # noqa: S101 - for the type checker
        self._sequence = (self._sequence + 1) & 0xFFFF_FFFF
        try:
            question, wanted = _question(self._sequence, client, server, interface)
            self._netlink.send(question)
            for _ in range(_MOST_STALE):
                answer, sender = self._netlink.recvfrom(_ANSWER_BYTES)
                if sender[0] == 0 and _HEADER.unpack_from(answer)[3] == self._sequence:
                    return _owner(answer, wanted)
        except (OSError, ValueError, struct.error):  # no memory, no such address, an answer of another form
            return None
        return None


def _is_of_this_machine(host: str) -> bool:
    """Whether it is an address of this machine: only then can a socket be bound to it."""
    address = _plain(host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _question(sequence: int, client: tuple[str, int], server: tuple[str, int], interface: int) -> tuple[bytes, bytes]:
    """The question for the client's socket, and the ports and addresses that a right answer repeats."""
    ends = [_plain(host) for host, _ in (client, server)]
    family = socket.AF_INET if ends[0].version == 4 else socket.AF_INET6
    ports = _PORTS.pack(client[1], server[1])
    addresses = b"".join(end.packed.ljust(16, b"\0") for end in ends)
    body = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES)
        + ports
        + addresses
        + _INTERFACE.pack(interface)
        + _NO_COOKIE
    )
    head = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0)
    return head + body, ports + b"".join(_mapped(end.packed) for end in ends)


def _owner(answer: bytes, wanted: bytes) -> int | None:
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None  # an error: there is no such socket
    family, state = _FAMILY_AND_STATE.unpack_from(answer, _HEADER.size)
    # Where the client's socket is gone, the kernel answers with one that listens on its port.
    if state not in _OPEN:
        return None
    length = 4 if family == socket.AF_INET else 16
    ports, first, second = answer[_ID_AT : _ID_AT + 4], _ID_AT + 4, _ID_AT + 20
    found = ports + _mapped(answer[first : first + length]) + _mapped(answer[second : second + length])
    uid: int
    uid, inode = _UID_AND_INODE.unpack_from(answer, _UID_AT)
    # A socket that nobody holds any more has no inode, and root for its owner.
    return uid if inode and found == wanted else None


def _mapped(packed: bytes) -> bytes:
    """An address as 16 bytes: a socket of either family may hold an IPv4 address (RFC 4291, section 2.5.5.2)."""
    return packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed


def _plain(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
