"""HTTP/1.1 connections to a daemon on trio, over a Unix socket, TCP or TLS: a few, kept open, each with deadlines.

Every connection failure becomes an `Unreachable` that says what to check. Nothing is sent twice.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from email.message import Message
from typing import Final

import httptools
import trio

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.connection_diagnosis import broken, cut_off, endless, no_answer, no_http, no_port, no_socket
from herod_client.http_exchange import MAX_ANSWER, Sink, SinkError
from herod_client.http_messages import Request, Response, host_of, parse_retry_after
from herod_client.response_parser import MAX_HEAD
from herod_client.socket_servers import check_server

__all__ = ["ConnectionPool"]

PIECE_BYTES: Final = 64 * 1024
FULL_BACKLOG_SECONDS: Final = 0.01

_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ConnectionPool:
    """Connections to one address, opened on demand and kept while they are usable.

    Args:
        address: the daemon's.
        size: the maximum number; further requests wait.
        connect_timeout: seconds until a connection must be established.
        timeout: seconds from a request's first byte to its answer's last.
        tls: how an https address is verified; by default against the system's authorities.
        servers: the only uids whose process may listen on a Unix socket (`expected_servers`).
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int,
        connect_timeout: float,
        timeout: float,
        tls: ssl.SSLContext | None,
        servers: frozenset[int],
    ) -> None:
        self.address = address
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._tls = tls
        self._servers = servers
        self._idle: list[_Line] = []
        self._places = trio.CapacityLimiter(size)

    async def aclose(self) -> None:
        """Close idle connections; the next request opens another."""
        while self._idle:
            await self._idle.pop().end()
        await trio.lowlevel.checkpoint()

    async def request(self, asked: Request, *, sink: Sink | None = None) -> Response:
        """Send one request.

        Args:
            asked: the request.
            sink: gets the body of a successful answer piece by piece, of any length; each piece has the whole
                timeout.

        Raises:
            Unreachable: no complete answer came.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not HTTP, or too large.
            SinkError: the sink has failed.
        """
        async with self._places:
            line = self._take() or await self._open()
            is_whole = False
            try:
                with trio.fail_after(self._timeout) as patience:
                    reading = _Reading(self.address, sink)
                    async for _ in line.exchange(self._encode(asked), reading):
                        if sink is not None:  # each piece has its own timeout
                            patience.deadline = trio.current_time() + self._timeout
                is_whole = reading.keeps_alive
                return reading.answer()
            except trio.TooSlowError:
                raise no_answer(self.address, self._timeout) from None
            except trio.BrokenResourceError as error:
                raise cut_off(self.address) from error
            except httptools.HttpParserError as error:
                raise no_http(self.address) from error
            except OSError as error:
                raise broken(self.address, error) from error
            finally:
                if is_whole:
                    self._idle.append(line)
                else:
                    await line.end()

    def _encode(self, asked: Request) -> bytes:
        lines = [f"{asked.method} {asked.path} HTTP/1.1", f"Host: {host_of(self.address)}"]
        lines += [f"{name}: {value}" for name, value in asked.headers.items()]
        if asked.body is not None:
            lines.append(f"Content-Length: {len(asked.body)}")
        return "\r\n".join((*lines, "", "")).encode("ascii") + (asked.body or b"")

    def _take(self) -> "_Line | None":
        """Return a usable idle connection; the one used last, so that the others can time out."""
        while self._idle:
            line = self._idle.pop()
            if not line.is_stale():
                return line
            line.close()
        return None

    async def _open(self) -> "_Line":
        if isinstance(self.address, UnixAddress):
            connected = await self._connect_unix(self.address)
            return _Line(connected, connected)
        return await self._connect_tcp(self.address)

    async def _connect_unix(self, address: UnixAddress) -> trio.SocketStream:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            raw.settimeout(0)
            with trio.fail_after(self._connect_timeout):
                while True:
                    try:
                        raw.connect(address.path)
                        break
                    except BlockingIOError:  # the backlog is full, unix(7); there is no event for when it is not
                        await trio.sleep(FULL_BACKLOG_SECONDS)
            check_server(raw, address, self._servers)
            return trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        except trio.TooSlowError as error:
            raw.close()
            raise no_socket(address, TimeoutError(110, "timed out"), self._connect_timeout) from error
        except OSError as error:
            raw.close()
            raise no_socket(address, error, self._connect_timeout) from error
        except BaseException:
            raw.close()
            raise

    async def _connect_tcp(self, address: TcpAddress) -> "_Line":
        connected: trio.SocketStream | None = None
        try:
            with trio.fail_after(self._connect_timeout):
                connected = await trio.open_tcp_stream(address.host, address.port)
                if not address.secure:
                    return _Line(connected, connected)
                tls = self._tls or ssl.create_default_context()
                secured = trio.SSLStream(connected, tls, server_hostname=address.host, https_compatible=True)
                await secured.do_handshake()
                return _Line(secured, connected)
        except (OSError, UnicodeError, OverflowError, trio.BrokenResourceError, trio.TooSlowError) as error:
            if connected is not None:
                connected.socket.close()
            cause = TimeoutError() if isinstance(error, trio.TooSlowError) else _innermost(error)
            raise no_port(address, cause, self._connect_timeout) from error
        except trio.Cancelled:
            if connected is not None:
                connected.socket.close()
            raise


