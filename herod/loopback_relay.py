"""A loopback port for a browser whose daemon listens on a Unix socket alone: it relays pages, and nothing else.

What reaches the socket from here comes from a process of the user who ran `herod ui`, so it must bring its own
credential: the session's cookie and ticket, which `csrf.py` of the dashboard explains. A relay must never lend its
uid. So it relays the paths of pages, the headers that pages need, and a `Via`, with which the daemon believes no peer.

The daemon cannot check Host behind a relay (on a Unix socket any will do), so that is done here: a foreign Host is DNS
rebinding, a foreign Origin another page. One request a connection.

A page that is still open goes on asking at this port, with cookie and ticket, when the relay has ended and another
user's server has taken the port. So the sessions that came through here end before the port is given back.
"""

import os
import re
import signal
import socket
import struct
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

import trio

from herod.loopback_holders import TABLE, holder_of
from herod.protocols.error_codes import row_of
from herod.protocols.http import Request
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.request_reader import RequestReader
from herod_client.core.errors import HerodError

__all__ = ["Relay", "RelayRefusal", "relayed_request", "session_of"]

LIMITS: Final = Limits()
PIECE_BYTES: Final = 64 * 1024
READ_SECONDS: Final = 10
ANSWER_SECONDS: Final = 30
CONNECTIONS: Final = 64
# How many sessions are remembered, to be ended; beyond that the oldest are forgotten.
SESSIONS: Final = 64
SIGN_OUT_SECONDS: Final = 5
RELAYED: Final = frozenset({
    "accept", "accept-language", "content-type", "cookie", "host", "if-none-match", "origin",
    "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "user-agent",
    "hx-request", "hx-target", "hx-trigger", "hx-trigger-name", "hx-current-url", "hx-boosted",
})  # fmt: skip
# Cookie and ticket, as `herod.dashboard.csrf` has them; a relay is never on TLS.
_COOKIE: Final = re.compile(r"(?:^|;)[ \t]*herod_session=([0-9A-Za-z]+)")
_TICKET: Final = re.compile(r"(?:^|&)ticket=([0-9A-Za-z]+)")
_NAMES: Final = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 421: "Misdirected Request", 501: "Not Implemented", 502: "Bad Gateway"}  # fmt: skip


class RelayRefusal(Exception):
    """A request that is not relayed.

    Attributes:
        status: what the browser is told.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def relayed_request(request: Request, *, port: int) -> bytes:
    """A browser's request as the daemon gets it.

    Args:
        request: as it was read.
        port: the relay's.

    Raises:
        RelayRefusal: it may not pass.
    """
    if request.path != "/" and not f"{request.path}/".startswith("/ui/"):
        raise RelayRefusal(404, "Only pages are relayed.")
    methods = ("GET", "HEAD") if request.path == "/" else ("GET", "HEAD", "POST")  # POST / is JSON-RPC
    if request.method not in methods:
        raise RelayRefusal(405, "Pages take GET, HEAD and POST.")
    host = request.headers.get("host", "").lower()
    if host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        raise RelayRefusal(421, "This relay answers at its own address only.")
    if request.headers.get("origin", f"http://{host}").lower() != f"http://{host}":
        raise RelayRefusal(403, "A page of another origin may not use this relay.")
    target = f"{request.path}?{request.query}" if request.query else request.path
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name in RELAYED]
    lines += [f"content-length: {len(request.body)}", "Via: 1.1 herod-ui", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + request.body


def session_of(request: Request) -> tuple[str, str] | None:
    """The cookie and the ticket of a session, if a page of the relay's own sends both.

    They are ended with the relay; those that other pages make up would only push real ones out.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return None
    cookies, ticket = _COOKIE.findall(request.headers.get("cookie", "")), _TICKET.search(request.query)
    return (cookies[-1], ticket[1]) if cookies and ticket else None


