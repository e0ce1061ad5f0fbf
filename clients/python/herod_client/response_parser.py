"""Reads one HTTP/1.1 response from bytes (RFC 9112), strictly and without I/O.

Whatever two readers could understand differently is refused: both Content-Length and Transfer-Encoding, several
lengths, folded or malformed header lines, line ends other than CRLF. Sizes are bounded, except that of the body, which
is passed on piece by piece.
"""

import re
from collections.abc import Callable
from typing import Final

__all__ = ["MAX_FIELDS", "MAX_HEAD", "NotHttp", "ResponseParser", "Truncated"]

MAX_HEAD: Final = 65_536  # bytes of the head, 1xx responses before it included; and of the trailers
MAX_FIELDS: Final = 100
MAX_CHUNK_LINE: Final = 256
BEGINNING: Final = b"HTTP/1."

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_MEDIA_TYPE: Final = re.compile(r"[^\s/;]+/[^\s/;]+")


class NotHttp(ValueError):
    """The bytes are not an HTTP/1.1 response, or one that readers could understand differently."""


class Truncated(ValueError):
    """The connection ended before the response was complete."""


class ResponseParser:
    """One response.

    Args:
        is_head: it answers a HEAD request, and so has no body.

    Attributes:
        status: 0 until the head is complete.
        fields: the header fields by name in lower case; the last one of a name, except for those that frame the body,
            which are refused if there are two.
        is_complete: the response has ended.
        keeps_alive: it is complete, and another request may follow on the connection.
    """

    def __init__(self, *, is_head: bool = False) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.is_complete = False
        self._is_head = is_head
        self._is_persistent = False
        self._buffer = bytearray()
        self._searched = 0
        self._head_room = MAX_HEAD
        self._left = 0  # bytes of the body or of the chunk
        self._step: Callable[[bytearray], bool] = self._read_head

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow: not after surplus bytes, which belong to no request."""
        return self.is_complete and self._is_persistent and not self._buffer

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; `text/plain` if there is none (RFC 2045, section 5.2)."""
        found = self.fields.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        return found if _MEDIA_TYPE.fullmatch(found) else "text/plain"

    def feed(self, data: bytes) -> bytes:
        """Take the bytes that were received, and return what they hold of the body.

        Raises:
            NotHttp: it is none, or a bound is passed.
        """
        self._buffer += data
        body = bytearray()
        while not self.is_complete:
            if not self._step(body):
                break
        return bytes(body)

    def end(self) -> None:
        """The connection has ended.

        Raises:
            Truncated: the response is incomplete.
        """
        if self._step == self._read_until_end:
            self.is_complete = True
        if not self.is_complete:
            raise Truncated

    # Each step returns whether the next one can go on with what is there.

    def _read_head(self, _body: bytearray) -> bool:
        if not BEGINNING.startswith(self._buffer[: len(BEGINNING)]):
            raise NotHttp("it does not begin with HTTP/1.")
        head = self._take_lines()
        if head is None:
            return False
        lines = head.split(b"\r\n")
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None:
            raise NotHttp("the status line is malformed")
        fields = _read_fields(lines[1:])
        status = int(found[2])
        if status == 101:
            raise NotHttp("it changes the protocol, which nobody asked for")
        if status < 200:
            return True  # the response itself follows
        self.status, self.fields = status, fields
        self._begin_body(is_latest=found[1] == b"1")
        return True

    def _begin_body(self, *, is_latest: bool) -> None:
        """Find out how the body ends (RFC 9112, section 6.3), and what the connection does then (section 9.3)."""
        options = {option.strip().lower() for option in self.fields.get(b"connection", b"").split(b",")}
        self._is_persistent = b"close" not in options and (is_latest or b"keep-alive" in options)
        length, coding = self.fields.get(b"content-length"), self.fields.get(b"transfer-encoding")
        if length is not None and _LENGTH.fullmatch(length) is None:
            raise NotHttp("the Content-Length is no number")
        if coding is not None and (length is not None or not is_latest or coding.lower() != b"chunked"):
            raise NotHttp("the Transfer-Encoding is unknown, or not alone")
        if self._is_head or self.status in {204, 304}:
            self.is_complete = True
        elif coding is not None:
            self._step = self._read_chunk_line
        elif length is not None:
            self._left = int(length)
            self._step = self._read_length
            self.is_complete = not self._left
        else:
            self._is_persistent = False
            self._step = self._read_until_end

    def _read_length(self, body: bytearray) -> bool:
        self._pass_on(body)
        self.is_complete = not self._left
        return False

    def _read_until_end(self, body: bytearray) -> bool:
        body += self._buffer
        self._buffer.clear()
        return False

    def _read_chunk_line(self, _body: bytearray) -> bool:
        end = self._buffer.find(b"\r\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(self._buffer) >= MAX_CHUNK_LINE:
                raise NotHttp("the line of a chunk is too long")
            return False
        found = _CHUNK.fullmatch(self._buffer, 0, end)
        if found is None:
            raise NotHttp("the size of a chunk is malformed")
        self._left = int(found[1], 16)
        del found, self._buffer[: end + 2]
        self._head_room = MAX_HEAD
        self._step = self._read_chunk if self._left else self._read_trailers
        return True

    def _read_chunk(self, body: bytearray) -> bool:
        self._pass_on(body)
        if self._left or len(self._buffer) < 2:
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise NotHttp("a chunk is longer than its size")
        del self._buffer[:2]
        self._step = self._read_chunk_line
        return True

    def _read_trailers(self, _body: bytearray) -> bool:
        if self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
            self.is_complete = True
            return False
        if len(self._buffer) < 2:
            return False
        trailers = self._take_lines()
        if trailers is None:
            return False
        _read_fields(trailers.split(b"\r\n"))
        self.is_complete = True
        return False

    def _pass_on(self, body: bytearray) -> None:
        piece = self._buffer[: self._left]
        del self._buffer[: self._left]
        self._left -= len(piece)
        body += piece

    def _take_lines(self) -> bytes | None:
        """Take the lines before the next empty one; None if that has not come yet."""
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > self._head_room:
            raise NotHttp("the head is too large")
        if end < 0:
            self._searched = max(len(self._buffer) - 3, 0)
            return None
        lines = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._searched = 0
        self._head_room -= end + 4
        return lines


def _read_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    if len(lines) > MAX_FIELDS:
        raise NotHttp("there are too many header fields")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise NotHttp("a header field is malformed")
        name, value = found[1].lower(), found[2].rstrip(b" \t")
        if name in fields and name in {b"content-length", b"transfer-encoding"}:
            raise NotHttp("the length of the body is given twice")
        if name in fields and name == b"connection":
            value = fields[name] + b"," + value
        fields[name] = value
    return fields
