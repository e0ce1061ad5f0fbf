"""All connections: accepting them, their number and deadlines, and the end at shutdown. `connection.py` has each one.

Must never let one connection's failure affect another or the accept loop.

Each connection has one task and one cancel scope, and no timer. Moving a deadline in trio's queue twice a request took
a fifth of the request's time, so a connection's deadline is a number, and one task checks all of them periodically.
Deadlines are set by that task's clock, which may be one sweep old: a connection ends a little early, but never late.
"""

import errno
import logging
import math
import os
import resource
import socket
from typing import Final

import trio

from herod.protocols.http import Asked, Handler, Refuse, Response
from herod.protocols.responses import plain_error
from herod.scopes.principal import Source
from herod.server.connection import Connection
from herod.server.connection_eviction import Eviction
from herod.server.connection_limits import Limits
from herod.server.connection_source import ConnectionSources
from herod.server.response_writer import AnswerWriter
from herod.server.send_buffer_limits import SendBuffers
from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.socket_byte_stream import SocketTransport
from herod.server.sockets.tls import TlsTransport
from herod.settings.trusted_proxies import NO_PROXIES, TrustedProxies
from herod.throttle.source_shares import share_of
from herod_client.core.errors import HerodError

__all__ = ["raise_descriptor_limit", "serve"]

_log = logging.getLogger(__name__)

# Descriptors for the store, the log, threads and the listeners.
_SPARE_DESCRIPTORS: Final = 96
# So many clients over the limit get a 503; more are just closed.
_TURNED_AWAY: Final = 32
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPT_BURST: Final = 32
_ACCEPT_PAUSE_SECONDS: Final = 0.1
_COMPLAINT_SECONDS: Final = 10.0


def raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit of open files for so many connections, up to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _refuse_plainly(error: HerodError, asked: Asked, source: Source) -> Response:
    return plain_error(error)


