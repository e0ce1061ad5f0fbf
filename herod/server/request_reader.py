"""HTTP/1.1 for the API: bytes in, whole requests or one refusal out. Sans-IO.

It splits the input itself, heads at the blank line and bodies by length, because llhttp, given several messages at
once, calls back for all of them and cannot stop between them. Must never hold more than the limits allow, however
slowly the bytes come.

A client that keeps its connection open sends the same few heads again and again, so a few are cached by their bytes:
the meaning of a head depends on nothing else.
"""

from enum import Enum, auto
from typing import Final

from herod.protocols.http import Asked, Request
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.request_head import ChunkedBody, RequestHead, check_first_byte, parse_head
from herod.server.request_line import asked_of
from herod_client.core.errors import MalformedRequest, Misdirected, TooLarge

__all__ = ["RequestReader", "Stage"]

_BLANK_LINE: Final = b"\r\n\r\n"
_CR: Final = 0x0D
_LF: Final = 0x0A
# About 5 KiB a head and 40 KiB a connection at worst.
_KEPT_HEADS: Final = 8
_KEPT_HEAD_BYTES: Final = 1024
_KEPT_HEAD_FIELDS: Final = 16


class Stage(Enum):
    """What the reader is waiting for; each stage has its own deadline."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class RequestReader:
    """One connection's input. Feed it bytes, take requests until there are none, feed it more.

    Attributes:
        is_last: whether the connection must close after the last taken request.
        is_modern: whether that request was HTTP/1.1.
    """

    def __init__(self, source: Source, *, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._input = b""
        self._scanned = 0
        self._is_fresh = True
        self.known_heads: dict[bytes, RequestHead] = {}
        self._body_head: RequestHead | None = None
        self._body = bytearray()
        self._chunked: ChunkedBody | None = None
        self._was_chunked = False
        self._owes_continue = False
        self.is_last = False
        self.is_modern = True

    @property
    def stage(self) -> Stage:
        """What the reader is waiting for."""
        if self._body_head is not None:
            return Stage.BODY
        return Stage.HEAD if self._input or not self._is_fresh else Stage.IDLE

    @property
    def asked(self) -> Asked:
        """What is known of the request that is being read, or was refused."""
        head = self._body_head
        return asked_of(self._input) if head is None else Asked(head.method, head.path, head.headers.get("origin"))

    @property
    def has_leftover(self) -> bool:
        """Whether there are, or may be, bytes after the last taken request."""
        return self._was_chunked or bool(self._input)

    def feed(self, data: bytes) -> None:
        """Add bytes from the wire.

        Raises:
            HerodError: as in `take`.
        """
        self._owes_continue = False
        if self._body_head is None:
            self._input = self._input + data if self._input else data
        elif self._chunked is not None:
            self._chunked.feed(data)
        else:
            missing = self._body_head.length - len(self._body)
            self._body += data[:missing]
            self._input = data[missing:]

    def take_continue(self) -> bool:
        """Whether the client now waits for `100 Continue`; true at most once a request."""
        owes = self._owes_continue
        self._owes_continue = False
        return owes

    def take(self) -> Request | None:
        """Return the next whole request, or None if more bytes are needed.

        Raises:
            HerodError: the bytes are not an acceptable request; the reader must not be used again.
        """
        head = self._body_head
        if head is None:
            head = self._take_head()
            if head is None:
                return None
            available = self._input
            if head.is_chunked:
                self._chunked = ChunkedBody(self._limits)
                self._begin_body(head)
                self._chunked.feed(available)
            elif len(available) < head.length:
                self._begin_body(head)
                self._body += available
            else:
                self._input = available[head.length :]
                self.is_last = head.is_last
                self.is_modern = head.is_modern
                return self._request(head, available[: head.length])
        return self._take_body(head)

    def _take_head(self) -> RequestHead | None:
        data = self._input
        if not data:
            return None
        if data[0] == _CR and self._is_fresh:
            data = self._skip_empty_line()
            if not data:
                return None
        end = data.find(_BLANK_LINE, self._scanned)
        if end < 0:
            self._check_partial_head(data)
            self._scanned = max(0, len(data) - 3)
            return None
        end += 4
        if end > self._limits.head_bytes:
            raise TooLarge(f"The head is too large: send at most {self._limits.head_bytes} bytes.")
        raw = data[:end]
        head = self.known_heads.get(raw)
        if head is None:
            head = self._parse_head(raw)
        self._scanned = 0
        self._is_fresh = True
        self._input = data[end:]
        return head

    def _parse_head(self, raw: bytes) -> RequestHead:
        head = parse_head(raw, limits=self._limits)
        if head.is_https is not None and head.is_https is not self._source.secure:  # RFC 9110, section 7.4
            raise Misdirected("The scheme in the request target is not that of the connection.")
        end = len(raw)
        if end <= _KEPT_HEAD_BYTES and len(head.headers) <= _KEPT_HEAD_FIELDS:
            if len(self.known_heads) >= _KEPT_HEADS:
                self.known_heads.clear()
            self.known_heads[raw] = head
        return head

    def _skip_empty_line(self) -> bytes:
        """Skip one empty line before a request line (RFC 9112, section 2.2); return b"" if more bytes are needed."""
        if self._input == b"\r":
            return b""
        if self._input[1] == _LF:
            self._is_fresh = False
            self._input = self._input[2:]
        return self._input

    def _check_partial_head(self, data: bytes) -> None:
        """Refuse at once what more bytes cannot make valid, instead of waiting for the deadline."""
        if len(data) >= self._limits.head_bytes:
            raise TooLarge(f"The head is too large: send at most {self._limits.head_bytes} bytes.")
        check_first_byte(data)
        newline = data.find(b"\n", self._scanned)
        while newline >= 0:
            if data[newline - 1] != _CR:
                raise MalformedRequest("The lines of a head must end in CR LF: a bare CR or LF is not accepted.")
            newline = data.find(b"\n", newline + 1)

    def _begin_body(self, head: RequestHead) -> None:
        self._body_head = head
        self._body = bytearray()
        self._owes_continue = head.wants_continue and not self._input
        self._input = b""

    def _take_body(self, head: RequestHead) -> Request | None:
        if self._chunked is not None:
            if not self._chunked.is_done:
                return None
            body = bytes(self._chunked.data)
            self._chunked = None
            self._was_chunked = True
        else:
            if len(self._body) < head.length:
                return None
            body = bytes(self._body)
            self._body = bytearray()
        self._body_head = None
        self._owes_continue = False
        self.is_last = head.is_last
        self.is_modern = head.is_modern
        return self._request(head, body)

    def _request(self, head: RequestHead, body: bytes) -> Request:
        return Request(head.method, head.path, head.query, head.headers, body, self._source)
