"""Connections from accept to close: caps, deadlines, answers in order, and an end that always comes.

Must never let one connection's fault reach another or the accept loop, nor let a client decide how long it
stays.

There is one task and one cancel scope a connection and no timer at all. Moving a deadline in trio's queue
twice a request took a fifth of the whole request's time, so a connection's deadline is a number, and one task
looks at all of them now and then. That task's clock is also the one deadlines are set by: it may be a sweep
old, which ends a connection a little early and never late.
"""

import errno
import logging
import math
import resource
import socket
import time
from collections.abc import Sequence
from typing import Final

import trio

from herod.protocols.http import Handler, Request, Response
from herod.scopes.principal import Source
from herod.server.connection_eviction import Eviction
from herod.server.connection_limits import Limits
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
from herod.server.sockets.listeners import BoundListener
from herod.server.sockets.peer_credentials import read_peer
from herod.server.sockets.socket_byte_stream import SocketTransport, Transport
from herod.server.sockets.tls import TlsTransport
from herod.store.store_interface import ByteStream
from herod.throttle.rules import wide_source

__all__ = ["raise_descriptor_limit", "serve"]

_log = logging.getLogger(__name__)

# What the store, the log, threads and the listeners themselves need besides connections.
_SPARE_DESCRIPTORS: Final = 96
# So many clients beyond the cap are told so; more are just closed.
_TURNED_AWAY: Final = 32
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPT_BURST: Final = 32
_ACCEPT_PAUSE_SECONDS: Final = 0.1
_COMPLAINT_SECONDS: Final = 10.0
# So many pipelined requests are answered in a row before others get their turn.
_TURN: Final = 16


def raise_descriptor_limit(connections: int) -> None:
    """Let this process open enough descriptors for so many connections, as far as its hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(
    listeners: Sequence[BoundListener],
    handle: Handler,
    *,
    limits: Limits,
    shutdown: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on all listeners until `shutdown` is set and what is in hand has ended.

    After `shutdown`, nothing more is accepted and the listeners are stopped, idle connections end at once,
    requests in hand are answered, and what is left after `limits.drain_seconds` is cut off.

    Args:
        listeners: already listening. They are stopped, not closed: their locks are the caller's to give back.
        handle: answers one request. What it raises is logged and answered as a bare 500.
        limits: what a client may take.
        shutdown: set by whoever handles signals.
        task_status: told once connections are accepted.
    """
    server = _Server(handle, limits)
    async with trio.open_nursery() as tasks:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(server.sweep_forever)
            for listener in listeners:
                listener.bound_buffers(send=limits.send_buffer_bytes, receive=limits.receive_buffer_bytes)
                accepting.start_soon(server.accept_forever, listener, tasks)
            task_status.started()
            await shutdown.wait()
            accepting.cancel_scope.cancel()
        for listener in listeners:
            listener.stop()
        await server.drain()
        tasks.cancel_scope.cancel()


