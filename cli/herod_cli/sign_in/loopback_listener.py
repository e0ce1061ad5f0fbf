"""Waits on a port of 127.0.0.1 for the one redirect that ends a sign-in in a browser (RFC 8252, section 7.3).

    GET /start                              leads this user's browser on to herod
    GET /callback?state=<the very one>&…    ends the wait; the browser is answered once it is known what came of it
    everything else                         a short refusal; the wait goes on, so nobody else can end it

Any user of the machine can connect, and browsers open connections that they never use: so several are read at once,
each with a deadline and a limit in bytes. Another user who knew the `state` and the code challenge could get a code for
them as themselves, and have it brought here: the command would go on in their account. They can read the arguments of
the browser. So these have the start alone, which leads on only a process of this user's; the redirect too counts only
from such a process, and from a browser only if a window of its own goes there. Must never write the query, which has
the code, anywhere.
"""

import contextlib
import hmac
import html
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qsl

from herod.loopback_holders import TABLE, holder_of
from herod_cli.exit_codes import FailureError

__all__ = ["CALLBACK_PATH", "Callback", "LoopbackListener"]

HOST: Final = "127.0.0.1"
CALLBACK_PATH: Final = "/callback"
START_PATH: Final = "/start"
# Of a request's head.
MAX_HEAD_BYTES: Final = 16 * 1024
# For a request to arrive whole, and for the answer to be taken.
REQUEST_SECONDS: Final = 10.0
# Whose processes may pass on what a browser of any user sends: relays between machines, and other user namespaces.
RELAYING_UIDS: Final = frozenset({0, 65534})
ESTABLISHED: Final = 1  # <net/tcp_states.h>
# What browsers say of a window that a person sees go on (Fetch Metadata, section 2): no script's or frame's request.
NAVIGATION: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
# More than a browser opens; the oldest one is closed.
MAX_CONNECTIONS: Final = 32
LEAD_ON: Final = ("303 See Other", "Sign in", "Herod's page opens.")
PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width"><title>herod: {title}</title><h1>{title}</h1><p>{text}</p>\n'
)


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    deadline: float
    received: bytearray = field(default_factory=bytearray, repr=False)


@dataclass(slots=True)
class Callback:
    """The redirect that was waited for: its parameters, and the browser that waits for an answer."""

    parameters: dict[str, str] = field(repr=False)
    _sock: socket.socket = field(repr=False)

    def answer(self, title: str, text: str) -> None:
        """Show a page and close the connection; a browser that has gone does not matter."""
        _answer(self._sock, "200 OK", title, text)


