"""One HTTP/1.1 connection to a daemon, over a Unix socket or TCP, that keeps its deadlines.

Every connection failure becomes an `Unreachable` that says what to check. Nothing is sent twice: the caller
repeats a request that got no answer.
"""

import http.client
import io
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.connection_diagnosis import broken, cut_off, endless, no_answer, no_http, no_port, no_socket
from herod_client.http_messages import Response, host_of, parse_retry_after
from herod_client.socket_servers import check_server

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["MAX_ANSWER", "Connection", "SinkError"]

MAX_ANSWER: Final = 16 * 1024 * 1024  # a page of 200 rows is far smaller
PIECE_BYTES: Final = 256 * 1024


class SinkError(Exception):
    """The sink of an answer failed, as opposed to the connection."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Connection:
    """A connection that is opened by the first request, kept, and reopened after the daemon has closed it.

    For one thread at a time.

    Args:
        address: the daemon's.
        connect_timeout: seconds until the connection must be established.
        timeout: seconds from a request's first byte to its answer's last.
        servers: the only uids whose process may listen on a Unix socket (`expected_servers`).
        tls: how an https address is verified; by default against the system's authorities.
    """

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout: float,
        timeout: float,
        servers: frozenset[int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = address
        self._servers = servers
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._tls = tls
        self._line: _DeadlineSocket | None = None
        self._http: http.client.HTTPConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next request can use the connection, as far as is known."""
        return self._line is not None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._http is not None:
            self._http.close()
        if self._line is not None:
            self._line.end()
        self._http = self._line = None

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        sink: Callable[[bytes], object] | None = None,
        waited: float = 0.0,
    ) -> Response:
        """Send one request.

        Args:
            method: in capitals.
            path: with its query.
            headers: besides Host.
            body: if there is one.
            sink: gets the body of a successful answer piece by piece, of any length; each piece has
                `timeout`.
            waited: seconds of `timeout` that have passed already.

        Raises:
            Unreachable: no complete answer came.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not HTTP, or too large.
        """
        connection, line = self._open()
        line.start(self._timeout - waited)
        is_whole = False
        try:
            connection.request(method, path, body=body, headers={"Host": host_of(self.address), **headers})
            response = connection.getresponse()
            if sink is None or response.status >= 300:
                content = self._read(response)
            else:
                content = self._pour(response, line, sink)
            is_whole = not response.will_close
            retry_after = parse_retry_after(response.headers.get("Retry-After"))
            return Response(response.status, response.headers.get_content_type(), content, retry_after)
        except TimeoutError:
            raise no_answer(self.address, self._timeout) from None
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError) as error:
            raise cut_off(self.address) from error
        except http.client.HTTPException as error:
            raise no_http(self.address) from error
        except OSError as error:
            raise broken(self.address, error) from error
        finally:
            if not is_whole:
                self.close()

    def _pour(
        self, response: http.client.HTTPResponse, line: "_DeadlineSocket", sink: Callable[[bytes], object]
    ) -> bytes:
        """Pass the body to the sink; return empty bytes."""
        while True:
            line.start(self._timeout)
            piece = response.read(PIECE_BYTES)
            if not piece:
                break
            try:
                sink(piece)
            except OSError as error:
                raise SinkError(error) from error
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b""

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        content = response.read(MAX_ANSWER + 1)
        if len(content) > MAX_ANSWER:
            raise endless(self.address)
        if response.length:  # http.client does not report a truncated body
            raise http.client.IncompleteRead(content, response.length)
        return content

    def _open(self) -> tuple[http.client.HTTPConnection, "_DeadlineSocket"]:
        if self._line is not None and self._line.is_stale():
            self.close()
        if self._http is None or self._line is None:
            raw = self._connect()
            self._line = _DeadlineSocket(raw)
            self._http = http.client.HTTPConnection("localhost")
            # http.client uses three methods of a socket, which this has.
            self._http.sock = cast("socket.socket", self._line)
        return self._http, self._line

    def _connect(self) -> socket.socket:
        if isinstance(self.address, UnixAddress):
            return self._connect_unix(self.address)
        return self._connect_tcp(self.address)

    def _connect_unix(self, address: UnixAddress) -> socket.socket:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # With a full backlog a non-blocking connect fails at once; a blocking one waits, unix(7).
            seconds = max(self._connect_timeout, 0.001)
            timeval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
            raw.connect(address.path)
            check_server(raw, address, self._servers)
        except OSError as error:
            raw.close()
            raise no_socket(address, error, self._connect_timeout) from error
        except BaseException:
            raw.close()
            raise
        return raw

    def _connect_tcp(self, address: TcpAddress) -> socket.socket:
        raw: socket.socket | None = None
        try:
            raw = socket.create_connection((address.host, address.port), timeout=self._connect_timeout)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not address.secure:
                return raw
            tls = self._tls or ssl.create_default_context()
            return tls.wrap_socket(raw, server_hostname=address.host)
        except (OSError, UnicodeError, OverflowError) as error:
            if raw is not None:
                raw.close()
            raise no_port(address, error, self._connect_timeout) from error


class _DeadlineSocket:
    """The socket methods that http.client needs, with one deadline for all reads instead of one for each."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._deadline = 0.0

    def start(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def is_stale(self) -> bool:
        """Whether the peer has closed the connection, or sent unexpected data."""
        poll = select.poll()
        poll.register(self._raw, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def limit(self) -> socket.socket:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._raw.settimeout(remaining)
        return self._raw

    def sendall(self, data: bytes) -> None:
        self.limit().sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self))

    def close(self) -> None:
        """Do nothing: http.client closes while its reader is still in use; `end` closes later."""

    def end(self) -> None:
        self._raw.close()


class _DeadlineReader(io.RawIOBase):
    def __init__(self, line: _DeadlineSocket) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._line.limit().recv_into(buffer)
