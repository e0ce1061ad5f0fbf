"""A listening socket with its label, and what is needed to release its address."""

import select
import socket
from typing import Self

from herod.server.sockets.tls import Certificates
from herod.server.sockets.unix_socket import SocketFile

__all__ = ["BoundListener"]


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

    def is_shut_down(self) -> bool:
        """Whether a process that shares the socket has called shutdown(2), after which it always looks readable.

        A Unix socket then fails to accept as if there were no client, unlike a TCP socket.
        """
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(0))

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
