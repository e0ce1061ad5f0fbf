"""One connection's bytes, whatever carries them: a Unix or TCP socket here, TLS above one in `tls.py`.

Must never know what the bytes mean, nor wait without being cancellable.
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
    """What a connection needs of its carrier."""

    async def begin(self) -> None:
        """Make it ready for bytes; to be called first."""
        ...

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of input."""
        ...

    async def send(self, data: bytes, shared: bytes = b"") -> None:
        """Send all of both. Nothing is copied of `shared`, which many may be sent at once."""
        ...

    async def finish_sending(self) -> None:
        """Tell the other side that nothing more comes."""
        ...

    def has_input(self) -> bool:
        """Whether bytes have come that were not received yet."""
        ...

    def has_left(self) -> bool:
        """Whether the other side will send no more; most programs that say so are gone."""
        ...

    def abort(self) -> None:
        """Throw away what was sent and is still on its way; to be closed after it."""
        ...

    def close(self) -> None:
        """Give the descriptor back."""
        ...


class SocketTransport:
    """A connected, non-blocking stream socket.

    It calls the socket itself where trio's would spend two more trips through the scheduler a message: one
    wait for input is the only checkpoint of a request that is answered at once.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(0)
        self._socket = connected
        self._descriptor = connected.fileno()

    async def begin(self) -> None:
        """Nothing is left to do."""

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of input."""
        while True:
            await trio.lowlevel.wait_readable(self._descriptor)
            try:
                return self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:  # a false alarm
                continue

    async def send(self, data: bytes, shared: bytes = b"") -> None:
        """Send all of both; without a checkpoint when the kernel takes it at once."""
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
        """Send what the kernel takes at once; how much that was."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def finish_sending(self) -> None:
        """Tell the other side that nothing more comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def has_input(self) -> bool:
        """Whether bytes have come that were not received yet."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def has_left(self) -> bool:
        """Whether the other side will send no more; most programs that say so are gone."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLRDHUP)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Throw away what was sent and is still on its way; to be closed after it.

        Without this the kernel would keep megabytes for a TCP client that never reads, long after the close.
        """
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()
