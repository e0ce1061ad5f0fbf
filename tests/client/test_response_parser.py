"""The HTTP/1.1 response parser: the same as http.client and httptools on good input, and a refusal of hostile bytes."""

import http.client
import io
from dataclasses import dataclass, field
from itertools import pairwise

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herod_client.response_parser import MAX_FIELDS, MAX_HEAD, NotHttp, ResponseParser, Truncated
from support.soak_rounds import count

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 2\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


def read(*pieces: bytes, is_head: bool = False) -> tuple[ResponseParser, bytes]:
    """Feed the pieces, then the end of the connection."""
    parser = ResponseParser(is_head=is_head)
    body = b"".join(parser.feed(piece) for piece in pieces)
    if not parser.is_complete:
        parser.end()
    return parser, body


GOOD = {
    "a length": (LENGTH + b"\r\n{}", 200, b"{}", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n", 200, b"{}", True),
    "chunks in capitals": (OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n", 200, b"", True),
    "trailers": (CHUNKED + b"\r\n0\r\nX: y\r\nZ: a\r\n\r\n", 200, b"", True),
    "until the end": (OK + b"\r\n{}", 200, b"{}", False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with the length of what it spares": (b"HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH + b"\r\n{}", 200, b"{}", True),
    "103 with fields": (b"HTTP/1.1 103 Early\r\nContent-Length: 7\r\n\r\n" + LENGTH + b"\r\n{}", 200, b"{}", True),
    "close": (LENGTH + b"Connection: x, Close\r\n\r\n{}", 200, b"{}", False),
    "close in one of two fields": (LENGTH + b"Connection: close\r\nConnection: x\r\n\r\n{}", 200, b"{}", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "HTTP/1.0 kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "surplus": (LENGTH + b"\r\n{}HTTP/1.1 200 OK\r\n", 200, b"{}", False),
}


@pytest.mark.parametrize(("data", "status", "body", "is_kept"), GOOD.values(), ids=GOOD)
def test_good_responses(data: bytes, status: int, body: bytes, is_kept: bool) -> None:
    """Each is read alike in one piece and byte by byte."""
    whole, found = read(data)
    assert (whole.status, found, whole.keeps_alive) == (status, body, is_kept)
    single, found = read(*(bytes((byte,)) for byte in data.removesuffix(OK)))
    assert (single.status, found) == (status, body)


def test_an_answer_to_head_has_no_body() -> None:
    """Its length is that of the body that GET would get."""
    parser, body = read(LENGTH + b"\r\n", is_head=True)
    assert (parser.is_complete, parser.keeps_alive, body) == (True, True, b"")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Content-Type: Application/JSON; charset=utf-8", "application/json"),
        (b"Content-Type: nothing", "text/plain"),
        (b"X: y", "text/plain"),
    ],
)
def test_media_type(field: bytes, expected: str) -> None:
    """The media type is in lower case, without parameters."""
    assert read(LENGTH + field + b"\r\n\r\n{}")[0].content_type == expected


HOSTILE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 yes\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "length and chunks": LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": LENGTH + b"Content-Length: 2\r\n\r\n{}",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "length with a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "length with an underscore": OK + b"Content-Length: 1_0\r\n\r\n{}",
    "no length": OK + b"Content-Length:\r\n\r\n{}",
    "huge length": OK + b"Content-Length: 1" + b"0" * 15 + b"\r\n\r\n",
    "gzip": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n",
    "folded": LENGTH + b"X: y\r\n z\r\n\r\n{}",
    "folded at once": OK + b" X: y\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "no name": OK + b": y\r\n\r\n",
    "no colon": OK + b"X\r\n\r\n",
    "NUL": OK + b"X: \0\r\n\r\n",
    "lone CR": OK + b"X: a\rb\r\n\r\n",
    "lone LF": OK + b"X: a\nContent-Length: 2\r\n\r\n{}",
    "bad size of a chunk": CHUNKED + b"\r\nx\r\n",
    "size of a chunk with 0x": CHUNKED + b"\r\n0x1\r\n{\r\n0\r\n\r\n",
    "huge chunk": CHUNKED + b"\r\n1" + b"0" * 8 + b"\r\n",
    "long line of a chunk": CHUNKED + b"\r\n1;" + b"x" * 300,
    "chunk longer than its size": CHUNKED + b"\r\n1\r\n{}\r\n0\r\n\r\n",
    "bad trailer": CHUNKED + b"\r\n0\r\nX\r\n\r\n",
    "endless trailers": CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * MAX_HEAD,
    "many fields": OK + b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n",
    "endless head": OK + b"X: " + b"y" * MAX_HEAD,
    "endless informational responses": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_responses(data: bytes) -> None:
    """Each is refused, and before the connection ends."""
    with pytest.raises(NotHttp):
        ResponseParser().feed(data)


@pytest.mark.parametrize("data", [b"", b"HTT", OK, LENGTH + b"\r\n{", CHUNKED + b"\r\n2\r\n{", CHUNKED + b"\r\n0\r\n"])
def test_truncated_responses(data: bytes) -> None:
    """A connection that ends early is told apart from a response that is malformed."""
    with pytest.raises(Truncated):
        read(data)


TOKEN = st.text("abcXYZ019-_!", min_size=1, max_size=12).map(lambda text: "x-" + text)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@dataclass
class Written:
    """A response, and what it means."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    cuts: list[int] = field(default_factory=list)
    is_chunked: bool = False

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Fine", *(f"{name}: {value}" for name, value in self.fields)]
        if not self.is_chunked:
            return "\r\n".join((*lines, f"Content-Length: {len(self.body)}", "", "")).encode() + self.body
        data = "\r\n".join((*lines, "Transfer-Encoding: chunked", "", "")).encode()
        bounds = [0, *sorted({cut for cut in self.cuts if 0 < cut < len(self.body)}), len(self.body)]
        pieces = [self.body[start:end] for start, end in pairwise(bounds) if end > start]
        return data + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


RESPONSES = st.builds(
    Written,
    status=st.sampled_from([200, 201, 302, 401, 403, 404, 500, 503]),
    fields=st.lists(st.tuples(TOKEN, VALUE), max_size=5, unique_by=lambda one: one[0].lower()),
    body=st.binary(max_size=300),
    cuts=st.lists(st.integers(1, 299), max_size=5),
    is_chunked=st.booleans(),
)


class _Socket(io.BytesIO):
    def makefile(self, _mode: str) -> "_Socket":
        return self


def by_http_client(data: bytes) -> tuple[int, bytes]:
    """What the standard library reads."""
    response = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type] # it uses makefile alone
    response.begin()
    return response.status, response.read()


class ByHttptools:
    """What llhttp reads."""

    def __init__(self, data: bytes) -> None:
        self.body = b""
        self.is_complete = False
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.is_complete = True


@settings(max_examples=count("FUZZ") // 4, deadline=None)
@given(RESPONSES, st.lists(st.integers(1, 600), max_size=6))
def test_the_same_as_others_on_good_input(written: Written, cuts: list[int]) -> None:
    """However the bytes arrive, they mean what http.client and httptools read in them."""
    data = written.encode()
    bounds = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    parser, body = read(*(data[start:end] for start, end in pairwise(bounds)))
    assert (parser.status, body, parser.keeps_alive) == (written.status, written.body, True)
    assert (parser.status, body) == by_http_client(data)
    other = ByHttptools(data)
    assert (other.is_complete, other.parser.get_status_code(), other.body) == (True, parser.status, body)
    for name, value in written.fields:
        assert parser.fields[name.lower().encode()] == value.encode()


@settings(max_examples=count("FUZZ"), deadline=None)
@given(RESPONSES, st.integers(0, 700), st.binary(max_size=4), st.integers(0, 3))
def test_damaged_responses(written: Written, place: int, inserted: bytes, removed: int) -> None:
    """Damaged bytes are refused, incomplete, or read as http.client reads them: never differently."""
    data = written.encode()
    data = data[:place] + inserted + data[place + removed :]
    try:
        parser, body = read(data)
    except (NotHttp, Truncated):
        return
    assert (parser.status, body) == by_http_client(data)


@settings(max_examples=count("FUZZ") // 4, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Bytes that are no response are refused or incomplete, and nothing else happens."""
    with pytest.raises((NotHttp, Truncated)):
        read(data)
