"""Passes the dashboard's requests, one at a time, to Hypercorn and Quart.

Hypercorn never gets a client's socket: it gets one request, serialized again from our own parse, over an in-memory
stream; its response is parsed strictly and returned like any other `Response`. So `connections.py` stays in charge of
deadlines, keep-alive, HEAD, the security headers and the access log, and pipelined bytes, upgrades and odd framing get
no further than our reader.

Must never import Hypercorn or the application before the first browser request: the daemon starts without them.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from herod.protocols.http import NO_STORE, Request, Response
from herod.server.logs import shown_path
from herod.throttle.fair_places import FairPlaces
from herod.throttle.source_ranges import range_of
from herod.throttle.source_shares import share_of

__all__ = ["LOADING_SECONDS", "PAGES_AT_ONCE", "PAGE_BYTES", "PAGE_SECONDS", "PageRequests"]

_log = logging.getLogger(__name__)

PAGE_SECONDS: Final = 10.0
# For the first page's load of the application: half a second, but not on a small machine that is busy.
LOADING_SECONDS: Final = 60.0
PAGE_BYTES: Final = 768 * 1024  # with its head, below the limit of unsent bytes of one connection
# Each page takes memory while it is rendered. The number is high because a sign-in may be delayed for seconds on
# purpose. When all places are taken, a source that has fewer gets one of whoever has the most.
PAGES_AT_ONCE: Final = 256

_METHODS: Final = ("GET", "HEAD", "POST")
_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"), *NO_STORE)
_TOO_SLOW: Final = Response(
    503, b"This page took too long: try again. The time of the request is in herod's log.\n", _TEXT
)
_BUSY: Final = Response(
    503, b"Too many pages are asked for at once: try again in a moment.\n", (*_TEXT, ("Retry-After", "1"))
)
_NOT_ALLOWED: Final = Response(405, b"Pages accept GET, HEAD and POST.\n", (*_TEXT, ("Allow", ", ".join(_METHODS))))

# An ASGI application. Its type is Hypercorn's, which is not imported here.
Application = Any
Carry = Callable[[Request], Awaitable[Response]]


class PageRequests:
    """A handler that answers with an ASGI application.

    Args:
        make_app: creates the application; called once, in a thread, at the first browser request. It may import
            anything.
        seconds: the time for one page, once the application is loaded.
        loading_seconds: the time for loading it.
        most_bytes: the largest page.
    """

    def __init__(
        self,
        make_app: Callable[[], Application],
        *,
        seconds: float = PAGE_SECONDS,
        loading_seconds: float = LOADING_SECONDS,
        most_bytes: int = PAGE_BYTES,
    ) -> None:
        self._make_app = make_app
        self._seconds = seconds
        self._loading_seconds = loading_seconds
        self._most_bytes = most_bytes
        self._places = FairPlaces(PAGES_AT_ONCE, PAGES_AT_ONCE)
        self._loading = trio.Lock()
        self._carry: Carry | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            PageError: the application's response is invalid or too long.
        """
        if request.method not in _METHODS:
            return _NOT_ALLOWED
        started = trio.current_time()
        try:
            with trio.fail_after(self._loading_seconds) as limit:
                return await self._answer(request, limit)
        except trio.TooSlowError:
            took = trio.current_time() - started
            _log.warning("%s %s took over %.3g s and was cancelled", request.method, shown_path(request.path), took)
            return _TOO_SLOW

    async def _answer(self, request: Request, limit: trio.CancelScope) -> Response:
        share = share_of(request.source)
        with self._places.hold(range_of(share), share) as place:
            if place is None:
                return _BUSY
            with place.scope:
                carry = self._carry or await self._load()
                limit.deadline = trio.current_time() + self._seconds
                return await carry(request)
        return _BUSY

    async def _load(self) -> Carry:
        """Import Hypercorn and the application: half a second, during which the API keeps answering."""
        async with self._loading:
            if self._carry is None:
                # After a timeout the import goes on in its thread, and the next request finds it done or waits for it.
                self._carry = await trio.to_thread.run_sync(self._import, abandon_on_cancel=True)
                _log.info("the dashboard was loaded for the first browser request")
            return self._carry

    def _import(self) -> Carry:
        from herod.server.hypercorn_in_memory import HypercornBridge  # imports Hypercorn, which the API does not need

        return HypercornBridge(self._make_app(), most_bytes=self._most_bytes)