class Relay:
    """Listens on a port of 127.0.0.1 from the moment it is made, for processes of the given users.

    Args:
        path: the daemon's socket.
        uids: whose browsers may come. Another user's would guess passwords in our name.
        servers: whose process may listen on the socket: another's would get passwords and sessions.

    Attributes:
        sessions: cookie and ticket of those that came through here, the one used last at the end.
    """

    def __init__(self, path: str, *, uids: frozenset[int], servers: frozenset[int]) -> None:
        self._path = path
        self._servers = servers
        self._uids = uids
        self._socket = trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._socket.getsockname()[1]
        self._places = trio.CapacityLimiter(CONNECTIONS)
        self.sessions: dict[tuple[str, str], None] = {}

    def close(self) -> None:
        """Give the port back, where the relay has never served."""
        self._socket.close()

    async def serve(self) -> None:
        """Pass requests on until cancelled, or told to end; then end the sessions, and only then leave the port."""
        with self._socket.dup():  # trio closes the other
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
                    await trio.serve_listeners(self._handle, [trio.SocketListener(self._socket)])
            finally:
                with trio.move_on_after(SIGN_OUT_SECONDS, shield=True):
                    for cookie, ticket in reversed(self.sessions):
                        await self._sign_out(cookie, ticket)

    async def _sign_out(self, cookie: str, ticket: str) -> None:
        body = urlencode({"ticket": ticket}).encode()
        here = f"127.0.0.1:{self.port}"
        head = (
            f"POST /ui/sign-out HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\nCookie: herod_session={cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
            "Via: 1.1 herod-ui\r\nConnection: close\r\n\r\n"
        )
        with suppress(RelayRefusal, OSError, trio.BrokenResourceError):  # a daemon that is gone ends nothing
            async with await self.open_daemon() as daemon:
                await daemon.send_all(head.encode() + body)
                async for _ in daemon:
                    pass

    async def _handle(self, browser: trio.SocketStream) -> None:
        async with browser, self._places:
            with suppress(trio.BrokenResourceError, trio.TooSlowError):
                try:
                    await self._check_holder(browser)
                    with trio.fail_after(READ_SECONDS):
                        request = await self.read(browser)
                    if request is None:
                        return
                    with trio.fail_after(ANSWER_SECONDS):
                        await self._pass(request, browser)
                except RelayRefusal as error:
                    await browser.send_all(_answer(error))

    async def _check_holder(self, browser: trio.SocketStream) -> None:
        _, port = browser.socket.getpeername()
        table = await trio.to_thread.run_sync(TABLE.read_text)
        if holder_of(table, port=port, own_port=self.port) not in self._uids:
            raise RelayRefusal(403, "This relay is for the user who started it.")

    async def read(self, browser: trio.abc.Stream) -> bytes | None:
        """The request as the daemon gets it; None when the browser leaves without one."""
        reader = RequestReader(Source(), limits=LIMITS)
        try:
            while (request := reader.take()) is None:
                if reader.take_continue():
                    await browser.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                piece = await browser.receive_some(PIECE_BYTES)
                if not piece:
                    return None
                reader.feed(bytes(piece))
        except HerodError as error:
            raise RelayRefusal(row_of(error).http, error.message) from error
        if not reader.is_modern:  # the daemon's answer may be chunked
            raise RelayRefusal(400, "Send HTTP/1.1.")
        relayed = relayed_request(request, port=self.port)
        self._remember(request)  # only of what may pass: refused requests would push real sessions out
        return relayed

    def _remember(self, request: Request) -> None:
        session = session_of(request)
        if session is not None:
            self.sessions.pop(session, None)
            self.sessions[session] = None
            if len(self.sessions) > SESSIONS:
                del self.sessions[next(iter(self.sessions))]

    async def open_daemon(self) -> trio.SocketStream:
        """Connect to the daemon, and to nobody else."""
        try:
            daemon = await trio.open_unix_socket(self._path)
        except OSError as error:
            raise RelayRefusal(502, f"The daemon does not answer: {os.strerror(error.errno or 0)}.") from error
        _, uid, _ = struct.unpack("iII", daemon.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in self._servers:
            await trio.aclose_forcefully(daemon)
            raise RelayRefusal(502, f"A process of uid {uid} listens in the daemon's place.")
        return daemon

    async def _pass(self, request: bytes, browser: trio.SocketStream) -> None:
        async with await self.open_daemon() as daemon:
            await daemon.send_all(request)
            async for piece in daemon:
                await browser.send_all(piece)


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    """A terminal that is closed says SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def _answer(error: RelayRefusal) -> bytes:
    body = f"{error}\n".encode()
    head = (
        f"HTTP/1.1 {error.status} {_NAMES[error.status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nPragma: no-cache\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
