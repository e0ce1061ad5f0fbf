"""Who is at the other end of a connection: read once, at accept.

What a request's headers say is added later, for each request (`herod/protocols/request_source.py`).
"""

import socket
from typing import Final

from herod.scopes.principal import NOBODY_UID, Source
from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.peer_credentials import read_peer
from herod.server.sockets.tcp_peer_uid import TcpPeerUids
from herod.settings.trusted_proxies import TrustedProxies

__all__ = ["ConnectionSources"]

# Others may be behind them: root's relays, such as those of containers, and every user of other user namespaces.
_RELAYING_UIDS: Final = frozenset({0, NOBODY_UID})


class ConnectionSources:
    """Makes the `Source` of each connection; holds the netlink socket that it needs for that.

    Args:
        proxies: whose uids many clients may be behind.
    """

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxy_uids = proxies.uids
        self._relaying_uids = _RELAYING_UIDS | proxies.uids
        self._tcp_uids = TcpPeerUids()

    def read(self, connected: socket.socket, address: object, listener: BoundListener) -> Source:
        """The source of an accepted connection.

        Raises:
            OSError: the client has disconnected.
        """
        if connected.family == socket.AF_UNIX:
            peer = read_peer(connected) if listener.has_peer else None
            may_relay = peer is not None and peer.uid in self._proxy_uids
            return Source(peer=peer, address="unix", cookie=listener.cookie, may_relay=may_relay)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert isinstance(address, tuple)  # noqa: S101 - for the type checker: AF_INET and AF_INET6 give tuples
        uid = self._tcp_uids.find(connected, address[:2])
        return Source(
            address=str(address[0]),
            secure=listener.tls is not None,
            tcp_uid=uid,
            may_relay=uid in self._relaying_uids,
        )

    def close(self) -> None:
        """Close the netlink socket."""
        self._tcp_uids.close()
