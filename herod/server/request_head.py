"""Parses a request's head: bytes to a checked `RequestHead`, or a refusal (RFC 9110, RFC 9112). Sans-IO.

llhttp parses strictly; this file also refuses what llhttp accepts. It must never guess where a message ends:
anything that two parsers could frame differently is refused, and a refusal ends the connection.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import httptools

from herod.server.connection_limits import Limits

__all__ = ["ChunkedBody", "Refusal", "RequestHead", "check_first_byte", "parse_head", "too_large"]

# A duplicate of these would be ambiguous, or could smuggle a credential past a check of the first.
_SINGULAR: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "expect",
        "host",
        "origin",
        "transfer-encoding",
        "x-api-key",
        "x-herod-secret",
        "x-resource-secret",
    }
)

_MALFORMED: Final = "the request is not well-formed HTTP/1.1"

# Common header names, so that they need not be decoded each time.
_NAMES: Final = {
    name.encode("ascii"): name.lower()
    for name in (
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
        "X-API-Key",
    )
    for name in (name, name.lower())
}
# Origin form only (RFC 9112, section 3.2.1), without the fragment that llhttp accepts.
_TARGET: Final = re.compile(rb"/[!-\"$-~]*")
_HOST: Final = re.compile(r"[A-Za-z0-9._~%:\[\]-]*")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


class Refusal(Exception):
    """The bytes are not an acceptable request. The connection ends after the response.

    Attributes:
        status: 400, or 413 for a request over a limit.
        code: `invalid_request` or `too_large`.
        message: public.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def too_large(message: str) -> Refusal:
    """A refusal of a request over a limit."""
    return Refusal(message, status=413, code="too_large")


class RequestHead(NamedTuple):
    """A request's head, parsed and checked.

    Attributes:
        length: the body's Content-Length; 0 if there is none or it is chunked.
        is_last: the connection must close after the response, because the client asks for it or the framing needs it.
        is_modern: HTTP/1.1, not 1.0.
        wants_continue: the client waits for `100 Continue` before it sends the body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    length: int
    is_chunked: bool
    is_last: bool
    is_modern: bool
    wants_continue: bool


class _Collector:
    """Collects the head from llhttp's callbacks (their names are from httptools)."""

    __slots__ = ("count", "headers", "heads", "target", "twice")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.count = 0
        self.twice: str | None = None
        self.heads = 0

    def on_url(self, part: bytes) -> None:
        """Add a piece of the target."""
        self.target += part

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        """Add a header."""
        self.count += 1
        name = _NAMES.get(raw_name) or raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip(" \t")
        headers = self.headers
        if name not in headers:
            headers[name] = value
        elif name in _SINGULAR:
            self.twice = name
        else:
            headers[name] += ("; " if name == "cookie" else ", ") + value

    def on_headers_complete(self) -> None:
        """Count the heads: the end of one has arrived."""
        self.heads += 1


class ChunkedBody:
    """A chunked body (RFC 9112, section 7.1), decoded by llhttp; its trailers are dropped.

    Attributes:
        data: the body so far.
        is_done: the last chunk and the trailers have arrived.
    """

    __slots__ = ("_left", "_limits", "_parser", "data", "is_done")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Chunk sizes and trailers take bytes on the wire too, but a body need not come in tiny chunks.
        self._left = 2 * limits.body_bytes
        self.data = bytearray()
        self.is_done = False
        # A separate parser: after a head with an upgrade, llhttp would treat the body as another protocol.
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed(self, data: bytes) -> None:
        """Decode bytes from the wire; those after the end are dropped.

        Raises:
            Refusal: it is malformed or too long.
        """
        if self.is_done:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_done:  # invalid bytes after the message do not matter
                raise Refusal(_MALFORMED) from error
        self._left -= len(data)
        if len(self.data) > self._limits.body_bytes or (self._left < 0 and not self.is_done):
            raise too_large(f"the body is too large: send at most {self._limits.body_bytes} bytes")

    def on_body(self, part: bytes) -> None:
        """Add a piece; llhttp calls it, even for another message after this one."""
        if not self.is_done:
            self.data += part

    def on_message_complete(self) -> None:
        """Mark the body as complete; llhttp calls it."""
        self.is_done = True


def check_first_byte(data: bytes) -> None:
    """Refuse bytes that cannot begin a method; TLS and other protocols differ in the first byte."""
    if not 0x41 <= data[0] <= 0x5A:  # A to Z
        raise Refusal(_MALFORMED)


def parse_head(data: bytes, *, limits: Limits) -> RequestHead:
    """Parse one head, including the blank line.

    Raises:
        Refusal: the head is malformed, ambiguous or over a limit.
    """
    check_first_byte(data)
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # upgrades are not supported: the request is answered as if it had not asked for one
    except httptools.HttpParserError as error:
        raise Refusal(_MALFORMED) from error
    if collector.heads != 1:
        raise Refusal(_MALFORMED)
    if collector.count > limits.headers:
        raise too_large(f"too many headers: send at most {limits.headers}")
    if collector.twice is not None:
        raise Refusal(f"duplicate header {collector.twice}: send it once")
    method = parser.get_method()
    target = collector.target
    if method == b"CONNECT" or not _TARGET.fullmatch(target):
        raise Refusal("the request target must be a path in ASCII")
    # llhttp accepts more than one space; RFC 9112, section 3, does not.
    line = b"%b %b HTTP/1." % (method, target)
    is_modern = data.startswith(b"1\r\n", len(line))
    if not data.startswith(line) or not (is_modern or data.startswith(b"0\r\n", len(line))):
        raise Refusal("the request line must be a method, a path and HTTP/1.1, separated by single spaces")
    head = _check_framing(method, target, collector.headers, is_modern=is_modern)
    if head.length > limits.body_bytes:
        raise too_large(f"the body is too large: send at most {limits.body_bytes} bytes")
    return head


def _check_framing(method: bytes, target: bytes, headers: dict[str, str], *, is_modern: bool) -> RequestHead:
    host = headers.get("host")
    if host is None:
        if is_modern:
            raise Refusal("the header Host is missing")
    elif not _HOST.fullmatch(host):
        raise Refusal("the header Host is not a valid host")
    length = headers.get("content-length")
    if length is not None and not _DIGITS.fullmatch(length):
        raise Refusal("Content-Length must be a number")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        _check_coding(coding, length, is_modern=is_modern)
    expectation = headers.get("expect")
    if expectation is not None and expectation.lower() != "100-continue":
        raise Refusal("the only supported expectation is 100-continue")
    options = headers.get("connection")
    path, _, query = target.decode("ascii").partition("?")
    return RequestHead(
        method=method.decode("ascii"),
        path=path,
        query=query,
        headers=MappingProxyType(headers),
        length=int(length) if length is not None else 0,
        is_chunked=coding is not None,
        is_last=not is_modern or coding is not None or (options is not None and _has_close(options)),
        is_modern=is_modern,
        wants_continue=is_modern and expectation is not None,
    )


def _check_coding(coding: str, length: str | None, *, is_modern: bool) -> None:
    """Refuse the framings by which requests are smuggled (RFC 9112, section 6.1)."""
    if not is_modern:
        raise Refusal("Transfer-Encoding needs HTTP/1.1")
    if length is not None:
        raise Refusal("Transfer-Encoding and Content-Length exclude each other")
    if coding.lower() != "chunked":
        raise Refusal("the only supported Transfer-Encoding is chunked")


def _has_close(options: str) -> bool:
    return "close" in [option.strip() for option in options.lower().split(",")]
