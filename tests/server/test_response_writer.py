"""Responses as bytes: the exact wire format, the default headers, and responses that are refused."""

import pytest

from herod.protocols.http import Response
from herod.server.response_writer import AnswerWriter

JSON = (("Content-Type", "application/json"),)


def encode(
    response: Response,
    *,
    is_head: bool = False,
    is_last: bool = False,
    is_secure: bool = False,
    writer: AnswerWriter | None = None,
) -> tuple[list[str], bytes]:
    """Encode with a new writer; return head lines without the date, and body."""
    data = (writer or AnswerWriter()).encode(response, is_head=is_head, is_last=is_last, is_secure=is_secure)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert sum(line.startswith("Date: ") for line in lines) == 1
    return [line for line in lines if not line.startswith("Date: ")], body


STANDING = [
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: strict-origin-when-cross-origin",
    "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
]


def test_wire_form() -> None:
    """Status line, own headers, default headers, length, blank line, body."""
    lines, body = encode(Response(200, b'{"a":1}', JSON))
    assert lines == ["HTTP/1.1 200 OK", "Content-Type: application/json", *STANDING, "Content-Length: 7"]
    assert body == b'{"a":1}'


def test_phrase_may_be_missing() -> None:
    """A status without a reason phrase keeps the space before it (RFC 9112, section 4)."""
    assert encode(Response(418))[0][0] == "HTTP/1.1 418 "


@pytest.mark.parametrize("status", [204, 304])
def test_bodiless(status: int) -> None:
    """204 and 304 have neither a body nor a length."""
    lines, body = encode(Response(status, b"x"))
    assert lines == [lines[0], *STANDING]
    assert body == b""


def test_head_keeps_the_length() -> None:
    """HEAD has the length of the body that GET would have."""
    lines, body = encode(Response(200, b"abc"), is_head=True)
    assert "Content-Length: 3" in lines
    assert body == b""


def test_last_and_secure() -> None:
    """The last answer has `Connection: close`, and over TLS every answer has HSTS."""
    lines, _ = encode(Response(200), is_last=True, is_secure=True)
    assert "Connection: close" in lines
    assert "Strict-Transport-Security: max-age=31536000" in lines


def test_own_policy_takes_the_place_of_the_standing_one() -> None:
    """A page's own Content-Security-Policy, in any case, replaces the default one."""
    lines, _ = encode(Response(200, headers=(("content-security-policy", "default-src 'self'"),)))
    assert [line for line in lines if line.lower().startswith("content-security")] == [
        "content-security-policy: default-src 'self'"
    ]


@pytest.mark.parametrize(
    "response",
    [
        Response(199),
        Response(600),
        Response(200, headers=(("A", "b\r\nC: d"),)),
        Response(200, headers=(("A", "b\nC: d"),)),
        Response(200, headers=(("A", "\x00"),)),
        Response(200, headers=(("A", "\u0100"),)),
        Response(200, headers=(("A b", "c"),)),
        Response(200, headers=(("", "c"),)),
        Response(200, headers=(("A\r\n", "c"),)),
        Response(200, headers=(("Transfer-Encoding", "chunked"),)),
        Response(200, headers=(("content-length", "1"),)),
        Response(200, headers=(("Connection", "close"),)),
        Response(200, headers=(("Date", "now"),)),
    ],
)
def test_what_may_not_be_written(response: Response) -> None:
    """A response that would break the head or the framing is an internal error."""
    with pytest.raises(ValueError, match=r"status|may set|break"):
        encode(response)


def test_kept_prefixes_are_bounded_and_hold_no_cookie() -> None:
    """The cache of encoded heads is bounded, keyed by status and headers, and never contains a cookie."""
    writer = AnswerWriter()
    for number in range(1000):
        encode(Response(200, headers=(("X", str(number)),)), writer=writer)
    assert len(writer.prefixes) <= 256
    encode(Response(200, headers=(("X", "x" * 4096),)), writer=writer)
    assert max(len(prefix) for prefix in writer.prefixes.values()) < 4096
    encode(Response(200, headers=(("SET-COOKIE", "session=secret"),)), writer=writer)
    assert not any(b"secret" in prefix for prefix in writer.prefixes.values())
