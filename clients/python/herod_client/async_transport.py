"""A few kept HTTP/1.1 connections to one daemon, shared by the tasks of an event loop, asyncio's or trio's.

Every connection failure becomes an `Unreachable` that says what to check. Nothing is sent twice.
"""

import os
import ssl

from herod_client.addresses import Address
from herod_client.async_backend import Backend, Places, running_backend
from herod_client.async_connection import AsyncConnection, connect
from herod_client.connection_diagnosis import all_in_use, broken, cut_off, no_answer
from herod_client.http_exchange import AnswerReader, Sink, encode_request
from herod_client.http_messages import Request, Response

__all__ = ["ConnectionPool"]


class ConnectionPool:
    """Connections to one address, opened on demand and kept while they are usable.

    It may be used on one event loop after another, and in the children of a fork, but not on two loops at once.

    Args:
        address: the daemon's.
        size: the maximum number; further requests wait, at most `timeout`.
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
        self._size = size
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._tls = tls
        self._servers = servers
        self._idle: list[AsyncConnection] = []
        self._opened: set[AsyncConnection] = set()
        self._closings = 0
        self._process = os.getpid()
        self._loop: object = None
        self._places: Places | None = None

    async def aclose(self) -> None:
        """Close the idle connections, and those in use after their answer; the next request opens another."""
        self._closings += 1
        while self._idle:
            self._end(self._idle.pop())

    async def request(self, asked: Request, *, sink: Sink | None = None) -> Response:
        """Send one request.

        Args:
            asked: the request.
            sink: gets the body of a successful answer piece by piece, of any length; each piece has the whole
                timeout.

        Raises:
            Unreachable: no complete answer came, or no connection was free in time.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not HTTP, or too large.
            InvalidInput: the path or a header cannot be sent.
            SinkError: the sink has failed.
        """
        data = encode_request(asked, self.address)
        backend = running_backend()
        places = self._here(backend)
        try:
            async with backend.limit(self._timeout):
                await places.acquire()
        except TimeoutError:
            raise all_in_use(self.address, self._size, self._timeout) from None
        try:
            reader = AnswerReader(self.address, asked.method, sink)
            return await self._exchange(backend, data, reader, is_poured=sink is not None)
        finally:
            places.release()

    async def _exchange(self, backend: Backend, data: bytes, reader: AnswerReader, *, is_poured: bool) -> Response:
        line = self._take() or await self._open(backend)
        closings = self._closings
        try:
            async with backend.limit(self._timeout) as limit:
                await line.send_all(backend, data)
                while not reader.is_complete:
                    reader.receive(await line.receive_some(backend))
                    if is_poured:  # each piece has its own timeout
                        limit.renew(self._timeout)
            return reader.answer()
        except TimeoutError:
            raise no_answer(self.address, self._timeout) from None
        except ConnectionError as error:
            raise cut_off(self.address) from error
        except OSError as error:
            raise broken(self.address, error) from error
        finally:
            if reader.keeps_alive and closings == self._closings:
                self._idle.append(line)
            else:
                self._end(line)

    def _here(self, backend: Backend) -> Places:
        """The semaphore of this loop; what another process has opened is closed."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._idle, opened, self._opened = [], self._opened, set()
            self._closings += 1
            for line in opened:
                line.close()  # its own copy of the descriptor: the parent's stays open
            self._places = None
        if self._places is None or self._loop is not backend.loop():
            self._places, self._loop = backend.places(self._size), backend.loop()
        return self._places

    def _take(self) -> AsyncConnection | None:
        """Return a usable idle connection; the one used last, so that the others can time out."""
        while self._idle:
            line = self._idle.pop()
            if not line.is_stale():
                return line
            self._end(line)
        return None

    async def _open(self, backend: Backend) -> AsyncConnection:
        line = await connect(backend, self.address, seconds=self._connect_timeout, tls=self._tls, servers=self._servers)
        self._opened.add(line)
        return line

    def _end(self, line: AsyncConnection) -> None:
        self._opened.discard(line)
        line.close()
