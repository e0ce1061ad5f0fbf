"""The byte stream of a connection: a Unix or TCP socket here, TLS over one in `tls.py`.

Must never interpret the bytes, nor wait without being cancellable.
"""

import contextlib
import errno
import select
import socket
import struct
from typing import Final, Protocol

import trio

__all__ = ["SocketTransport", "Transport"]

_RECEIVE_BYTES: Final = 16 * 1024
_LINGER_NOT_AT_ALL: Final = struct.pack("ii", 1, 0)


class Transport(Protocol):
    """The byte stream that a connection needs."""

    async def begin(self) -> None:
        """Prepare the stream; call it first."""
        ...

    async def receive(self) -> bytes:
        """Wait for bytes; return b"" at the end of input."""
        ...

    async def send(self, data: bytes, shared: bytes = b"") -> None:
        """Send all of both. `shared` is not copied, because many connections may send it at once."""
        ...

    async def finish_sending(self) -> None:
        """Close the sending direction."""
        ...

    def has_input(self) -> bool:
        """Whether bytes have arrived that were not received yet."""
        ...

    def has_left(self) -> bool:
        """Whether the peer has closed its sending direction; most programs that do have disconnected."""
        ...

    def abort(self) -> None:
        """Discard unsent bytes at the next close; call `close` after it."""
        ...

    def close(self) -> None:
        """Close the descriptor."""
        ...


class SocketTransport:
    """A connected, non-blocking stream socket.

    It calls the socket itself, because trio's would add two checkpoints a message: waiting for input is the only
    checkpoint of a request that is answered at once.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(0)
        self._socket = connected
        self._descriptor = connected.fileno()

    async def begin(self) -> None:
        """Do nothing."""

    async def receive(self) -> bytes:
        """Wait for bytes; return b"" at the end of input."""
        while True:
            await trio.lowlevel.wait_readable(self._descriptor)
            try:
                return self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:  # spurious readiness
                continue

    async def send(self, data: bytes, shared: bytes = b"") -> None:
        """Send all of both; without a checkpoint if the kernel takes it at once."""
        sent = self.send_now(data)
        if sent < len(data):
            await self._send_rest(data, sent)
        if shared and (sent := self.send_now(shared)) < len(shared):
            await self._send_rest(shared, sent)

    async def _send_rest(self, data: bytes, sent: int) -> None:
        with memoryview(data) as view:
            while sent < len(view):
                await trio.lowlevel.wait_writable(self._descriptor)
                sent += self.send_now(view[sent:])

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes at once; return the number of bytes."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def finish_sending(self) -> None:
        """Close the sending direction."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def has_input(self) -> bool:
        """Whether bytes have arrived that were not received yet."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def has_left(self) -> bool:
        """Whether the peer has closed its sending direction; most programs that do have disconnected."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLRDHUP)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Discard unsent bytes at the next close; call `close` after it.

        Otherwise the kernel would keep megabytes for a TCP client that never reads, long after the close.
        """
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()
