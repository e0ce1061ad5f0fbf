"""Encodes responses: head and body in one piece, with the headers that every response has.

Sans-IO, except for the clock for Date. Must never let a value end a header line: such a value is a bug and raises.
"""

import re
import time
from email.utils import formatdate
from typing import Final

from herod.protocols.http import SECURITY_HEADERS, STRICT_TRANSPORT, Response

__all__ = ["CONTINUE", "LAST_PIECE", "AnswerWriter", "encode_piece"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_PIECE: Final = b"0\r\n\r\n"

# Other statuses are sent without a phrase; clients ignore it (RFC 9112, section 4).
_PHRASES: Final = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    303: "See Other",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_BODILESS: Final = frozenset({204, 304})
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_OURS: Final = frozenset({"connection", "content-length", "date", "transfer-encoding"})
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
# Headers for one browser: caching a cookie would only retain a secret, and anybody can name an Origin of their own.
_OF_ONE_CLIENT: Final = frozenset({"set-cookie", "access-control-allow-origin"})
# The cache of heads: entries, and the longest.
MAX_PREFIXES: Final = 256
MAX_PREFIX_BYTES: Final = 4096


def encode_piece(piece: bytes) -> bytes:
    """Encode a chunk of a streamed body (RFC 9112, section 7.1). An empty one would end the body, so it is omitted."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


class AnswerWriter:
    """Encodes responses; caches the common parts of heads."""

    def __init__(self) -> None:
        self.prefixes: dict[tuple[int, tuple[tuple[str, str], ...], bool, bool], bytes] = {}
        self._second = -1
        self._date = b""

    def encode(
        self, response: Response, *, is_head: bool, is_last: bool, is_secure: bool, is_chunked: bool = True
    ) -> bytes:
        """Encode one response, except for its `shared` part.

        Args:
            response: what to encode.
            is_head: the request was HEAD: the head has the body's length and the body is omitted.
            is_last: the connection closes after it.
            is_secure: the connection uses TLS.
            is_chunked: a stream is sent in chunks; HTTP/1.0 has none, so the connection's end is the stream's.

        Raises:
            ValueError: a status or header that no response may have.
        """
        key = (response.status, response.headers, is_last, is_secure)
        prefix = self.prefixes.get(key)
        if prefix is None:
            prefix = self._make_prefix(response, is_last=is_last, is_secure=is_secure)
            is_single = any(name.lower() in _OF_ONE_CLIENT and value != "*" for name, value in response.headers)
            if not is_single and len(prefix) <= MAX_PREFIX_BYTES:
                if len(self.prefixes) >= MAX_PREFIXES:
                    self.prefixes.clear()
                self.prefixes[key] = prefix
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
        if response.status in _BODILESS:
            return b"%b%b\r\n" % (prefix, self._date)
        if response.stream is not None:  # its pieces follow, by `encode_piece`
            return b"%b%b%b\r\n" % (prefix, self._date, _CHUNKED if is_chunked else b"")
        body, length = response.body, len(response.body) + len(response.shared)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (prefix, self._date, length, b"" if is_head else body)

    def _make_prefix(self, response: Response, *, is_last: bool, is_secure: bool) -> bytes:
        if not 200 <= response.status <= 599:
            raise ValueError(f"{response.status} is not a final status")
        named = {name.lower() for name, _ in response.headers}
        if named & _OURS:
            raise ValueError(f"only the server may set {', '.join(sorted(named & _OURS))}")
        standing = (*SECURITY_HEADERS, STRICT_TRANSPORT) if is_secure else SECURITY_HEADERS
        lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"]
        for name, value in (*response.headers, *(pair for pair in standing if pair[0].lower() not in named)):
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"the header {name!r} would break the response's head")
            lines.append(f"{name}: {value}")
        if is_last:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "")).encode("latin-1")
