"""A way for a browser to a daemon that is on a Unix socket alone: a loopback port that passes pages on, and no more.

What reaches the socket from here comes from a process of the user who ran `herod ui`, so it must bring its own
credential: the session's cookie and ticket, which `csrf.py` of the dashboard explains. A relay must never lend its
uid. So it passes the paths of pages, the headers that pages need, and a `Via`, with which the daemon believes no peer.

The daemon cannot check Host behind a relay (on a Unix socket any will do), so that is done here: a foreign Host is DNS
rebinding, a foreign Origin another page. One request a connection.

A page that is still open goes on asking at this port, with cookie and ticket, when the relay is gone and another user's
server has taken the port. So the sessions that came through here end before the port is given back.
"""

import os
import re
import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import trio

__all__ = ["Passed", "Relay", "RelayRefusal", "holder_of", "parse_head"]

HEAD_BYTES: Final = 16 * 1024
BODY_BYTES: Final = 64 * 1024
PIECE_BYTES: Final = 64 * 1024
READ_SECONDS: Final = 10
ANSWER_SECONDS: Final = 30
CONNECTIONS: Final = 64
# How many sessions are remembered, to be ended; who signs in more often leaves the oldest.
SESSIONS: Final = 64
SIGN_OUT_SECONDS: Final = 5
PASSED: Final = frozenset({
    "accept", "accept-language", "content-length", "content-type", "cookie", "host", "if-none-match", "origin",
    "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "user-agent",
    "hx-request", "hx-target", "hx-trigger", "hx-trigger-name", "hx-current-url", "hx-boosted",
})  # fmt: skip
_LINE: Final = re.compile(r"(?P<method>[A-Z]{1,16}) (?P<target>/[!-~]*) HTTP/1\.1")
_FIELD: Final = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
# Cookie and ticket, as `herod.dashboard.csrf` has them; a relay is never on TLS.
_COOKIE: Final = re.compile(r"(?:^|;)[ \t]*herod_session=([0-9A-Za-z]+)")
_TICKET: Final = re.compile(r"[?&]ticket=([0-9A-Za-z]+)")
_NAMES: Final = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 421: "Misdirected Request", 502: "Bad Gateway"}  # fmt: skip


class RelayRefusal(Exception):
    """A request that is not passed on.

    Attributes:
        status: what the browser is told.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that is.

    Attributes:
        head: as the daemon gets it.
        length: of the body behind it.
        session: the cookie and the ticket it brings, if a page of the relay's own brings both in its address.
    """

    head: bytes
    length: int
    session: tuple[str, str] | None = None


