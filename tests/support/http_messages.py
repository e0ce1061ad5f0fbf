"""HTTP messages, valid and invalid: one table for the reader alone and for the server on real sockets."""

__all__ = ["BAD", "GOOD", "LIMITS", "head"]

from herod.server.connection_limits import Limits

# Small, so that messages over the limits can be sent byte by byte.
LIMITS = Limits(head_bytes=600, headers=8, body_bytes=64)


def head(*lines: str, host: bool = True) -> bytes:
    """Join header lines under a request line."""
    request_line, *rest = lines
    return "\r\n".join((request_line, *(["Host: h"] if host else []), *rest, "", "")).encode("latin-1")


# name → bytes, and for each request in them: method, path, query, body, whether it is the last
GOOD: dict[str, tuple[bytes, list[tuple[str, str, str, bytes, bool]]]] = {
    "get": (head("GET / HTTP/1.1"), [("GET", "/", "", b"", False)]),
    "query": (head("GET /a%20b?x=1?&y HTTP/1.1"), [("GET", "/a%20b", "x=1?&y", b"", False)]),
    "two slashes": (head("GET //evil/ HTTP/1.1"), [("GET", "//evil/", "", b"", False)]),
    "body": (head("POST /b HTTP/1.1", "Content-Length: 5") + b"hello", [("POST", "/b", "", b"hello", False)]),
    "empty body": (head("POST /b HTTP/1.1", "Content-Length: 0"), [("POST", "/b", "", b"", False)]),
    "no length": (head("POST /b HTTP/1.1"), [("POST", "/b", "", b"", False)]),
    "leading zeros": (head("PUT /b HTTP/1.1", "Content-Length: 002") + b"ab", [("PUT", "/b", "", b"ab", False)]),
    "full body": (head("POST /b HTTP/1.1", "Content-Length: 64") + b"x" * 64, [("POST", "/b", "", b"x" * 64, False)]),
    "body like a head": (
        head("POST /b HTTP/1.1", "Content-Length: 18") + b"GET / HTTP/1.1\r\n\r\n",
        [("POST", "/b", "", b"GET / HTTP/1.1\r\n\r\n", False)],
    ),
    "chunked": (
        head("POST /c HTTP/1.1", "Transfer-Encoding: Chunked") + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        [("POST", "/c", "", b"abc0123456789", True)],
    ),
    "chunked with trailers": (
        head("POST /c HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\nHost: other\r\nX: y\r\n\r\n",
        [("POST", "/c", "", b"a", True)],
    ),
    "chunked, empty": (
        head("POST /c HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        [("POST", "/c", "", b"", True)],
    ),
    "bytes behind a chunked body": (
        head("POST /c HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        [("POST", "/c", "", b"a", True)],
    ),
    "close": (head("GET / HTTP/1.1", "Connection: Keep-Alive , Close"), [("GET", "/", "", b"", True)]),
    "keep-alive": (head("GET / HTTP/1.1", "Connection: keep-alive"), [("GET", "/", "", b"", False)]),
    "1.0": (head("GET / HTTP/1.0", host=False), [("GET", "/", "", b"", True)]),
    "1.0 with host and keep-alive": (
        head("GET / HTTP/1.0", "Connection: keep-alive"),
        [("GET", "/", "", b"", True)],
    ),
    "empty line first": (b"\r\n" + head("GET / HTTP/1.1"), [("GET", "/", "", b"", False)]),
    "empty line between": (
        head("POST / HTTP/1.1", "Content-Length: 1") + b"x\r\n" + head("GET /2 HTTP/1.1"),
        [("POST", "/", "", b"x", False), ("GET", "/2", "", b"", False)],
    ),
    "pipelined": (
        head("GET /1 HTTP/1.1") + head("POST /2 HTTP/1.1", "Content-Length: 2") + b"ab" + head("HEAD /3 HTTP/1.1"),
        [("GET", "/1", "", b"", False), ("POST", "/2", "", b"ab", False), ("HEAD", "/3", "", b"", False)],
    ),
    "the same head again": (
        (head("POST / HTTP/1.1", "Content-Length: 1") + b"%d") * 3 % (1, 2, 3),
        [("POST", "/", "", b"%d" % n, False) for n in (1, 2, 3)],
    ),
    "websocket upgrade": (
        head("GET /w HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        [("GET", "/w", "", b"", False)],
    ),
    "upgrade with a body": (
        head("POST /w HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2") + b"ab",
        [("POST", "/w", "", b"ab", False)],
    ),
    "upgrade with a chunked body": (
        head("POST /w HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c", "Transfer-Encoding: chunked")
        + b"2\r\nab\r\n0\r\n\r\n\x00\x01",
        [("POST", "/w", "", b"ab", True)],
    ),
    "upgrade, and more": (
        head("GET /w HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c") + head("GET /2 HTTP/1.1"),
        [("GET", "/w", "", b"", False), ("GET", "/2", "", b"", False)],
    ),
    "expect": (
        head("POST / HTTP/1.1", "Expect: 100-Continue", "Content-Length: 1") + b"x",
        [("POST", "/", "", b"x", False)],
    ),
    "ipv6 host": (head("GET / HTTP/1.1", "Host: [::1]:3350", host=False), [("GET", "/", "", b"", False)]),
    "empty host": (head("GET / HTTP/1.1", "Host:", host=False), [("GET", "/", "", b"", False)]),
    "tab in a value": (head("GET / HTTP/1.1", "A: b\tc"), [("GET", "/", "", b"", False)]),
    "eight headers": (head("GET / HTTP/1.1", *(f"A{n}: b" for n in range(7))), [("GET", "/", "", b"", False)]),
    "asterisk in a path": (head("OPTIONS /* HTTP/1.1"), [("OPTIONS", "/*", "", b"", False)]),
}

# name → bytes, status
BAD: dict[str, tuple[bytes, int]] = {
    "no host": (head("GET / HTTP/1.1", host=False), 400),
    "two hosts": (head("GET / HTTP/1.1", "Host: h"), 400),
    "two hosts, 1.0": (head("GET / HTTP/1.0", "hOST: other"), 400),
    "host with space": (head("GET / HTTP/1.1", "Host: a b", host=False), 400),
    "host with slash": (head("GET / HTTP/1.1", "Host: a/b", host=False), 400),
    "host with user": (head("GET / HTTP/1.1", "Host: a@b", host=False), 400),
    "host list": (head("GET / HTTP/1.1", "Host: a, b", host=False), 400),
    "te and cl": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n", 400),
    "cl and te": (head("POST / HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "te on 1.0": (head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "te twice": (head("POST / HTTP/1.1", *["Transfer-Encoding: chunked"] * 2) + b"0\r\n\r\n", 400),
    "te gzip": (head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400),
    "te identity": (head("POST / HTTP/1.1", "Transfer-Encoding: identity"), 400),
    "te xchunked": (head("POST / HTTP/1.1", "Transfer-Encoding: xchunked") + b"0\r\n\r\n", 400),
    "te chunked and more": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked, x") + b"0\r\n\r\n", 400),
    "te vertical tab": (head("POST / HTTP/1.1", "Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n", 400),
    "te space before colon": (head("POST / HTTP/1.1", "Transfer-Encoding : chunked") + b"0\r\n\r\n", 400),
    "cl twice": (head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 1") + b"x", 400),
    "cl twice, unlike": (head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2") + b"xx", 400),
    "cl list": (head("POST / HTTP/1.1", "Content-Length: 1, 1") + b"x", 400),
    "cl plus": (head("POST / HTTP/1.1", "Content-Length: +1") + b"x", 400),
    "cl minus": (head("POST / HTTP/1.1", "Content-Length: -1") + b"x", 400),
    "cl hex": (head("POST / HTTP/1.1", "Content-Length: 0x1") + b"x", 400),
    "cl underscore": (head("POST / HTTP/1.1", "Content-Length: 1_0") + b"x", 400),
    "cl empty": (head("POST / HTTP/1.1", "Content-Length:"), 400),
    "cl inner space": (head("POST / HTTP/1.1", "Content-Length: 1 0") + b"x", 400),
    "cl beyond 64 bits": (head("POST / HTTP/1.1", "Content-Length: 18446744073709551617") + b"x", 400),
    "cl other digits": (head("POST / HTTP/1.1", "Content-Length: \xb2") + b"x", 400),
    "bare lf": (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    "bare lf after the request line": (b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
    "bare lf after a header": (b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400),
    "bare lf as blank line": (b"GET / HTTP/1.1\r\nHost: h\r\n\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "bare cr after a header": (b"GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", 400),
    "obs-fold": (head("GET / HTTP/1.1", "A: b", " c"), 400),
    "obs-fold by tab": (head("GET / HTTP/1.1", "A: b", "\tc"), 400),
    "fold first": (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    "nul in a value": (head("GET / HTTP/1.1", "A: b\x00c"), 400),
    "nul in a name": (head("GET / HTTP/1.1", "A\x00: b"), 400),
    "nul in the target": (head("GET /\x00 HTTP/1.1"), 400),
    "escape in a value": (head("GET / HTTP/1.1", "A: \x1b[2J"), 400),
    "delete in a value": (head("GET / HTTP/1.1", "A: \x7f"), 400),
    "space before colon": (head("GET / HTTP/1.1", "A : b"), 400),
    "no colon": (head("GET / HTTP/1.1", "A"), 400),
    "empty name": (head("GET / HTTP/1.1", ": b"), 400),
    "space in a name": (head("GET / HTTP/1.1", "A B: c"), 400),
    "non-ascii name": (head("GET / HTTP/1.1", "\xc4: b"), 400),
    "two authorizations": (head("GET / HTTP/1.1", "Authorization: Bearer a", "authorization: Bearer b"), 400),
    "two api keys": (head("GET / HTTP/1.1", "X-API-Key: a", "x-api-key: b"), 400),
    "two secrets": (head("GET / HTTP/1.1", "X-Herod-Secret: a", "X-Herod-Secret: a"), 400),
    "two resource secrets": (head("GET / HTTP/1.1", "X-Resource-Secret: a", "X-Resource-Secret: b"), 400),
    "two types": (head("GET / HTTP/1.1", "Content-Type: a/b", "Content-Type: c/d"), 400),
    "two origins": (head("GET / HTTP/1.1", "Origin: http://a", "Origin: http://b"), 400),
    "two expects": (head("POST / HTTP/1.1", *["Expect: 100-continue"] * 2, "Content-Length: 1"), 400),
    "odd expect": (head("POST / HTTP/1.1", "Expect: cake", "Content-Length: 1"), 400),
    "absolute form": (head("GET http://h/ HTTP/1.1"), 400),
    "asterisk": (head("OPTIONS * HTTP/1.1"), 400),
    "connect": (head("CONNECT h:443 HTTP/1.1"), 400),
    "connect, origin form": (head("CONNECT / HTTP/1.1"), 400),
    "fragment": (head("GET /#a HTTP/1.1"), 400),
    "non-ascii target": (head("GET /\xe9 HTTP/1.1"), 400),
    "non-ascii query": (head("GET /?\xe9 HTTP/1.1"), 400),
    "space in target": (head("GET /a b HTTP/1.1"), 400),
    "tab in target": (head("GET /a\tb HTTP/1.1"), 400),
    "two spaces": (head("GET  / HTTP/1.1"), 400),
    "two spaces behind": (head("GET /  HTTP/1.1"), 400),
    "tab for space": (head("GET\t/ HTTP/1.1"), 400),
    "space at the end": (head("GET / HTTP/1.1 "), 400),
    "no target": (head("GET HTTP/1.1"), 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "0.9": (head("GET / HTTP/0.9"), 400),
    "1.2": (head("GET / HTTP/1.2"), 400),
    "2.0": (head("GET / HTTP/2.0"), 400),
    "9.9": (head("GET / HTTP/9.9"), 400),
    "1.10": (head("GET / HTTP/1.10"), 400),
    "lower-case version": (head("GET / http/1.1"), 400),
    "rtsp": (head("DESCRIBE / RTSP/1.0"), 400),
    "ice": (head("SOURCE / ICE/1.0"), 400),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "unknown method": (head("BREW / HTTP/1.1"), 400),
    "lower-case method": (head("get / HTTP/1.1"), 400),
    "no method": (head(" / HTTP/1.1"), 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "socks": (b"\x05\x01\x00", 400),
    "json line": (b'{"jsonrpc":"2.0"}\n', 400),
    "two empty lines": (b"\r\n\r\n" + head("GET / HTTP/1.1"), 400),
    "nine headers": (head("GET / HTTP/1.1", *(f"A{n}: b" for n in range(8))), 413),
    "nine headers, all alike": (head("GET / HTTP/1.1", *["A: b"] * 8), 413),
    "long head": (head("GET / HTTP/1.1", "A: " + "b" * 600), 413),
    "long target": (head("GET /" + "a" * 600 + " HTTP/1.1"), 413),
    "endless head": (b"GET / HTTP/1.1\r\nA: " + b"b" * 600, 413),
    "long body": (head("POST / HTTP/1.1", "Content-Length: 65"), 413),
    "very long body": (head("POST / HTTP/1.1", "Content-Length: 9999999999"), 413),
    "long chunked body": (
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"40\r\n" + b"x" * 64 + b"\r\n1\r\nx\r\n0\r\n\r\n",
        413,
    ),
    "crumbs": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 22, 413),
    "endless trailers": (
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 22,
        413,
    ),
    "chunk size not hex": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"g\r\n", 400),
    "chunk size signed": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"+1\r\nx\r\n0\r\n\r\n", 400),
    "chunk size 0x": (head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"0x1\r\nx\r\n0\r\n\r\n", 400),
    "chunk size beyond 64 bits": (
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"1" + b"0" * 16 + b"\r\n",
        400,
    ),
    "chunk without its end": (
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\nxx\r\n0\r\n\r\n",
        400,
    ),
    "chunk size line by lf": (
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"1\nx\n0\n\n",
        400,
    ),
}
