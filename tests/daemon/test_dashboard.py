"""The dashboard of a real daemon: its pages, hostile requests, and its cost before and after the first page."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.real_daemon import Daemon, running

PASSWORD = "correct horse battery"
FORM = f"email=ada@example.org&password={PASSWORD.replace(' ', '+')}"
BOTH = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
API = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def daemon(open_folder: Path) -> Iterator[Daemon]:
    """A daemon with one account."""
    with running(open_folder / "d") as started:
        arguments = ("user", "add", "ada@example.org", "--scope", "write", "--password-file", "-")
        assert started.herod(*arguments, stdin=PASSWORD).returncode == 0
        yield started


def connect(daemon: Daemon, *, tcp: bool) -> socket.socket:
    """A connection with a timeout, so that a hang is a failure."""
    client = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
    client.settimeout(20)
    client.connect(("127.0.0.1", daemon.port) if tcp else str(daemon.socket))
    return client


def exchange(daemon: Daemon, data: bytes, *, tcp: bool) -> bytes:
    """Send, shut down writing, and read all answers."""
    with connect(daemon, tcp=tcp) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


def statuses(answers: bytes) -> list[int]:
    """The status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def descriptors(daemon: Daemon) -> int:
    """How many descriptors the process has open."""
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def has_loaded_pages(daemon: Daemon) -> bool:
    """Whether the compiled part of the template engine is loaded."""
    return "markupsafe" in Path(f"/proc/{daemon.process.pid}/maps").read_text()


def test_nothing_is_loaded_before_a_browser_comes(tmp_path: Path) -> None:
    """Requests that are not for a page do not load Quart; the first page loads it once."""
    with running(tmp_path / "d") as daemon:
        assert daemon.herod("status").returncode == 0
        daemon.curl("/ui/sign-in", "-X", "DELETE")
        daemon.curl("/", "-H", "Host: evil.example", tcp=True)
        daemon.curl("/", "-H", "Origin: http://evil.example")
        exchange(daemon, b"GET http://evil.example/ui/ HTTP/1.1\r\nHost: localhost\r\n\r\n", tcp=True)
        assert not has_loaded_pages(daemon)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: daemon.curl("/")[0], range(8)))
        assert found == [200] * 8
        assert has_loaded_pages(daemon)
        assert daemon.log.read_text().count("the dashboard was loaded") == 1


