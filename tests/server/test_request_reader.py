"""The reader against one table of messages, valid and invalid, each whole, in two pieces and byte by byte."""

import re
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.protocols.error_codes import row_of
from herod.protocols.http import Request
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.request_reader import RequestReader, Stage
from herod_client.core.errors import HerodError
from support.http_messages import BAD, GOOD, LIMITS, head

SOURCE = Source(address="192.0.2.7")


def read(pieces: Iterable[bytes], limits: Limits = LIMITS) -> tuple[list[tuple[Request, bool]], RequestReader]:
    """Feed a reader and collect all requests."""
    reader = RequestReader(SOURCE, limits=limits)
    taken = []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.take()) is not None:
            taken.append((request, reader.is_last))
            if reader.is_last:
                return taken, reader
    return taken, reader


def ways(data: bytes) -> list[list[bytes]]:
    """The data split in two at every position, and into single bytes."""
    return [[data], *([data[:n], data[n:]] for n in range(1, len(data))), [data[n : n + 1] for n in range(len(data))]]


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    """A valid message gives the same requests however its bytes arrive."""
    data, expected = GOOD[name]
    for pieces in ways(data):
        taken, _ = read(pieces)
        assert [(r.method, r.path, r.query, r.body, last) for r, last in taken] == expected
        assert all(request.source is SOURCE for request, _ in taken)


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    """An invalid message is refused with the same status however its bytes arrive, and gives no request."""
    data, status = BAD[name]
    for pieces in ways(data):
        taken: list[tuple[Request, bool]] = []
        with pytest.raises(HerodError) as refused:
            taken, _ = read(pieces)
        assert (row_of(refused.value).http, taken) == (status, [])
        assert refused.value.code == ("too_large" if status == 413 else "invalid_request")
        assert re.fullmatch(r"[A-Z].*[.]", refused.value.message)


@pytest.mark.parametrize("name", BAD)
def test_bad_behind_good(name: str) -> None:
    """Requests before an invalid message are still answered."""
    data, _ = BAD[name]
    reader = RequestReader(SOURCE, limits=LIMITS)
    reader.feed(head("GET /first HTTP/1.1") + data)
    first = reader.take()
    assert first is not None
    assert first.path == "/first"
    with pytest.raises(HerodError):
        reader.take()


SAMPLE = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nX-Y: a b\r\n\r\n"


@pytest.mark.parametrize("control", [*range(9), *range(10, 32), 127])
def test_no_control_character_anywhere(control: int) -> None:
    """A control character inserted or substituted at any position of a head never gives a request."""
    for at in range(len(SAMPLE)):
        for after in (at, at + 1):
            data = SAMPLE[:at] + bytes([control]) + SAMPLE[after:] + b"{"
            if data == SAMPLE + b"{":
                continue
            with suppress(HerodError):
                taken, _ = read([data])
                assert taken == []


def test_headers_are_collected() -> None:
    """Names are lower-cased, values trimmed and decoded, and repeated headers joined as INTERFACES specifies."""
    (taken,), _ = read(
        [head("GET / HTTP/1.1", "X-Thing:  \t a \xe9 \t", "COOKIE: a=1", "Accept: x", "accept: y", "Cookie: b=2")]
    )
    assert dict(taken[0].headers) == {"host": "h", "x-thing": "a \xe9", "cookie": "a=1; b=2", "accept": "x, y"}


def test_headers_cannot_be_changed() -> None:
    """Headers are immutable, because requests with equal heads share them."""
    (taken,), _ = read([head("GET / HTTP/1.1")])
    with pytest.raises(TypeError):
        taken[0].headers["x"] = "y"  # type: ignore[index]


def test_stages() -> None:
    """The stage names the expected part, so that each part has its own deadline."""
    reader = RequestReader(SOURCE, limits=LIMITS)
    seen = [reader.stage]
    for piece in (b"\r\n", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n", b"\r\n", b"a", b"b"):
        reader.feed(piece)
        if request := reader.take():
            assert request.body == b"ab"
        seen.append(reader.stage)
    assert seen == [Stage.IDLE, Stage.HEAD, Stage.HEAD, Stage.BODY, Stage.BODY, Stage.IDLE]


@pytest.mark.parametrize("framing", ["Content-Length: 2", "Transfer-Encoding: chunked"])
def test_continue_is_owed_once_and_only_while_waiting(framing: str) -> None:
    """`100 Continue` is due once, when the head arrives without the body."""
    lines = head("POST / HTTP/1.1", "Expect: 100-continue", framing)
    body = b"ab" if "Length" in framing else b"2\r\nab\r\n0\r\n\r\n"
    reader = RequestReader(SOURCE, limits=LIMITS)
    reader.feed(lines)
    assert reader.take() is None
    assert [reader.take_continue(), reader.take_continue()] == [True, False]
    reader.feed(body)
    assert reader.take() is not None
    reader = RequestReader(SOURCE, limits=LIMITS)
    reader.feed(lines + body[:1])
    assert reader.take() is None
    assert not reader.take_continue()
    reader = RequestReader(SOURCE, limits=LIMITS)
    reader.feed(lines)
    assert reader.take() is None
    reader.feed(body[:1])
    assert not reader.take_continue()


def test_leftover() -> None:
    """The reader reports when closing a connection would drop input."""
    _, reader = read([head("GET / HTTP/1.1", "Connection: close")])
    assert not reader.has_leftover
    _, reader = read([head("GET / HTTP/1.1", "Connection: close") + b"x"])
    assert reader.has_leftover
    _, reader = read([GOOD["chunked"][0]])
    assert reader.has_leftover


def test_known_heads_are_bounded() -> None:
    """The cache of parsed heads is bounded, whatever clients send."""
    pieces = [head(f"GET /{n} HTTP/1.1") for n in range(100)]
    taken, reader = read(pieces * 2)
    assert [request.path for request, _ in taken] == [f"/{n}" for n in range(100)] * 2
    assert len(reader.known_heads) <= 8
    for big in (head("GET / HTTP/1.1", "A: " + "b" * 2000), head("GET / HTTP/1.1", *(f"A{n}: b" for n in range(20)))):
        taken, reader = read([big], Limits())
        assert len(taken) == 1
        assert not reader.known_heads


messages = st.lists(
    st.sampled_from([data for name, (data, requests) in GOOD.items() if not requests[-1][4]]), min_size=1, max_size=6
)


@given(messages, st.data())
def test_pieces_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    """A sequence of messages gives the same result in any pieces."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = [read([part])[0] for part in parts]
    expected = [(r.method, r.path, r.body) for taken in whole for r, _ in taken]
    assert [(r.method, r.path, r.body) for r, _ in read([p for p in pieces if p])[0]] == expected


@given(st.binary(max_size=200) | st.text("GET /HTP1.:\r\n 0aA-", max_size=200).map(str.encode))
def test_noise(noise: bytes) -> None:
    """Random bytes give requests, a refusal or nothing, and never another error."""
    for before in (b"", SAMPLE):
        with suppress(HerodError):
            read([before, noise])
