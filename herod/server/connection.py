"""One connection from accept to close: its requests, its deadlines, and its responses in order.

Must never let a client decide how long it stays connected. The deadline is a number that the acceptor checks
(`connections.py` says why).
"""

import logging
import math
import time
from typing import Final, Protocol

import trio

from herod.protocols.error_formats import without_final_slash
from herod.protocols.http import Asked, Handler, Refuse, Request, Response
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.logs import log_answer, shown_path
from herod.server.request_reader import RequestReader, Stage
from herod.server.response_writer import (
    CONTINUE,
    LAST_PIECE,
    AnswerWriter,
    encode_piece,
)
from herod.server.send_buffer_limits import SMALL_BYTES
from herod.server.sockets.socket_byte_stream import Transport
from herod.store.store_interface import ByteStream
from herod_client.core.errors import HerodError, InternalError, Unavailable

__all__ = ["Acceptor", "Connection"]

_log = logging.getLogger(__name__)

# So many pipelined requests are answered in a row before other connections get a turn.
_TURN: Final = 16


class Acceptor(Protocol):
    """What a connection needs of whoever accepted it.

    Attributes:
        handle: answers one request.
        refuse: writes the response to a request that no handler gets, in the format of its path.
        limits: the limits on clients.
        writer: encodes responses.
        now: the sweep's clock, in trio's seconds; up to one sweep old.
        is_draining: no further request is read.
    """

    handle: Handler
    refuse: Refuse
    limits: Limits
    writer: AnswerWriter
    now: float
    is_draining: bool

    def hold_unsent(self, connection: "Connection", count: int) -> None:
        """Count a connection's unsent bytes, and end the connections that exceed the limits."""
        ...

    def release_unsent(self, connection: "Connection") -> None:
        """Forget a connection's unsent bytes."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Remove a connection that has ended."""
        ...


class Connection:
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
        "_acceptor",
        "_reader",
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
        self, acceptor: Acceptor, transport: Transport, source: Source, *, share: str, is_turned_away: bool
    ) -> None:
        self._acceptor = acceptor
        self._source = source
        self._reader = RequestReader(source, limits=acceptor.limits)
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
        self.waits_since = acceptor.now

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
            self._acceptor.forget(self)

    async def _serve(self) -> None:
        await self._begin()
        if self.is_turned_away:
            await self._refuse(Unavailable("Too many connections are open: try again in a second.", retry_after=1))
            return
        try:
            await self._answer_all()
        except HerodError as refusal:
            await self._refuse(refusal)

    async def _begin(self) -> None:
        """Do the handshake under the deadline of a head; meanwhile the connection counts as waiting for the client."""
        self.deadline = self._acceptor.now + self._acceptor.limits.head_seconds
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
        acceptor = self._acceptor
        if stage is Stage.IDLE and acceptor.is_draining and not self.transport.has_input():
            return False
        if stage is not self._stage:  # a deadline is set once a stage, however slowly the bytes come
            self._stage = stage
            self.waits_since = acceptor.now
            limits = acceptor.limits
            if stage is Stage.IDLE:
                self.deadline = acceptor.now + limits.idle_seconds
            elif stage is Stage.HEAD:
                self.deadline = acceptor.now + limits.head_seconds
            else:
                self.deadline = acceptor.now + limits.body_seconds
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
        acceptor = self._acceptor
        if self.scope.cancel_called:  # cancelled just as the request arrived: do not start it
            return False
        self._stage = None
        self.deadline = math.inf  # a handler has its own limits, and may wait for changes on purpose
        started = time.perf_counter()
        self.in_hand = request
        try:
            response = await acceptor.handle(request)
            is_last = response.close or self._reader.is_last or acceptor.is_draining
            data = self._encode(response, method=request.method, is_last=is_last)
        except Exception:  # noqa: BLE001 - the outer boundary of a handler; logged with its traceback
            _log.exception("%s %s failed", request.method, shown_path(request.path))
            fault = InternalError("An internal error occurred: herod's log has the details.")
            asked = Asked(request.method, request.path, request.headers.get("origin"))
            response = acceptor.refuse(fault, asked, request.source)
            is_last = self._reader.is_last or acceptor.is_draining
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
        self.deadline = self._acceptor.now + self._acceptor.limits.write_seconds
        self.is_sending = True
        if len(data) <= SMALL_BYTES:
            await self.transport.send(data, shared)
        else:
            self._acceptor.hold_unsent(self, len(data))
            try:
                await self.transport.send(data, shared)
            finally:
                self._acceptor.release_unsent(self)
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
        return self._acceptor.writer.encode(
            response,
            is_head=method == "HEAD",
            is_last=is_last,
            is_secure=self._source.secure,
            is_chunked=self._reader.is_modern,
        )

    async def _refuse(self, error: HerodError) -> None:
        """Answer a request that could not be read, and close."""
        asked = self._reader.asked
        response = self._acceptor.refuse(error, asked, self._source)
        await self._send(self._encode(response, method=asked.method, is_last=True))
        log_answer(
            method=asked.method or "-",
            path=without_final_slash(asked.path) or "-",
            status=response.status,
            seconds=0.0,
            source=self._source.label,
        )
        await self._linger()

    async def _linger(self) -> None:
        """Read and drop what the client still sends.

        Closing with unread input resets the connection, and the client may never see the response (RFC 9112,
        section 9.6).
        """
        limits = self._acceptor.limits
        self.deadline = self._acceptor.now + limits.linger_seconds
        await self.transport.finish_sending()
        left = limits.linger_bytes
        while left > 0 and (data := await self.transport.receive()):
            left -= len(data)