def test_the_daemons_modules_leave_quart_alone() -> None:
    """The imports of `herod serve` include neither Quart nor Hypercorn."""
    code = (
        "import sys, herod.app; print(sorted({'quart', 'quart_trio', 'hypercorn', 'jinja2', 'h11'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@BOTH
def test_the_page(daemon: Daemon, *, tcp: bool) -> None:
    """A page has the common headers and its own, HEAD has the same ones, and its style sheet exists."""
    status, page, headers = daemon.curl("/", tcp=tcp)
    assert status == 200
    assert b"Sign in" in page
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert int(headers["content-length"]) == len(page)
    with_head = daemon.curl("/", "-I", tcp=tcp)
    assert (with_head[0], with_head[1]) == (200, b"")
    assert {**with_head[2], "date": ""} == {**headers, "date": ""}
    (link,) = re.findall(rb'rel="stylesheet" href="([^"]+)"', page)
    status, _, headers = daemon.curl(link.decode(), tcp=tcp)
    assert (status, headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert daemon.curl(link.decode(), "-H", f"If-None-Match: {headers['etag']}", tcp=tcp)[0] == 304


@BOTH
def test_signing_in(daemon: Daemon, tmp_path: Path, *, tcp: bool) -> None:
    """Signing in and out as a browser is audited, and the log contains no secret."""
    origin = daemon.url if tcp else "http://localhost"
    jar = ("-b", str(tmp_path / "jar"), "-c", str(tmp_path / "jar"), "-H", f"Origin: {origin}")
    status, _, headers = daemon.curl("/ui/sign-in", *jar, "-d", FORM, tcp=tcp)
    assert status == 303
    home = headers["location"]
    status, page, _ = daemon.curl(home, *jar, tcp=tcp)
    assert status == 200
    assert b"ada@example.org" in page
    status, _, headers = daemon.curl("/ui/sign-out", *jar, "-d", home.partition("?")[2], tcp=tcp)
    assert (status, headers["location"]) == (303, "/ui/signed-out")
    jar_text = (tmp_path / "jar").read_text()
    assert "herod_session" not in jar_text
    log = daemon.log.read_text()
    for secret in (PASSWORD, PASSWORD.replace(" ", "+"), home.partition("=")[2]):
        assert secret not in log


@BOTH
def test_both_roads_on_one_connection(daemon: Daemon, *, tcp: bool) -> None:
    """Requests pipelined behind a page are answered by the API, in order."""
    answers = exchange(daemon, API + PAGE + API + PAGE + PAGE + API, tcp=tcp)
    assert statuses(answers) == [200] * 6
    kinds = re.findall(rb"\r\nContent-Type: ([a-z/]+)", answers, re.IGNORECASE)
    assert kinds == [
        b"application/json",
        b"text/html",
        b"application/json",
        b"text/html",
        b"text/html",
        b"application/json",
    ]


def page(*lines: str, first: str = "GET / HTTP/1.1", host: bool = True) -> bytes:
    """A request for a page with these header lines."""
    return "\r\n".join((first, *(("Host: localhost",) if host else ()), *lines, "", "")).encode("latin-1")


WEBSOCKET = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
POST_FORM = "POST /ui/sign-in HTTP/1.1"

# name → bytes, statuses
HOSTILE: dict[str, tuple[bytes, list[int]]] = {
    "websocket": (page(*WEBSOCKET) + API, [200, 200]),
    "websocket, and a frame": (page(*WEBSOCKET) + b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", [200, 400]),
    "websocket, odd protocol": (page(*WEBSOCKET, "Sec-WebSocket-Protocol: \xe9"), [200]),
    "h2c": (page("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"), [200]),
    "h2c, bad settings": (page("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: %%%"), [200]),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "http/2 preface behind a page": (PAGE + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [200, 400]),
    "absolute form": (page(first="GET http://localhost/ HTTP/1.1"), [200]),
    "absolute form with a user": (page(first="GET http://me@localhost/ HTTP/1.1"), [400]),
    "connect": (page(first="CONNECT localhost:443 HTTP/1.1"), [405]),
    "te and cl": (page("Transfer-Encoding: chunked", "Content-Length: 3", first=POST_FORM) + b"0\r\n\r\n", [400]),
    "cl and te": (page("Content-Length: 3", "Transfer-Encoding: chunked", first=POST_FORM) + b"0\r\n\r\n", [400]),
    "te on a get": (page("Transfer-Encoding: chunked") + b"0\r\n\r\n" + API, [200]),
    "chunked form": (page("Transfer-Encoding: chunked", first=POST_FORM) + b"3\r\na=b\r\n0\r\n\r\n" + API, [400]),
    "te gzip": (page("Transfer-Encoding: gzip", first=POST_FORM), [400]),
    "bare lf": (b"GET / HTTP/1.1\nHost: localhost\n\n", [400]),
    "obs-fold": (page("A: b", " c"), [400]),
    "two hosts": (page("Host: localhost"), [400]),
    "http/1.0": (page(first="GET / HTTP/1.0") + API, [200]),
    "keep-alive and close": (page("Connection: keep-alive, close") + API, [200]),
    "expect": (page("Expect: 100-continue", "Content-Length: 3", first=POST_FORM) + b"a=b", [400]),
    "body on a get": (page(f"Content-Length: {len(PAGE)}") + PAGE + API, [200, 200]),
    "long cookie": (page("Cookie: " + "a=b; " * 3000), [200]),
    "many cookies": (page(*["Cookie: herod_session=x"] * 90), [200]),
    "odd cookie": (page('Cookie: herod_session="\xff\x80;;==; $Version=1'), [200]),
    "high bytes": (page("User-Agent: \xff\xfe", "Accept-Language: \x80"), [200]),
    "long query": (page(first="GET /ui/home?" + "a=b&" * 2000 + " HTTP/1.1"), [400]),
    "odd query": (page("Cookie: herod_session=x", first="GET /ui/home?ticket=%ff&%00=%0d%0a HTTP/1.1"), [400]),
    "odd path": (page(first="GET /ui/%ff%00%0d%0aA:b HTTP/1.1"), [404]),
    "dots": (page(first="GET /ui/../../../etc/passwd HTTP/1.1"), [404]),
    "two slashes": (page(first="GET //ui/home HTTP/1.1"), [404]),
    "long form": (page("Content-Length: 65537", first=POST_FORM), [413]),
    "half a page": (PAGE[:-2], []),
    "trace": (page(first="TRACE /ui/home HTTP/1.1"), [405]),
}


@BOTH
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests(daemon: Daemon, name: str, *, tcp: bool) -> None:
    """An upgrade is ignored, ambiguous framing is a 400 and a close, nothing is a 5xx, and the daemon continues."""
    data, expected = HOSTILE[name]
    assert statuses(exchange(daemon, data, tcp=tcp)) == expected
    assert statuses(exchange(daemon, API + PAGE, tcp=tcp)) == [200, 200]


@BOTH
def test_foreign_hosts_and_origins(daemon: Daemon, *, tcp: bool) -> None:
    """Foreign hosts and origins are refused before a page is rendered."""
    if tcp:
        assert daemon.curl("/", "-H", "Host: evil.example", tcp=True)[0] == 421
        assert statuses(exchange(daemon, page(first="GET http://evil.example/ui/ HTTP/1.1"), tcp=True)) == [421]
    assert daemon.curl("/ui/sign-in", "-H", "Origin: http://localhost:9", "-d", FORM, tcp=tcp)[0] == 403
    assert daemon.curl("/ui/sign-in", "-d", FORM, tcp=tcp)[0] == 400


def test_nothing_is_left_behind(daemon: Daemon) -> None:
    """200 pages, on new connections and on one, and browsers that leave midway, leak nothing."""
    exchange(daemon, PAGE, tcp=True)
    before = descriptors(daemon)
    for number in range(200):
        assert statuses(exchange(daemon, PAGE, tcp=bool(number % 2))) == [200]
    assert statuses(exchange(daemon, PAGE * 200, tcp=True)) == [200] * 200
    for _ in range(50):
        with connect(daemon, tcp=True) as client:
            client.sendall(PAGE)
    end = time.monotonic() + 60  # each page is rendered all the same, one by one
    while descriptors(daemon) > before and time.monotonic() < end:
        time.sleep(0.02)  # disconnected clients are detected one by one
    assert descriptors(daemon) <= before


def test_sigterm_during_the_first_page(tmp_path: Path) -> None:
    """SIGTERM while Quart is loading ends the daemon within 5 s, with a complete page or none."""
    with running(tmp_path / "d") as daemon, connect(daemon, tcp=True) as client:
        client.sendall(PAGE)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=60) == 0
        answer = b""
        while part := client.recv(65536):
            answer += part
    assert answer == b"" or answer.rstrip().endswith(b"</html>")