async def serve(
    listeners: Listeners,
    handle: Handler,
    *,
    limits: Limits,
    shutdown: trio.Event,
    refuse: Refuse = _refuse_plainly,
    proxies: TrustedProxies = NO_PROXIES,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on all listeners until `shutdown` is set and the requests in progress have ended.

    If the last listener fails, it sets `shutdown` itself. After that, no connection is accepted and the listeners are
    stopped, idle connections end at once, requests in progress are answered, and connections left after
    `limits.drain_seconds` are cut off.

    Args:
        listeners: already listening, or tried again. They are stopped, not closed: the caller releases their locks.
        handle: answers one request. An exception is logged and refused without its details.
        limits: the limits on clients.
        shutdown: set by the signal handler.
        refuse: writes the response to a request that no handler gets.
        proxies: the trusted proxies.
        task_status: started once connections are accepted.
    """
    sources = ConnectionSources(proxies)
    server = _Server(handle, refuse, limits, sources)
    async with trio.open_nursery() as tasks:
        async with trio.open_nursery() as accepting:

            def start(listener: BoundListener) -> None:
                listener.bound_buffers(send=limits.send_buffer_bytes, receive=limits.receive_buffer_bytes)
                accepting.start_soon(accept, listener)

            async def accept(listener: BoundListener) -> None:
                try:
                    await server.accept_forever(listener, tasks)
                except trio.ClosedResourceError:
                    pass  # lost together with the other loopback
                except OSError as error:
                    listeners.lose(listener, error)
                    if not listeners:
                        shutdown.set()

            accepting.start_soon(server.sweep_forever)
            accepting.start_soon(listeners.keep_trying)
            accepting.start_soon(listeners.keep_whole)
            listeners.begin(start)
            task_status.started()
            await shutdown.wait()
            accepting.cancel_scope.cancel()
        listeners.stop()
        await server.drain()
        tasks.cancel_scope.cancel()
    sources.close()


class _Server:
    """What connections share, as `Acceptor` says, and the list of them."""

    def __init__(self, handle: Handler, refuse: Refuse, limits: Limits, sources: ConnectionSources) -> None:
        self.handle = handle
        self.refuse = refuse
        self._sources = sources
        self.limits = limits
        self.writer = AnswerWriter()
        self.now = trio.current_time()
        self.is_draining = False
        self._connections: set[Connection] = set()
        self._places: Eviction[Connection] = Eviction()
        self._unsent: SendBuffers[Connection] = SendBuffers(limits)
        self._turned_away = 0
        self._all_gone = trio.Event()
        self._first_came = trio.Event()
        self._complain_after = -math.inf
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = math.inf if soft == resource.RLIM_INFINITY else max(8, soft - _SPARE_DESCRIPTORS)
        self._most = min(limits.max_connections, room)
        if self._most < limits.max_connections:
            _log.warning("the limit of open files (ulimit -n) allows only %d connections", self._most)

    async def accept_forever(self, listener: BoundListener, tasks: trio.Nursery) -> None:
        """Accept connections from one listener; their failures do not end the loop."""
        while True:
            await trio.lowlevel.wait_readable(listener.socket)
            for attempt in range(_ACCEPT_BURST):
                try:
                    connected, address = listener.socket.accept()
                except BlockingIOError:
                    if not attempt and listener.is_shut_down():
                        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
                    break
                except OSError as error:
                    if error.errno in _EXHAUSTED:
                        self._complain("no connection can be accepted: %s", error.strerror)
                        self._evict_one(None)
                        await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                        break
                    if error.errno in {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}:
                        raise
                    continue  # that client has disconnected already (accept(2), "Error handling")
                self._admit(connected, address, listener, tasks)
                if len(self._places) >= self._most:
                    break  # whoever comes next needs a search of all connections: others get a turn before that

    def _admit(self, connected: socket.socket, address: object, listener: BoundListener, tasks: trio.Nursery) -> None:
        raw = SocketTransport(connected)
        try:
            source = self._sources.read(connected, address, listener)
        except OSError:  # disconnected before its credentials were read
            raw.close()
            return
        share = share_of(source)
        is_full = len(self._places) >= self._most and not self._evict_one(share)
        if is_full:
            self._complain("all %d connections are in use: new clients are refused", self._most)
            if self._turned_away >= _TURNED_AWAY:
                raw.close()
                return
        transport = raw if listener.tls is None else TlsTransport(raw, listener.tls.context)
        self.now = trio.current_time()  # the sweep sleeps while there are no connections
        connection = Connection(self, transport, source, share=share, is_turned_away=is_full)
        self._connections.add(connection)
        self._turned_away += is_full
        if not is_full:
            self._places.add(connection)
        self._first_came.set()
        tasks.start_soon(connection.run)

    def _evict_one(self, newcomer: str | None) -> bool:
        """Evict a connection for a new one from this source; return whether there was one to evict."""
        one = self._places.choose(newcomer, latest=self.now - self.limits.evict_seconds)
        if one is None:
            return False
        self._places.discard(one)
        one.is_receiving = one.is_idle = False
        one.scope.cancel()
        return True

    def hold_unsent(self, connection: Connection, count: int) -> None:
        """Count a connection's unsent bytes, and end the connections that exceed the limits."""
        for one in self._unsent.add(connection, count):
            self._complain("clients that do not read their responses are cut off: too many bytes are unsent")
            one.scope.cancel()

    def _complain(self, message: str, *args: object) -> None:
        """Log a warning, at most once every ten seconds, however many clients cause it."""
        now = trio.current_time()
        if now >= self._complain_after:
            self._complain_after = now + _COMPLAINT_SECONDS
            _log.warning(message, *args)

    async def sweep_forever(self) -> None:
        """Update the clock, and end connections whose deadline falls before the next sweep."""
        while True:
            if not self._connections:
                self._first_came = trio.Event()
                await self._first_came.wait()
            self.now = trio.current_time()
            latest = self.now + self.limits.sweep_seconds
            for connection in self._connections:
                if connection.deadline <= latest or connection.is_in_vain():
                    connection.scope.cancel()
            await trio.sleep(self.limits.sweep_seconds)

    def release_unsent(self, connection: Connection) -> None:
        """Forget a connection's unsent bytes."""
        self._unsent.discard(connection)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._connections.discard(connection)
        self._places.discard(connection)
        self._turned_away -= connection.is_turned_away
        if not self._connections:
            self._all_gone.set()

    async def drain(self) -> None:
        """Wait for requests in progress, for at most `limits.drain_seconds`."""
        self.is_draining = True
        for connection in self._connections:
            if not connection.has_begun or (connection.is_idle and not connection.transport.has_input()):
                connection.scope.cancel()
        with trio.move_on_after(self.limits.drain_seconds):
            if self._connections:
                self._all_gone = trio.Event()
                await self._all_gone.wait()
        if self._connections:
            _log.warning("%d connections were cut off at shutdown", len(self._connections))
