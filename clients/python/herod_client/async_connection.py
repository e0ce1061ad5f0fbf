"""One connection to a daemon on an event loop, over a Unix socket, TCP or TLS.

Every failure to connect becomes an `Unreachable` that says what to check.
"""

import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.async_backend import Backend
from herod_client.connection_diagnosis import no_port, no_socket
from herod_client.socket_servers import check_server

__all__ = ["AsyncConnection", "connect"]

PIECE_BYTES: Final = 64 * 1024
FULL_BACKLOG_SECONDS: Final = 0.01

T = TypeVar("T")


class AsyncConnection:
    """A connected socket that does not block, without TLS."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    async def send_all(self, backend: Backend, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._raw.send(rest) :]
            except BlockingIOError:
                await backend.wait_writable(self._raw)

    async def receive_some(self, backend: Backend) -> bytes:
        """Wait for bytes; none mean that the peer has closed the connection."""
        while True:
            await backend.wait_readable(self._raw)  # first, so that other tasks run between two pieces
            try:
                return self._raw.recv(PIECE_BYTES)
            except BlockingIOError:
                continue

    def is_stale(self) -> bool:
        """Whether the peer has closed the connection, or sent unexpected data."""
        poll = select.poll()
        poll.register(self._raw, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close it at once."""
        self._raw.close()


class _TlsConnection(AsyncConnection):
    """The same with TLS, which is computed in memory."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(raw)
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)

    async def shake_hands(self, backend: Backend) -> None:
        """Agree on keys, and check the certificate.

        Raises:
            OSError: it is not trusted, or the peer speaks no TLS.
        """
        await self._run(backend, self._tls.do_handshake)

    async def send_all(self, backend: Backend, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[await self._run(backend, lambda: self._tls.write(rest)) :]  # noqa: B023 - called at once

    async def receive_some(self, backend: Backend) -> bytes:
        try:
            return await self._run(backend, lambda: self._tls.read(PIECE_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def _run(self, backend: Backend, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await super().send_all(backend, self._to_send.read())
                data = await super().receive_some(backend)
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()
                continue
            await super().send_all(backend, self._to_send.read())
            return done


async def connect(
    backend: Backend, address: Address, *, seconds: float, tls: ssl.SSLContext | None, servers: frozenset[int]
) -> AsyncConnection:
    """Open a connection.

    Args:
        backend: the event loop.
        address: the daemon's.
        seconds: until it must be established.
        tls: how an https address is verified; by default against the system's authorities.
        servers: the only uids whose process may listen on a Unix socket.

    Raises:
        Unreachable: it cannot be established.
        Untrusted: another user's process listens there.
    """
    if isinstance(address, UnixAddress):
        return await _connect_unix(backend, address, seconds, servers)
    try:
        async with backend.limit(seconds):
            raw = await _connect_tcp(backend, address, seconds)
            try:
                if not address.secure:
                    return AsyncConnection(raw)
                secured = _TlsConnection(raw, tls or ssl.create_default_context(), address.host)
                await secured.shake_hands(backend)
            except BaseException:
                raw.close()
                raise
            return secured
    except (OSError, UnicodeError, OverflowError) as error:
        raise no_port(address, error, seconds) from error


async def _connect_unix(
    backend: Backend, address: UnixAddress, seconds: float, servers: frozenset[int]
) -> AsyncConnection:
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw.settimeout(0)
        async with backend.limit(seconds):
            while True:
                try:
                    raw.connect(address.path)
                    break
                except BlockingIOError:  # the backlog is full, unix(7); there is no event for when it is not
                    await backend.sleep(FULL_BACKLOG_SECONDS)
        check_server(raw, address, servers)
    except OSError as error:
        raw.close()
        cause = error if error.errno is not None else TimeoutError(110, "timed out")
        raise no_socket(address, cause, seconds) from error
    except BaseException:
        raw.close()
        raise
    return AsyncConnection(raw)


async def _connect_tcp(backend: Backend, address: TcpAddress, seconds: float) -> socket.socket:
    """Try the host's addresses in order; each has its share of the time, so that one that is silent hides no other."""
    found = await backend.resolve(address.host, address.port)
    last: OSError = OSError("the host has no address")
    for family, kind, protocol, _, where in found:
        try:
            async with backend.limit(seconds / len(found)):
                return await _connect_to(backend, socket.socket(family, kind, protocol), where)
        except OSError as error:
            last = error
    raise last


async def _connect_to(backend: Backend, raw: socket.socket, where: Any) -> socket.socket:
    try:
        raw.settimeout(0)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.connect(where)
        except BlockingIOError:
            await backend.wait_writable(raw)
            failed = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed)) from None
    except BaseException:
        raw.close()
        raise
    return raw
