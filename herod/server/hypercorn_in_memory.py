"""Passes one request to Hypercorn's TCPServer over an in-memory stream, and returns its response.

Hypercorn must never see anything but one well-formed HTTP/1.1 request with `Connection: close` and only the headers
listed here: that keeps its upgrades, HTTP/2, pipelining and framing out of reach (STACK.md lists what each of them can
do). Only `dashboard_requests.py` imports this file, and only at the first browser request.
"""

import logging
import re
import socket
from typing import Any, Final, cast

import httptools
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from herod.protocols.http import Request, Response

__all__ = ["HypercornBridge", "PageAnswer", "PageError", "serialise"]

_log = logging.getLogger(__name__)

# The headers that pages get. No `Authorization`: pages authenticate by session only.
_CARRIED: Final = (
    "accept",
    "accept-language",
    "content-type",
    "cookie",
    "if-none-match",
    "origin",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "user-agent",
)
# Headers that the server sets itself, or that describe a connection (RFC 9110, section 7.6.1), of which there is none.
_DROPPED: Final = frozenset(
    {"alt-svc", "connection", "content-length", "date", "keep-alive", "server", "trailer", "transfer-encoding"}
)
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_TARGET: Final = re.compile(r"/[!-~]*")
_FIRST_FINAL_STATUS: Final = 200


class PageError(Exception):
    """The application's response cannot be used."""


class HypercornBridge:
    """An ASGI application behind Hypercorn.

    Args:
        app: the application; the original `Request` is in `scope["state"]["request"]`.
        most_bytes: the largest response.
    """

    def __init__(self, app: Any, *, most_bytes: int) -> None:
        self._app = ASGIWrapper(app)
        self._most_bytes = most_bytes
        self._config = _make_config()

    async def __call__(self, request: Request) -> Response:
        """Pass one request to the application and return its response.

        Raises:
            PageError: the response is missing, incomplete, not HTTP or too long.
        """
        kind = _SecureStream if request.source.secure else _Stream
        stream = kind(serialise(request), most_bytes=self._most_bytes)
        server = TCPServer(
            self._app, self._config, WorkerContext(None), cast("Any", {"request": request}), cast("Any", stream)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, server, stream)
            await stream.over.wait()
            # The response is complete, or there will be none. Do not wait for what Hypercorn and Quart still do: they
            # do not close reliably.
            nursery.cancel_scope.cancel()
        return stream.answer.response()


async def _run(server: TCPServer, stream: "_Stream") -> None:
    """Run Hypercorn. Its errors concern this one request only: when cancelled half-way, it may try to answer again."""
    try:
        await server.run()
    except* Exception as errors:  # noqa: BLE001 - an incomplete response is refused; a complete one is valid anyway
        _log.debug("Hypercorn: %r", errors)
    finally:
        stream.over.set()


def serialise(request: Request) -> bytes:
    """Serialize a request in the one form that Hypercorn may see.

    HEAD is sent as GET: the server itself omits the body.

    Raises:
        ValueError: the target or a value would break the head; the reader lets none through.
    """
    target = f"{request.path}?{request.query}" if request.query else request.path
    if not _TARGET.fullmatch(target):
        raise ValueError("the target would break the request's head")
    method = "GET" if request.method == "HEAD" else request.method
    lines = [f"{method} {target} HTTP/1.1", f"host: {request.headers.get('host') or 'localhost'}"]
    lines += [f"{name}: {request.headers[name]}" for name in _CARRIED if name in request.headers]
    if request.body or method == "POST":
        lines.append(f"content-length: {len(request.body)}")
    lines.append("connection: close")
    if not all(map(_VALUE.fullmatch, lines)):
        raise ValueError("a header would break the request's head")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + request.body


class PageAnswer:
    """A response as it arrives, parsed by llhttp (the callbacks' names are from httptools).

    Attributes:
        is_complete: the last byte has arrived.
    """

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._body = bytearray()
        self._headers: list[tuple[str, str]] = []
        self._fault: str | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.is_complete = False

    def feed(self, data: bytes) -> bool:
        """Parse a piece; False if no more is needed."""
        if self.is_complete or self._fault is not None:
            return False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fault = f"it is not HTTP: {error}"
        if self._left < 0:
            self._fault = "it is too long"
        return self._fault is None and not self.is_complete

    def response(self) -> Response:
        """The complete response.

        Raises:
            PageError: there is no valid one.
        """
        if self._fault is None and not self.is_complete:
            self._fault = "it ends too early"
        if self._fault is not None:
            raise PageError(f"the page's response cannot be used: {self._fault}")
        return Response(self._parser.get_status_code(), bytes(self._body), tuple(self._headers))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header."""
        text = name.decode("latin-1").lower()
        if text not in _DROPPED:
            self._headers.append((text, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Check the status once the head is complete."""
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            self._fault = "it is not final"

    def on_body(self, part: bytes) -> None:
        """Store a piece of the body."""
        self._left -= len(part)
        if self._left >= 0:
            self._body += part

    def on_message_complete(self) -> None:
        """Mark the response as complete."""
        self.is_complete = True


class _NoSocket:
    """The socket methods that Hypercorn calls. They reveal nothing: the application finds the source in the request."""

    family = socket.AF_UNIX

    def getpeername(self) -> str:
        """No address."""
        return ""

    def getsockname(self) -> str:
        """No address."""
        return ""


class _Stream:
    """Hypercorn's stream: delivers one request, then nothing until it is closed; receives one response.

    There is no end of input after the request: Hypercorn would take that as a disconnected client.

    Attributes:
        answer: the response so far.
        over: set when the response is complete or can no longer be.
    """

    socket = _NoSocket()

    def __init__(self, data: bytes, *, most_bytes: int) -> None:
        self._data = data
        self._closed = trio.Event()
        self.answer = PageAnswer(most_bytes)
        self.over = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return a piece of the request; after the last, wait until the stream is closed."""
        await trio.lowlevel.checkpoint()
        data, self._data = self._data[:max_bytes], self._data[len(self._data[:max_bytes]) :]
        if data:
            return data
        await self._closed.wait()
        raise trio.ClosedResourceError

    async def send_all(self, data: bytes) -> None:
        """Receive a piece of the response.

        Raises:
            BrokenResourceError: no more is needed.
        """
        await trio.lowlevel.checkpoint()
        if self.over.is_set():
            raise trio.BrokenResourceError
        if not self.answer.feed(data):
            self.over.set()

    async def send_eof(self) -> None:
        """End the response."""
        self.over.set()

    async def aclose(self) -> None:
        """Close both directions."""
        self._closed.set()
        self.over.set()


class _SecureStream(_Stream):
    """A stream that looks like TLS, which the server has terminated already: else Hypercorn's scheme would be http."""

    async def do_handshake(self) -> None:
        """Do nothing."""
        await trio.lowlevel.checkpoint()

    def selected_alpn_protocol(self) -> str:
        """Never HTTP/2."""
        return "http/1.1"

    @property
    def transport_stream(self) -> _Stream:
        """Where Hypercorn looks for the socket."""
        return self


def _make_config() -> Config:
    config = Config()
    config.accesslog = None  # herod's own access log has the request
    config.errorlog = logging.getLogger(__name__)
    config.include_server_header = False
    config.include_date_header = False
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = 3600  # the deadline is that of PageRequests, for the whole page
    config.h11_max_incomplete_size = 2 * 1024 * 1024  # the reader has limited the head already
    return config
