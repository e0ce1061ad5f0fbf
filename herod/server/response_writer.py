"""Responses to bytes: head and body in one piece, with the headers that stand on every answer.

Sans-IO, bar the clock for Date. Must never let a value end a header line: what would is a fault of ours and
raises.
"""

import re
import time
from email.utils import formatdate
from typing import Final

import msgspec

from herod.protocols.http import SECURITY_HEADERS, STRICT_TRANSPORT, Response
from herod.server.request_head import Refusal

__all__ = ["CONTINUE", "INTERNAL", "LAST_PIECE", "OVERLOADED", "AnswerWriter", "encode_piece", "refusal_response"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_PIECE: Final = b"0\r\n\r\n"

_JSON: Final = (("Content-Type", "application/json"),)

# The only status lines that have a phrase of their own here; the phrase means nothing (RFC 9112, section 4).
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
    503: "Service Unavailable",
}
_BODILESS: Final = frozenset({204, 304})
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_OURS: Final = frozenset({"connection", "content-length", "date", "transfer-encoding"})
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
# Heads that are kept: how many, and the longest.
MAX_PREFIXES: Final = 256
MAX_PREFIX_BYTES: Final = 4096


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def refusal_response(refusal: Refusal) -> Response:
    """Answer bytes that never became a request, in the shape of the plain routes; the connection ends."""
    return Response(refusal.status, _error(refusal.code, refusal.message), _JSON, close=True)


# Says nothing of what went wrong: that is in the log.
INTERNAL: Final = Response(500, _error("internal", "herod could not answer this: its log says why"), _JSON)
OVERLOADED: Final = Response(
    503,
    _error("unavailable", "too many connections are open: try again in a second"),
    (*_JSON, ("Retry-After", "1")),
    close=True,
)


def encode_piece(piece: bytes) -> bytes:
    """A part of a streamed body (RFC 9112, section 7.1). An empty one would end it, so it becomes nothing."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


class AnswerWriter:
    """Writes answers; keeps what heads have in common."""

    def __init__(self) -> None:
        self.prefixes: dict[tuple[int, tuple[tuple[str, str], ...], bool, bool], bytes] = {}
        self._second = -1
        self._date = b""

    def encode(
        self, response: Response, *, is_head: bool, is_last: bool, is_secure: bool, is_chunked: bool = True
    ) -> bytes:
        """Write one answer, all but its `shared` rest.

        Args:
            response: what to write.
            is_head: the request was HEAD: the head tells the body's length and the body stays away.
            is_last: the connection closes after it.
            is_secure: TLS is below.
            is_chunked: a stream goes in chunks; HTTP/1.0 does not know them, and takes the connection's end for its.

        Raises:
            ValueError: a status or header that no response may carry.
        """
        key = (response.status, response.headers, is_last, is_secure)
        prefix = self.prefixes.get(key)
        if prefix is None:
            prefix = self._make_prefix(response, is_last=is_last, is_secure=is_secure)
            # A cookie is made for one browser: keeping it would only keep a secret.
            is_secret = any(name.lower() == "set-cookie" for name, _ in response.headers)
            if not is_secret and len(prefix) <= MAX_PREFIX_BYTES:
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
            raise ValueError(f"{response.status} is no final status")
        named = {name.lower() for name, _ in response.headers}
        if named & _OURS:
            raise ValueError(f"the server alone sets {', '.join(sorted(named & _OURS))}")
        standing = (*SECURITY_HEADERS, STRICT_TRANSPORT) if is_secure else SECURITY_HEADERS
        lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"]
        for name, value in (*response.headers, *(pair for pair in standing if pair[0].lower() not in named)):
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"the header {name!r} would break the answer's head")
            lines.append(f"{name}: {value}")
        if is_last:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "")).encode("latin-1")
