"""Connections from accept to close: limits, deadlines and responses in order.

Must never let one connection's failure affect another or the accept loop, nor let a client decide how long it
stays connected.

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
import time
from typing import Final

import trio

from herod.protocols.http import Handler, Request, Response
from herod.scopes.principal import Source
from herod.server.connection_eviction import Eviction
from herod.server.connection_limits import Limits
from herod.server.connection_source import ConnectionSources
from herod.server.logs import log_answer, shown_path
from herod.server.request_head import Refusal
from herod.server.request_reader import RequestReader, Stage
from herod.server.response_writer import (
    CONTINUE,
    INTERNAL,
    LAST_PIECE,
    OVERLOADED,
    AnswerWriter,
    encode_piece,
    refusal_response,
)
from herod.server.send_buffer_limits import SMALL_BYTES, SendBuffers
from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.socket_byte_stream import SocketTransport, Transport
from herod.server.sockets.tls import TlsTransport
from herod.settings.trusted_proxies import NO_PROXIES, TrustedProxies
from herod.store.store_interface import ByteStream
from herod.throttle.source_shares import share_of

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
# So many pipelined requests are answered in a row before other connections get a turn.
_TURN: Final = 16


def raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit of open files for so many connections, up to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(
    listeners: Listeners,
    handle: Handler,
    *,
    limits: Limits,
    shutdown: trio.Event,
    proxies: TrustedProxies = NO_PROXIES,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on all listeners until `shutdown` is set and the requests in progress have ended.

    If the last listener fails, it sets `shutdown` itself. After that, no connection is accepted and the listeners are
    stopped, idle connections end at once, requests in progress are answered, and connections left after
    `limits.drain_seconds` are cut off.

    Args:
        listeners: already listening, or tried again. They are stopped, not closed: the caller releases their locks.
        handle: answers one request. An exception is logged and answered with a bare 500.
        limits: the limits on clients.
        shutdown: set by the signal handler.
        proxies: the trusted proxies.
        task_status: started once connections are accepted.
    """
    sources = ConnectionSources(proxies)
    server = _Server(handle, limits, sources)
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
            listeners.begin(start)
            task_status.started()
            await shutdown.wait()
            accepting.cancel_scope.cancel()
        listeners.stop()
        await server.drain()
        tasks.cancel_scope.cancel()
    sources.close()


class _Server:
    """What connections share: the list of connections, the clock and the limits."""

    def __init__(self, handle: Handler, limits: Limits, sources: ConnectionSources) -> None:
        self.handle = handle
        self._sources = sources
        self.limits = limits
        self.writer = AnswerWriter()
        self.now = trio.current_time()
        self.is_draining = False
        self._connections: set[_Connection] = set()
        self._places: Eviction[_Connection] = Eviction()
        self.unsent: SendBuffers[_Connection] = SendBuffers(limits)
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
        connection = _Connection(self, transport, source, share=share, is_turned_away=is_full)
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

    def hold_unsent(self, connection: "_Connection", count: int) -> None:
        """Count a connection's unsent bytes, and end the connections that exceed the limits."""
        for one in self.unsent.add(connection, count):
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

    def forget(self, connection: "_Connection") -> None:
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


