"""A few kept connections to one daemon, shared by the threads of one process.

A child of fork(2) never uses what its parent opened: it closes its copies, and opens connections of its own.
"""

import os
import ssl
import threading
import time
from typing import Final

from herod_client.addresses import Address
from herod_client.connection_diagnosis import all_in_use
from herod_client.http_exchange import Sink
from herod_client.http_messages import Request, Response
from herod_client.sync_transport import Connection

__all__ = ["SyncPool"]

IDLE_LAST: Final = -1  # the connection used last is taken first, so that the others can time out


class _Places:
    """The connections of one process.

    Attributes:
        pid: the process that opened them.
        free: counts the connections that may still be taken.
        idle: whole connections that no thread uses.
        opened: these and the ones in use.
        closings: how often they were closed; a connection taken before the last time is not kept.
    """

    def __init__(self, size: int) -> None:
        self.pid = os.getpid()
        self.free = threading.Semaphore(size)
        self.lock = threading.Lock()
        self.idle: list[Connection] = []
        self.opened: set[Connection] = set()
        self.closings = 0


class SyncPool:
    """Connections to one address, opened on demand and kept while they are usable.

    Args:
        address: the daemon's.
        size: open at once; further requests wait for one of them.
        connect_timeout: seconds until a connection must be established.
        timeout: seconds from a request, its wait for a connection included, to its answer's last byte.
        servers: the only uids whose process may listen on a Unix socket (`expected_servers`).
        tls: how an https address is verified; by default against the system's authorities.
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int,
        connect_timeout: float,
        timeout: float,
        servers: frozenset[int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._size = size
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._servers = servers
        self._tls = tls
        # By process id. A dict, because two threads of a child that begin at once must agree without a lock: one that
        # another thread held during the fork stays locked in the child.
        self._places: dict[int, _Places] = {}

    def close(self) -> None:
        """Close the idle connections, and those in use after their answer; the next request opens another."""
        places = self._here()
        with places.lock:
            places.closings += 1
            idle, places.idle = places.idle, []
            places.opened.difference_update(idle)
        for connection in idle:
            connection.close()

    def request(self, asked: Request, *, sink: Sink | None = None) -> Response:
        """Send one request.

        Args:
            asked: the request.
            sink: gets the body of a successful answer piece by piece, of any length; each piece has the whole
                timeout.

        Raises:
            Unreachable: no complete answer came, or no connection was free in time.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not HTTP, or too large.
            SinkError: the sink has failed.
        """
        places = self._here()
        began = time.monotonic()
        if not places.free.acquire(timeout=max(self._timeout, 0.0)):
            raise all_in_use(self._address, self._size, self._timeout)
        try:
            connection, closings = self._take(places)
            try:
                return connection.request(asked, sink=sink, waited=time.monotonic() - began)
            finally:
                self._give_back(places, connection, closings)
        finally:
            places.free.release()

    def _here(self) -> _Places:
        """The connections of this process; those of another one, left by fork(2), are closed."""
        pid = os.getpid()
        places = self._places.get(pid)
        if places is None:
            places = self._places.setdefault(pid, _Places(self._size))
            for other in [one for one in list(self._places) if one != pid]:
                left = self._places.pop(other, None)
                for connection in list(left.opened) if left is not None else ():
                    connection.close()  # its own copy of the descriptor: the parent's stays open
        return places

    def _take(self, places: _Places) -> tuple[Connection, int]:
        with places.lock:
            if places.idle:
                return places.idle.pop(IDLE_LAST), places.closings
            connection = self._new()
            places.opened.add(connection)
            return connection, places.closings

    def _new(self) -> Connection:
        return Connection(
            self._address,
            connect_timeout=self._connect_timeout,
            timeout=self._timeout,
            servers=self._servers,
            tls=self._tls,
        )

    def _give_back(self, places: _Places, connection: Connection, closings: int) -> None:
        with places.lock:
            is_kept = connection.is_open and closings == places.closings and places.pid == os.getpid()
            if is_kept:
                places.idle.append(connection)
            else:
                places.opened.discard(connection)
        if not is_kept:
            connection.close()