class _Server:
    """What connections share: who is there, what time it is, and what may be taken."""

    def __init__(self, handle: Handler, limits: Limits) -> None:
        self.handle = handle
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
            _log.warning("only %d connections fit under the limit of open files (ulimit -n)", self._most)

    async def accept_forever(self, listener: BoundListener, tasks: trio.Nursery) -> None:
        """Take connections from one listener, whatever becomes of them."""
        while True:
            await trio.lowlevel.wait_readable(listener.socket)
            for _ in range(_ACCEPT_BURST):
                try:
                    connected, address = listener.socket.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _EXHAUSTED:
                        self._complain("no connection can be accepted: %s", error.strerror)
                        self._evict_one(None)
                        await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                        break
                    if error.errno in {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}:
                        raise
                    continue  # that client has gone again (accept(2), "Error handling")
                self._admit(connected, address, listener, tasks)

    def _admit(self, connected: socket.socket, address: object, listener: BoundListener, tasks: trio.Nursery) -> None:
        raw = SocketTransport(connected)
        try:
            source = _source_of(connected, address, listener)
        except OSError:  # gone before it was asked
            raw.close()
            return
        share = wide_source(source)
        is_full = len(self._places) >= self._most and not self._evict_one(share)
        if is_full:
            self._complain("all %d connections are taken: new clients are refused", self._most)
            if self._turned_away >= _TURNED_AWAY:
                raw.close()
                return
        transport = raw if listener.tls is None else TlsTransport(raw, listener.tls.context)
        self.now = trio.current_time()  # the sweep sleeps while nobody is connected
        connection = _Connection(self, transport, source, share=share, is_turned_away=is_full)
        self._connections.add(connection)
        self._turned_away += is_full
        if not is_full:
            self._places.add(connection)
        self._first_came.set()
        tasks.start_soon(connection.run)

    def _evict_one(self, newcomer: str | None) -> bool:
        """End a connection that has to make room for one from this source; whether there was one."""
        one = self._places.choose(newcomer, latest=self.now - self.limits.evict_seconds)
        if one is None:
            return False
        self._places.discard(one)
        one.is_receiving = one.is_idle = False
        one.scope.cancel()
        return True

    def hold_unsent(self, connection: "_Connection", count: int) -> None:
        """Count bytes that a client is to take, and end who makes it too many."""
        for one in self.unsent.add(connection, count):
            self._complain("clients that do not take their answers are cut off: they hold too many bytes")
            one.scope.cancel()

    def _complain(self, message: str, *args: object) -> None:
        """Log what would otherwise be said for every client of an onslaught."""
        now = trio.current_time()
        if now >= self._complain_after:
            self._complain_after = now + _COMPLAINT_SECONDS
            _log.warning(message, *args)

    async def sweep_forever(self) -> None:
        """Keep the clock, and end what would be overdue before the next look."""
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
        """A connection has ended."""
        self._connections.discard(connection)
        self._places.discard(connection)
        self._turned_away -= connection.is_turned_away
        if not self._connections:
            self._all_gone.set()

    async def drain(self) -> None:
        """Let what is in hand end, for as long as the limits say."""
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
        has_begun: the handshake, if there is one, is over.
        is_idle: between two requests, with nothing of the next one here yet.
        is_receiving: waiting for the client to send.
        is_sending: waiting for the client to take what is sent.
        in_hand: the request that a handler works on.
        share: the source it comes from, whose places are counted together.
        waits_since: when it began to wait for what it waits for now: a request, a head's end or a body's.
        is_turned_away: there was no place for it: it is told so, and that is all.
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
        self.is_receiving = True  # from the start: accepting may be faster than what is accepted gets its turn
        self.is_sending = False
        self.is_turned_away = is_turned_away
        self.share = share
        self.waits_since = server.now

    def is_in_vain(self) -> bool:
        """Whether a handler waits for news, or reads for long, for a client that has left."""
        return self.in_hand is not None and self.in_hand.ends_with_client and self.transport.has_left()

    async def run(self) -> None:
        """Serve, and end without a trace in any other task."""
        try:
            with self.scope:
                await self._serve()
            if self.scope.cancelled_caught and self.is_sending:
                self.transport.abort()
        except OSError:
            pass  # the client is gone, as clients may be at any time
        except Exception:  # noqa: BLE001 - the outer boundary of a connection; logged with its traceback
            _log.exception("a connection ended with an error of herod's own")
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
        """Shake hands under the deadline of a head; as long as that takes the client keeps herod waiting."""
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
        """Wait for more input under the deadline of what it belongs to; False at its end."""
        reader = self._reader
        stage = reader.stage
        server = self._server
        if stage is Stage.IDLE and server.is_draining and not self.transport.has_input():
            return False
        if stage is not self._stage:  # a deadline is set once a stage, however the bytes trickle
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
        """Answer one request; False when the connection is to end."""
        server = self._server
        if self.scope.cancel_called:  # its bytes came in the moment it was ended: better never than half
            return False
        self._stage = None
        self.deadline = math.inf  # a handler has its own limits, and may wait for news on purpose
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
        del response  # its body is in `data`, and not to be held twice
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
                source=self._source.label,
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
        """Send a body as its pieces come, each under a deadline of its own; one that fails is left without its end.

        HTTP/1.0 knows no chunks: there the end of the connection is the end of the body (RFC 9112, section 6.3), and a
        body that fails is reset, which is all that tells it from a whole one.
        """
        is_chunked = self._reader.is_modern
        is_whole = False
        try:
            await self._send(head)
            if not is_head:
                async for piece in stream:
                    await self._send(encode_piece(piece) if is_chunked else piece)
                    self.deadline = math.inf  # the next piece is ours to make
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

        Closing with input unread resets the connection, and the client may never see the answer that says why
        (RFC 9112, section 9.6).
        """
        limits = self._server.limits
        self.deadline = self._server.now + limits.linger_seconds
        await self.transport.finish_sending()
        left = limits.linger_bytes
        while left > 0 and (data := await self.transport.receive()):
            left -= len(data)


def _source_of(connected: socket.socket, address: object, listener: BoundListener) -> Source:
    if connected.family == socket.AF_UNIX:
        peer = read_peer(connected) if listener.has_peer else None
        return Source(peer=peer, address="unix", cookie=listener.cookie)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert isinstance(address, tuple)  # noqa: S101 - for the type checker: AF_INET and AF_INET6 give tuples
    return Source(address=str(address[0]), secure=listener.tls is not None)