class LoopbackListener:
    """A port of 127.0.0.1 that the kernel chooses, from now until the end of the block.

    Args:
        uids: whose browsers may bring the redirect.

    Attributes:
        leads_to: where the start leads this user's browser; empty for nowhere.

    Raises:
        FailureError: there is none.
    """

    def __init__(self, uids: frozenset[int]) -> None:
        self._uids = uids | RELAYING_UIDS
        try:
            self._listener = socket.create_server((HOST, 0), backlog=MAX_CONNECTIONS)
        except OSError as error:
            raise FailureError(
                f"The browser's answer cannot be waited for on {HOST}: {error.strerror}.",
                hint="`herod login --device` needs no port",
            ) from error
        self._listener.settimeout(0)
        self.port: int = self._listener.getsockname()[1]
        self.leads_to = ""
        self._open: list[_Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._open:
            connection.sock.close()

    @property
    def redirect_uri(self) -> str:
        """Where the browser is sent."""
        return f"http://{HOST}:{self.port}{CALLBACK_PATH}"

    @property
    def start_uri(self) -> str:
        """What the browser opens: it says nothing about the sign-in."""
        return f"http://{HOST}:{self.port}{START_PATH}"

    def wait(self, state: str, deadline: float) -> Callback | None:
        """Wait for the redirect with this `state`; None if it has not come by `deadline` (of `time.monotonic`)."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            while (now := time.monotonic()) < deadline:
                for late in [one for one in self._open if one.deadline <= now]:
                    self._close(ready, late)
                soonest = min([deadline, *(one.deadline for one in self._open)])
                for key, _ in ready.select(max(soonest - now, 0)):
                    if key.data is None:
                        self._accept(ready)
                        continue
                    found = self._read(ready, key.data, state)
                    if found is not None:
                        return found
        return None

    def _accept(self, ready: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):  # it has gone already
            sock, _ = self._listener.accept()
            sock.settimeout(0)
            if len(self._open) >= MAX_CONNECTIONS:
                self._close(ready, self._open[0])
            connection = _Connection(sock, time.monotonic() + REQUEST_SECONDS)
            self._open.append(connection)
            ready.register(sock, selectors.EVENT_READ, connection)

    def _close(self, ready: selectors.BaseSelector, connection: _Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            ready.unregister(connection.sock)
            connection.sock.close()

    def _read(self, ready: selectors.BaseSelector, connection: _Connection, state: str) -> Callback | None:
        if connection not in self._open:  # closed for a newer one, in this very round
            return None
        try:
            part = connection.sock.recv(MAX_HEAD_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            part = b""
        connection.received += part
        if part and b"\r\n\r\n" not in connection.received and len(connection.received) <= MAX_HEAD_BYTES:
            return None
        parameters = self._parse(bytes(connection.received), state) if part else None
        is_good = isinstance(parameters, dict) or parameters == LEAD_ON
        if is_good and not self._is_ours(connection.sock):
            parameters = "403 Forbidden", "Not your sign-in", "Another user of this machine waits for this answer."
        if isinstance(parameters, dict):
            self._open.remove(connection)
            ready.unregister(connection.sock)
            return Callback(parameters, connection.sock)
        if parameters is not None:
            _answer(connection.sock, *parameters, location=self.leads_to if parameters == LEAD_ON else "")
        self._close(ready, connection)
        return None

    def _is_ours(self, sock: socket.socket) -> bool:
        """Whether a process of this user's is at the other end, as far as the kernel tells.

        It names nobody for a connection from another machine, as some relays make it seem, which counts. Nor does it
        for one that was closed, which does not: a browser waits for the answer.
        """
        try:
            _, port = sock.getpeername()
            holder = holder_of(TABLE.read_text(), port=port, own_port=self.port)
            is_open = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
        except OSError:
            return False
        return is_open and (holder is None or holder in self._uids)

    def _parse(self, received: bytes, state: str) -> dict[str, str] | tuple[str, str, str]:
        """The parameters of the redirect that is waited for; else how to refuse: status, title and text."""
        head, is_whole, _ = received.partition(b"\r\n\r\n")
        if not is_whole:
            return "431 Request Header Fields Too Large", "Too long", "Nothing happened."
        request, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = request.partition(" ")
        target, _, version = rest.partition(" ")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        hosts = [value for name, value in fields if name == "host"]
        path, _, query = target.partition("?")
        is_start = path == START_PATH and not query and bool(self.leads_to)
        if method != "GET" or not version.startswith("HTTP/1.") or not (path == CALLBACK_PATH or is_start):
            return "404 Not Found", "Nothing here", "This address is only for the answer to a sign-in."
        if hosts != [f"{HOST}:{self.port}"]:  # a page elsewhere whose name leads here (DNS rebinding)
            return "421 Misdirected Request", "Nothing here", "This address is only for the answer to a sign-in."
        if any(value != NAVIGATION[name] for name, value in fields if name in NAVIGATION):
            return "403 Forbidden", "Not your sign-in", "Only a browser's own window brings this answer."
        if is_start:
            return LEAD_ON
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20, errors="strict")
        except ValueError:
            pairs = []
        parameters = dict(pairs)
        if len(parameters) != len(pairs) or not hmac.compare_digest(
            parameters.get("state", "").encode(), state.encode()
        ):
            return "400 Bad Request", "Not this sign-in", "This answer is not to the command that waits here now."
        return parameters


def _answer(sock: socket.socket, status: str, title: str, text: str, *, location: str = "") -> None:
    body = PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; base-uri 'none'; frame-ancestors 'none'\r\n"
        + (f"Location: {location}\r\n\r\n" if location else "\r\n")
    ).encode()
    with contextlib.suppress(OSError), sock:
        sock.settimeout(REQUEST_SECONDS)
        sock.sendall(head + body)
        sock.shutdown(socket.SHUT_WR)