class _Connection:
    """One client, from accept to close.

    Attributes:
        deadline: when it ends unless something moves it; infinite while a handler works.
        has_begun: the handshake, if there is one, is done.
        is_idle: between two requests, with no byte of the next one yet.
        is_receiving: waiting for the client to send.
        is_sending: waiting for the client to read.
        in_hand: the request that a handler is processing.
        share: its source, whose connections are counted together.
        waits_since: since when it has been waiting for the current thing: a request, the end of a head or of a body.
        is_turned_away: the limit was reached: it gets a 503 and ends.
    """

    __slots__ = (
        "_reader",
        "_server",
        "_source",
        "_stage",
        "deadline",
        "has_begun",
        "in_hand",
        "is_idle",
        "is_receiving",
        "is_sending",
        "is_turned_away",
        "scope",
        "share",
        "transport",
        "waits_since",
    )

    def __init__(
        self, server: _Server, transport: Transport, source: Source, *, share: str, is_turned_away: bool
    ) -> None:
        self._server = server
        self._source = source
        self._reader = RequestReader(source, limits=server.limits)
        self._stage: Stage | None = None
        self.transport = transport
        self.scope = trio.CancelScope()
        self.deadline = math.inf
        self.has_begun = False
        self.in_hand: Request | None = None
        self.is_idle = False
        self.is_receiving = True  # from the start: it can be evicted before its task first runs
        self.is_sending = False
        self.is_turned_away = is_turned_away
        self.share = share
        self.waits_since = server.now

    def is_in_vain(self) -> bool:
        """Whether a handler is waiting for changes, or reading for long, for a client that has disconnected."""
        return self.in_hand is not None and self.in_hand.ends_with_client and self.transport.has_left()

    async def run(self) -> None:
        """Serve the connection; no error leaves this task."""
        try:
            with self.scope:
                await self._serve()
            if self.scope.cancelled_caught and self.is_sending:
                self.transport.abort()
        except OSError:
            pass  # the client has disconnected
        except Exception:  # noqa: BLE001 - the outer boundary of a connection; logged with its traceback
            _log.exception("a connection ended with an internal error")
        finally:
            self.transport.close()
            self._server.forget(self)

    async def _serve(self) -> None:
        await self._begin()
        if self.is_turned_away:
            await self._refuse(OVERLOADED)
            return
        try:
            await self._answer_all()
        except Refusal as refusal:
            await self._refuse(refusal_response(refusal))

    async def _begin(self) -> None:
        """Do the handshake under the deadline of a head; meanwhile the connection counts as waiting for the client."""
        self.deadline = self._server.now + self._server.limits.head_seconds
        await self.transport.begin()
        self.is_receiving = False
        self.has_begun = True

    async def _answer_all(self) -> None:
        reader = self._reader
        turn = _TURN
        while True:
            request = reader.take()
            if request is None:
                if not await self._receive():
                    return
                turn = _TURN
                continue
            if not await self._answer(request):
                if reader.has_leftover:
                    await self._linger()
                return
            turn -= 1
            if not turn:
                turn = _TURN
                await trio.lowlevel.checkpoint()

    async def _receive(self) -> bool:
        """Wait for more input under the deadline of the current stage; False at the end of input."""
        reader = self._reader
        stage = reader.stage
        server = self._server
        if stage is Stage.IDLE and server.is_draining and not self.transport.has_input():
            return False
        if stage is not self._stage:  # a deadline is set once a stage, however slowly the bytes come
            self._stage = stage
            self.waits_since = server.now
            limits = server.limits
            if stage is Stage.IDLE:
                self.deadline = server.now + limits.idle_seconds
            elif stage is Stage.HEAD:
                self.deadline = server.now + limits.head_seconds
            else:
                self.deadline = server.now + limits.body_seconds
                if reader.take_continue():
                    await self.transport.send(CONTINUE)
        self.is_idle = stage is Stage.IDLE
        self.is_receiving = True
        data = await self.transport.receive()
        self.is_idle = self.is_receiving = False
        reader.feed(data)
        return bool(data)

    async def _answer(self, request: Request) -> bool:
        """Answer one request; False if the connection must end."""
        server = self._server
        if self.scope.cancel_called:  # cancelled just as the request arrived: do not start it
            return False
        self._stage = None
        self.deadline = math.inf  # a handler has its own limits, and may wait for changes on purpose
        started = time.perf_counter()
        self.in_hand = request
        try:
            response = await server.handle(request)
            is_last = response.close or self._reader.is_last or server.is_draining
            data = self._encode(response, method=request.method, is_last=is_last)
        except Exception:  # noqa: BLE001 - the outer boundary of a handler; logged with its traceback
            _log.exception("%s %s failed", request.method, shown_path(request.path))
            response = INTERNAL
            is_last = self._reader.is_last or server.is_draining
            data = self._encode(response, method=request.method, is_last=is_last)
        self.in_hand = None
        is_head, stream, shared = request.method == "HEAD", response.stream, response.shared
        status, is_quiet = response.status, response.is_quiet
        del response  # its body is in `data`: do not keep it twice
        if stream is None:
            await self._send(data, b"" if is_head else shared)
        else:
            await self._send_stream(data, stream, is_head=is_head)
        if not is_quiet:
            log_answer(
                method=request.method,
                path=request.path,
                status=status,
                seconds=time.perf_counter() - started,
                source=request.source.label,
            )
        return not is_last

    async def _send(self, data: bytes, shared: bytes = b"") -> None:
        self.deadline = self._server.now + self._server.limits.write_seconds
        self.is_sending = True
        if len(data) <= SMALL_BYTES:
            await self.transport.send(data, shared)
        else:
            self._server.hold_unsent(self, len(data))
            try:
                await self.transport.send(data, shared)
            finally:
                self._server.unsent.discard(self)
        self.is_sending = False

    async def _send_stream(self, head: bytes, stream: ByteStream, *, is_head: bool) -> None:
        """Send a body piece by piece, each under its own deadline; a body that fails gets no last chunk.

        HTTP/1.0 has no chunks: there the end of the connection is the end of the body (RFC 9112, section 6.3). If the
        body fails, the connection is reset, which is the only way to mark it as incomplete.
        """
        is_chunked = self._reader.is_modern
        is_whole = False
        try:
            await self._send(head)
            if not is_head:
                async for piece in stream:
                    await self._send(encode_piece(piece) if is_chunked else piece)
                    self.deadline = math.inf  # making the next piece is not up to the client
                if is_chunked:
                    await self._send(LAST_PIECE)
            is_whole = True
        finally:
            if not is_whole and not is_chunked:
                self.transport.abort()
            await stream.aclose()

    def _encode(self, response: Response, *, method: str, is_last: bool) -> bytes:
        return self._server.writer.encode(
            response,
            is_head=method == "HEAD",
            is_last=is_last,
            is_secure=self._source.secure,
            is_chunked=self._reader.is_modern,
        )

    async def _refuse(self, response: Response) -> None:
        await self._send(self._encode(response, method="", is_last=True))
        log_answer(method="-", path="-", status=response.status, seconds=0.0, source=self._source.label)
        await self._linger()

    async def _linger(self) -> None:
        """Read and drop what the client still sends.

        Closing with unread input resets the connection, and the client may never see the response (RFC 9112,
        section 9.6).
        """
        limits = self._server.limits
        self.deadline = self._server.now + limits.linger_seconds
        await self.transport.finish_sending()
        left = limits.linger_bytes
        while left > 0 and (data := await self.transport.receive()):
            left -= len(data)