class _Reading:
    """Collects one answer, by callbacks of the parser."""

    def __init__(self, address: Address, sink: Sink | None) -> None:
        self._address = address
        self._sink = sink
        self._content_type = ""
        self._retry_after: str | None = None
        self._body = bytearray()
        self._status = 0
        self.parser = httptools.HttpResponseParser(self)
        self.has_head = False
        self.is_complete = False
        self.keeps_alive = False

    def answer(self) -> Response:
        """Return the answer received."""
        header = Message()
        header["Content-Type"] = self._content_type
        return Response(
            self._status, header.get_content_type(), bytes(self._body), parse_retry_after(self._retry_after)
        )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"content-type":
            self._content_type = value.decode("latin-1")
        elif name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._status = self.parser.get_status_code()
        self.has_head = True

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        if self._sink is not None and self._status < 300:
            try:
                self._sink(piece)
            except OSError as error:
                raise SinkError(error) from error
            return
        self._body += piece
        if len(self._body) > MAX_ANSWER:
            raise endless(self._address)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.is_complete = True
        self.keeps_alive = self.parser.should_keep_alive()


class _Line:
    """One connection."""

    def __init__(self, stream: _Stream, below: trio.SocketStream) -> None:
        self._stream = stream
        self._below = below

    async def exchange(self, data: bytes, reading: _Reading) -> AsyncIterator[None]:
        """Send a request and read its answer to the end, piece by piece."""
        await self._stream.send_all(data)
        room = MAX_HEAD
        while not reading.is_complete:
            piece = await self._stream.receive_some(PIECE_BYTES)
            if not piece:
                raise trio.BrokenResourceError
            try:
                reading.parser.feed_data(bytes(piece))
            except httptools.HttpParserCallbackError as error:
                if error.__context__ is not None:  # raised by our own callbacks
                    raise error.__context__ from None
                raise
            room -= len(piece)
            if room < 0 and not reading.has_head:
                raise httptools.HttpParserError("the head is too large")
            yield

    def is_stale(self) -> bool:
        """Whether the peer has closed the connection, or sent unexpected data."""
        return self._below.socket.is_readable()

    def close(self) -> None:
        """Close the connection at once."""
        self._below.socket.close()

    async def end(self) -> None:
        """Close the connection, even while the task is being cancelled."""
        self.close()
        await trio.lowlevel.cancel_shielded_checkpoint()


def _innermost(error: BaseException) -> Exception:
    """Return the real failure that trio wraps."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[-1]
    return cause if isinstance(cause, Exception) else error if isinstance(error, Exception) else OSError(str(error))
