"""One HTTP/1.1 connection to a daemon, over a Unix socket or TCP, that keeps its deadlines.

Every connection failure becomes an `Unreachable` that says what to check. Nothing is sent twice: the caller
repeats a request that got no answer.
"""

import select
import socket
import ssl
import struct
import time
from typing import Final

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.connection_diagnosis import broken, cut_off, no_answer, no_port, no_socket
from herod_client.http_exchange import AnswerReader, Sink, encode_request
from herod_client.http_messages import Request, Response
from herod_client.socket_servers import check_server

__all__ = ["Connection"]

PIECE_BYTES: Final = 256 * 1024


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
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next request can use the connection, as far as is known."""
        return self._socket is not None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def request(self, asked: Request, *, sink: Sink | None = None, waited: float = 0.0) -> Response:
        """Send one request.

        Args:
            asked: the request.
            sink: gets the body of a successful answer piece by piece, of any length; each piece has
                `timeout`.
            waited: seconds of `timeout` that have passed already.

        Raises:
            Unreachable: no complete answer came.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not HTTP, or too large.
            InvalidInput: the path or a header cannot be sent.
            SinkError: the sink has failed.
        """
        data = encode_request(asked, self.address)
        line = self._open()
        deadline = time.monotonic() + self._timeout - waited
        reader = AnswerReader(self.address, asked.method, sink)
        try:
            _limit(line, deadline).sendall(data)
            while not reader.is_complete:
                reader.receive(_limit(line, deadline).recv(PIECE_BYTES))
                if sink is not None:
                    deadline = time.monotonic() + self._timeout
            return reader.answer()
        except TimeoutError:
            raise no_answer(self.address, self._timeout) from None
        except ConnectionError as error:
            raise cut_off(self.address) from error
        except OSError as error:
            raise broken(self.address, error) from error
        finally:
            if not reader.keeps_alive:
                self.close()

    def _open(self) -> socket.socket:
        if self._socket is not None and _is_stale(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

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


def _is_stale(line: socket.socket) -> bool:
    """Whether the peer has closed the connection, or sent unexpected data."""
    poll = select.poll()
    poll.register(line, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _limit(line: socket.socket, deadline: float) -> socket.socket:
    """The socket, for one call that must end by then."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    line.settimeout(remaining)
    return line