def parse_head(head: bytes, *, port: int) -> Passed:
    """Read a request's head, strictly, and write what may pass of it.

    Args:
        head: all before the blank line.
        port: the relay's.

    Raises:
        RelayRefusal: it may not pass.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise RelayRefusal(400, "This is no request for a page.")
    method, target = line["method"], line["target"]
    _check_page(method, target.partition("?")[0])
    fields = dict(_fields(lines))
    host = fields.get("host", "").lower()
    if host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        raise RelayRefusal(421, "This relay is for its own address alone.")
    if fields.get("origin", f"http://{host}").lower() != f"http://{host}":
        raise RelayRefusal(403, "Another page may not ask through this relay.")
    if "transfer-encoding" in fields:
        raise RelayRefusal(400, "Forms have a length.")
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 9):
        raise RelayRefusal(400, "The length is no number.")
    if int(length) > BODY_BYTES:
        raise RelayRefusal(413, f"A form has at most {BODY_BYTES} bytes.")
    kept = [f"{name}: {value}" for name, value in fields.items() if name in PASSED]
    text = "\r\n".join((first, *kept, "Via: 1.1 herod-ui", "Connection: close", "", ""))
    return Passed(text.encode("latin-1"), int(length), _session(target, fields))


def _session(target: str, fields: Mapping[str, str]) -> tuple[str, str] | None:
    """What is to be ended with the relay; what other pages make up would only push that out."""
    if fields.get("sec-fetch-site", "same-origin") != "same-origin":
        return None
    cookies, ticket = _COOKIE.findall(fields.get("cookie", "")), _TICKET.search(target)
    return (cookies[-1], ticket[1]) if cookies and ticket else None


def _check_page(method: str, path: str) -> None:
    if path != "/" and not f"{path}/".startswith("/ui/"):
        raise RelayRefusal(404, "Only pages pass here.")
    if method not in (("GET", "HEAD") if path == "/" else ("GET", "HEAD", "POST")):  # POST / is JSON-RPC
        raise RelayRefusal(405, "Pages take GET, HEAD and POST.")


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise RelayRefusal(400, "A header cannot be read.")
        name = field["name"].lower()
        if name in seen:  # browsers send none twice, and two readers may choose differently
            raise RelayRefusal(400, "A header stands twice.")
        seen.add(name)
        yield name, field["value"]


def holder_of(table: str, *, port: int, relay_port: int) -> int | None:
    """The uid that holds the other end of a connection to the relay, by the kernel's table; None when it is not there.

    Args:
        table: what stands in /proc/net/tcp (proc_pid_net(5)).
        port: of the other end.
        relay_port: of ours.
    """
    (loopback,) = struct.unpack("=I", socket.inet_aton("127.0.0.1"))
    wanted = [f"{loopback:08X}:{port:04X}", f"{loopback:08X}:{relay_port:04X}"]
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and columns[1:3] == wanted and columns[7].isdigit():
            return int(columns[7])
    return None


class Relay:
    """Listens on a port of 127.0.0.1 from the moment it is made, for processes of the given users.

    Args:
        path: the daemon's socket.
        uids: whose browsers may come. Another user's would guess passwords in our name.
    """

    def __init__(self, path: str, *, uids: frozenset[int]) -> None:
        self._path = path
        self._uids = uids
        self._socket = trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._socket.getsockname()[1]
        self._places = trio.CapacityLimiter(CONNECTIONS)
        self._sessions: dict[tuple[str, str], None] = {}  # the one used last stands last

    async def serve(self) -> None:
        """Pass requests on until cancelled, or told to end; then end the sessions, and only then leave the port."""
        with self._socket.dup():  # trio closes the other
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
                    await trio.serve_listeners(self._handle, [trio.SocketListener(self._socket)])
            finally:
                with trio.move_on_after(SIGN_OUT_SECONDS, shield=True):
                    for cookie, ticket in reversed(self._sessions):
                        await self._sign_out(cookie, ticket)

    async def _sign_out(self, cookie: str, ticket: str) -> None:
        body = urlencode({"ticket": ticket}).encode()
        here = f"127.0.0.1:{self.port}"
        head = (
            f"POST /ui/sign-out HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\nCookie: herod_session={cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
            "Via: 1.1 herod-ui\r\nConnection: close\r\n\r\n"
        )
        with suppress(OSError, trio.BrokenResourceError):  # a daemon that is gone ends nothing
            async with await trio.open_unix_socket(self._path) as daemon:
                await daemon.send_all(head.encode() + body)
                async for _ in daemon:
                    pass

    async def _handle(self, browser: trio.SocketStream) -> None:
        async with browser, self._places:
            with suppress(trio.BrokenResourceError, trio.TooSlowError):
                try:
                    await self._check_holder(browser)
                    with trio.fail_after(READ_SECONDS):
                        request = await self._read(browser)
                    if request is None:
                        return
                    with trio.fail_after(ANSWER_SECONDS):
                        await self._pass(request, browser)
                except RelayRefusal as error:
                    await browser.send_all(_answer(error))

    async def _check_holder(self, browser: trio.SocketStream) -> None:
        _, port = browser.socket.getpeername()
        table = await trio.to_thread.run_sync(Path("/proc/net/tcp").read_text)
        if holder_of(table, port=port, relay_port=self.port) not in self._uids:
            raise RelayRefusal(403, "This relay is for the user who started it.")

    async def _read(self, browser: trio.SocketStream) -> bytes | None:
        """The request as the daemon gets it; None when the browser leaves without one."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await browser.receive_some(PIECE_BYTES)
            data += piece
            if not piece:
                return None
            if len(data) > HEAD_BYTES + BODY_BYTES:
                raise RelayRefusal(413, "The request is too long.")
        head, _, body = data.partition(b"\r\n\r\n")
        if len(head) > HEAD_BYTES:
            raise RelayRefusal(413, "The request is too long.")
        passed = parse_head(head, port=self.port)
        if passed.session is not None:
            self._sessions.pop(passed.session, None)
            self._sessions[passed.session] = None
            if len(self._sessions) > SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        while len(body) < passed.length:
            piece = await browser.receive_some(PIECE_BYTES)
            if not piece:
                return None
            body += piece
        return passed.head + body[: passed.length]

    async def _pass(self, request: bytes, browser: trio.SocketStream) -> None:
        try:
            daemon = await trio.open_unix_socket(self._path)
        except OSError as error:
            raise RelayRefusal(502, f"The daemon does not answer: {os.strerror(error.errno or 0)}.") from error
        async with daemon:
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
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
