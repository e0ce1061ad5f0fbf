"""Parses a request's head: bytes to a checked `RequestHead`, or a refusal (RFC 9110, RFC 9112). Sans-IO.

llhttp parses strictly; this file also refuses what llhttp accepts. It must never guess where a message ends:
anything that two parsers could frame differently is refused, and a refusal (a `HerodError`) ends the connection.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import httptools

from herod.protocols.http import TWO_CREDENTIALS
from herod.server.connection_limits import Limits
from herod.server.request_line import RequestLine, parse_request_line
from herod_client.core.errors import InvalidRequest, MalformedRequest, NotImplementedHere, TooLarge

__all__ = ["ChunkedBody", "RequestHead", "check_first_byte", "parse_head"]

# A duplicate of these could smuggle a credential past a check of the first.
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key", "x-herod-secret"})
# A duplicate of these would be ambiguous.
_SINGULAR: Final = _CREDENTIALS | {
    "content-length",
    "content-type",
    "expect",
    "host",
    "origin",
    "transfer-encoding",
    "x-resource-secret",
}
# A message with two of these could be framed, or directed, in two ways.
_FRAMING: Final = frozenset({"content-length", "expect", "host", "transfer-encoding"})

_MALFORMED: Final = "The request is not well-formed HTTP/1.1."

_METHOD_BYTES: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

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
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~%-]*|\[[A-Za-z0-9._~%:-]+\])(?::[0-9]*)?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_CODING: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class RequestHead(NamedTuple):
    """A request's head, parsed and checked.

    Attributes:
        is_https: the scheme in the target; None if it has none.
        length: the body's Content-Length; 0 if there is none or it is chunked.
        is_last: the connection must close after the response, because the client asks for it or the framing needs it.
        is_modern: HTTP/1.1, not 1.0.
        wants_continue: the client waits for `100 Continue` before it sends the body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    is_https: bool | None
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
            MalformedRequest, TooLarge: it is malformed or too long.
        """
        if self.is_done:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_done:  # invalid bytes after the message do not matter
                raise MalformedRequest(_MALFORMED) from error
        self._left -= len(data)
        if len(self.data) > self._limits.body_bytes or (self._left < 0 and not self.is_done):
            raise TooLarge(f"The body is too large: send at most {self._limits.body_bytes} bytes.")

    def on_body(self, part: bytes) -> None:
        """Add a piece; llhttp calls it, even for another message after this one."""
        if not self.is_done:
            self.data += part

    def on_message_complete(self) -> None:
        """Mark the body as complete; llhttp calls it."""
        self.is_done = True


def check_first_byte(data: bytes) -> None:
    """Refuse bytes that cannot begin a method; TLS and other protocols differ in the first byte."""
    if data[0] not in _METHOD_BYTES:
        raise MalformedRequest(_MALFORMED)


def parse_head(data: bytes, *, limits: Limits) -> RequestHead:
    """Parse one head, including the blank line.

    Raises:
        MalformedRequest: it is malformed or ambiguous.
        InvalidRequest: a header that may occur only once is repeated.
        NotImplementedHere: its method or transfer coding is unknown.
        TooLarge: it is over a limit.
    """
    check_first_byte(data)
    line = parse_request_line(data)
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # upgrades are not supported: the request is answered as if it had not asked for one
    except httptools.HttpParserError as error:
        raise MalformedRequest(_MALFORMED) from error
    # llhttp accepts more than one space in the request line; RFC 9112, section 3, does not.
    if collector.heads != 1 or parser.get_method() != line.method or collector.target != line.target:
        raise MalformedRequest(_MALFORMED)
    if collector.count > limits.headers:
        raise TooLarge(f"The request has too many headers: send at most {limits.headers}.")
    if collector.twice is not None:
        raise _repeated(collector.twice)
    head = _check_framing(line, collector.headers)
    if head.length > limits.body_bytes:
        raise TooLarge(f"The body is too large: send at most {limits.body_bytes} bytes.")
    return head


def _repeated(name: str) -> InvalidRequest:
    message = f"The {name.title()} header is repeated: send it once."
    if name in _FRAMING:
        return MalformedRequest(message)
    return InvalidRequest(message, reason=TWO_CREDENTIALS if name in _CREDENTIALS else None)


def _check_framing(line: RequestLine, headers: dict[str, str]) -> RequestHead:
    host = headers.get("host")
    if host is None:
        if line.is_modern:
            raise MalformedRequest("The Host header is missing: send the host and port that you connect to.")
    elif not _HOST.fullmatch(host):
        raise MalformedRequest("The Host header is not a valid host and port.")
    if line.authority is not None:  # it replaces Host (RFC 9112, section 3.2.2)
        if not _HOST.fullmatch(line.authority):
            raise MalformedRequest(
                "The request target has no valid host and port: write it like http://localhost:3350/health."
            )
        headers["host"] = line.authority
    length = headers.get("content-length")
    if length is not None and not _DIGITS.fullmatch(length):
        raise MalformedRequest("The Content-Length header is not a number.")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        _check_coding(coding, length, is_modern=line.is_modern)
    expectation = headers.get("expect")
    if expectation is not None and expectation.lower() != "100-continue":
        raise MalformedRequest("The Expect header must be 100-continue.")
    options = headers.get("connection")
    return RequestHead(
        method=line.method.decode("ascii"),
        path=line.path,
        query=line.query,
        headers=MappingProxyType(headers),
        is_https=line.is_https,
        length=int(length) if length is not None else 0,
        is_chunked=coding is not None,
        is_last=not line.is_modern or coding is not None or (options is not None and _has_close(options)),
        is_modern=line.is_modern,
        wants_continue=line.is_modern and expectation is not None,
    )


def _check_coding(coding: str, length: str | None, *, is_modern: bool) -> None:
    """Refuse the framings by which requests are smuggled (RFC 9112, section 6.1)."""
    if not is_modern:
        raise MalformedRequest("The Transfer-Encoding header needs HTTP/1.1.")
    if length is not None:
        raise MalformedRequest("Transfer-Encoding and Content-Length are mutually exclusive: send only one of them.")
    *others, last = (word.strip(" \t") for word in coding.lower().split(","))
    if last != "chunked" or "chunked" in others or not all(map(_CODING.fullmatch, others)):
        raise MalformedRequest("The Transfer-Encoding header must be chunked.")
    if others:
        raise NotImplementedHere("The only supported Transfer-Encoding is chunked: send the body uncompressed.")


def _has_close(options: str) -> bool:
    return "close" in [option.strip() for option in options.lower().split(",")]
