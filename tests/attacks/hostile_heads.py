"""Heads that two parsers may read differently, after llhttp's and HTTP-Garden's corpora: combined from tables.

Each is followed by bytes that are a body to one reader and a request for `/smuggled` to another.
"""

import random
from collections.abc import Iterator
from typing import Final

__all__ = ["SMUGGLED", "heads"]

SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
STARTS: Final = (
    b"POST /a HTTP/1.1", b"GET /a HTTP/1.1", b"POST /a HTTP/1.0", b"post /a HTTP/1.1", b"POST  /a HTTP/1.1",
    b"POST /a  HTTP/1.1", b"POST /a HTTP/1.1 ", b"POST /a\tHTTP/1.1", b"POST /a HTTP/1.2", b"POST /a HTTP/2.0",
    b"POST /a HTTP/1.10", b"POST /a http/1.1", b"POST /a HTTP/01.1", b"POST http://h/a HTTP/1.1", b"POST h:80 HTTP/1.1",
    b"CONNECT h:80 HTTP/1.1", b"POST /a#b HTTP/1.1", b"POST /a\xff HTTP/1.1", b"POST /a\x00 HTTP/1.1", b"POST /a",
    b"POST * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"P@ST /a HTTP/1.1", b"\x00POST /a HTTP/1.1", b" POST /a HTTP/1.1",
    b"\r\nPOST /a HTTP/1.1", b"\n\nPOST /a HTTP/1.1", b"POST /a HTTP/1.1\x0b", b"POST /../a HTTP/1.1",
    b"HEAD /a HTTP/1.1",
)  # fmt: skip
LENGTHS: Final = (
    b"", b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: -5",
    b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length: 5, 5", b"Content-Length: 5,0",
    b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5\r\nContent-Length: 0", b"Content-Length: 05",
    b"Content-Length: 5\x00", b"Content-Length:\t5", b"Content-Length : 5", b"Content-Length\t: 5",
    b"Content_Length: 5",
    b"\x0bContent-Length: 5", b"Content-Length: \x0b5", b"Content-Length: 5;", b"Content-Length: 5\r\n 0",
    b"Content-Length: 18446744073709551621", b"Content-Length: 5.0", b"Content-Length: 5e0", b"Content-Length: \xb2",
    b"Content-Length: ", b"Content-Length: 1_0", b"content-length: 5", b"X: y\r\n Content-Length: 5",
    b"X: y\rContent-Length: 5",
    b"X: y\nContent-Length: 5", b"Content-Length: 5\n", b"Content-Length: 5\r",
    b"Content-Length: 00000000000000000000000005",
)  # fmt: skip
CODINGS: Final = (
    b"", b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding:\tchunked\t", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked,", b"Transfer-Encoding:\r\n chunked",
    b"Transfer_Encoding: chunked", b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked", b"Transfer-Encoding: chunked \x85", b"Transfer-Encoding: c\xdcunked",
    b"TE: chunked",
    b"Transfer-Encoding: ", b"Transfer-Encoding: identity", b"Transfer\x00-Encoding: chunked", b": chunked",
)  # fmt: skip
BODIES: Final = (
    b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5;\nhello\r\n0\r\n\r\n",
    b"00000000000000000005\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
    b"-1\r\n\r\n0\r\n\r\n", b"ffffffffffffffff\r\nhello", b"0\r\nX: y\r\n\r\n", b"0\r\nContent-Length: 50\r\n\r\n", b"",
    b'5;a="\r\nhello\r\n0\r\n\r\n', b"5\rhello\r\n0\r\n\r\n", b"5_0\r\nhello\r\n0\r\n\r\n", b"0\r\n\n",
    b"0\r\n \r\n\r\n",
)  # fmt: skip
HOSTS: Final = (b"Host: h",) * 6 + (b"Host: h\r\nHost: h", b"Host : h", b"Host: h\r\n evil", b"Host: h, evil",
    b"Host: h@evil", b"hOsT: h", b"", b"Host: h\x00", b"Host: h/", b"Host: [::1", b"Host: h:99999")  # fmt: skip


def heads(number: int, draw: random.Random) -> Iterator[bytes]:
    """So many different messages: a valid one with one to three parts replaced, before the smuggled request."""
    seen: set[bytes] = set()
    while len(seen) < number:
        start, host, length, coding, body = STARTS[0], HOSTS[0], LENGTHS[draw.randrange(3)], CODINGS[0], BODIES[1]
        for part in draw.sample(range(5), draw.choice((1, 1, 2, 2, 3))):
            match part:
                case 0:
                    start = draw.choice(STARTS)
                case 1:
                    host = draw.choice(HOSTS)
                case 2:
                    length = draw.choice(LENGTHS)
                case 3:
                    coding = draw.choice(CODINGS)
                case _:
                    coding, body = draw.choice(CODINGS[1:3]), draw.choice(BODIES)
        fields = [line for line in (host, length, coding) if line]
        draw.shuffle(fields)
        data = b"\r\n".join([start, *fields, b"", b""]) + body
        if data not in seen:
            seen.add(data)
            yield data
