"""The dashboard of a real daemon over TLS: its scheme, its cookie, and hostile requests."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.raw_sockets import HEALTH, WAYS, descriptors, exchange, secured, settle, statuses
from support.real_daemon import Daemon

PASSWORD = "correct horse battery"
FORM = f"email=ada@example.org&password={PASSWORD.replace(' ', '+')}"
PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLED = b"GET /ui/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=["plain", "secure"])
def daemon(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[tuple[Daemon, bool]]:
    """A daemon with one account, with TLS and without."""
    is_secure = request.param == "secure"
    with secured(open_folder / request.param, is_secure=is_secure) as started:
        arguments = ("user", "add", "ada@example.org", "--scope", "write", "--password-file", "-")
        assert started.herod(*arguments, stdin=PASSWORD).returncode == 0
        yield started, is_secure


def ask(daemon: Daemon, path: str, *arguments: str, is_secure: bool) -> tuple[int, dict[str, str], str]:
    """Ask with curl, which trusts only this certificate."""
    scheme = "https" if is_secure else "http"
    trust = ["--cacert", str(daemon.folder / "herod.pem")] if is_secure else []
    done = subprocess.run(
        ["curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", *trust, *arguments,
         f"{scheme}://localhost:{daemon.port}{path}"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    head, _, body = done.stdout.partition("\n\n")
    lines = head.splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def test_signing_in(daemon: tuple[Daemon, bool], tmp_path: Path) -> None:
    """Over TLS the cookie is `__Host-` and Secure, and only https is the page's own origin; without TLS, http."""
    running, is_secure = daemon
    own, other = ("https", "http") if is_secure else ("http", "https")
    foreign = f"Origin: {other}://localhost:{running.port}"
    assert ask(running, "/ui/sign-in", "-H", foreign, "-d", FORM, is_secure=is_secure)[0] == 403
    jar = ("-b", str(tmp_path / "jar"), "-c", str(tmp_path / "jar"))
    origin = f"Origin: {own}://localhost:{running.port}"
    status, headers, _ = ask(running, "/ui/sign-in", *jar, "-H", origin, "-d", FORM, is_secure=is_secure)
    assert status == 303
    assert ("strict-transport-security" in headers) is is_secure
    cookie = headers["set-cookie"]
    name, *attributes = [part.strip() for part in re.split(r"[=;]", cookie)]
    assert (name == "__Host-herod_session") is is_secure, cookie
    assert ("Secure" in attributes) is is_secure
    assert {"HttpOnly", "SameSite", "Strict", "Path", "/"} <= set(attributes)
    assert "Domain" not in attributes
    home = headers["location"]
    assert "://" not in home
    status, _, page = ask(running, home, *jar, is_secure=is_secure)
    assert status == 200
    assert "ada@example.org" in page


def page(*lines: str, first: str = "GET / HTTP/1.1") -> bytes:
    """A request for a page with these header lines."""
    return "\r\n".join((first, "Host: localhost", *lines, "", "")).encode("latin-1")


POST = "POST /ui/sign-in HTTP/1.1"
TYPE = "Content-Type: application/x-www-form-urlencoded"
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")

# name → bytes, statuses. What follows a page is a separate request only if the framing is unambiguous.
HOSTILE: dict[str, tuple[bytes, list[int]]] = {
    "websocket": (page(*WEBSOCKET) + HEALTH, [200, 200]),
    "websocket, and a frame": (page(*WEBSOCKET) + b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", [200, 400]),
    "h2c": (page(*H2C) + HEALTH, [200, 200]),
    "h2c, and the preface": (page(*H2C) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [200, 400]),
    "an upgraded form": (page(*WEBSOCKET, TYPE, "Content-Length: 3", first=POST) + b"a=b" + HEALTH, [400, 200]),
    "connect-udp": (page("Connection: Upgrade", "Upgrade: connect-udp", "Capsule-Protocol: ?1"), [200]),
    "in a get's body": (page(f"Content-Length: {len(SMUGGLED)}") + SMUGGLED, [200]),
    "in a form": (page(TYPE, f"Content-Length: {len(SMUGGLED)}", first=POST) + SMUGGLED, [400]),
    "behind chunks": (page(TYPE, "Transfer-Encoding: chunked", first=POST) + b"0\r\n\r\n" + SMUGGLED, [400]),
    "behind chunks of a get": (page("Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED, [200]),
    "cl.te": (page("Content-Length: 5", "Transfer-Encoding: chunked", first=POST) + b"0\r\n\r\n" + SMUGGLED, [400]),
    "te.cl": (page("Transfer-Encoding: chunked", "Content-Length: 3", first=POST) + b"0\r\n\r\n" + SMUGGLED, [400]),
    "te.te": (page("Transfer-Encoding: chunked", "Transfer-Encoding: x", first=POST) + b"0\r\n\r\n" + SMUGGLED, [400]),
    "te, odd": (page("Transfer-Encoding: \x0bchunked", first=POST) + b"0\r\n\r\n" + SMUGGLED, [400]),
    "cl twice": (page("Content-Length: 0", "Content-Length: 9", first=POST) + SMUGGLED, [400]),
    "behind close": (page("Connection: close") + SMUGGLED, [200]),
    "behind 1.0": (page(first="GET / HTTP/1.0") + SMUGGLED, [200]),
    "in a header": (page("A: b\r\n\tGET /ui/smuggled HTTP/1.1"), [400]),
    "in the target": (page(first="GET /ui/home?%0d%0a%0d%0aGET%20/ui/smuggled HTTP/1.1"), [303]),
    "by a bare lf": (page("A: b\n\nGET /ui/smuggled HTTP/1.1"), [400]),
}


def test_hostile_requests(daemon: tuple[Daemon, bool]) -> None:
    """An upgrade is ignored, ambiguous framing is a 400 and a close, and nothing smuggled behind a page is executed."""
    running, is_secure = daemon
    ways = WAYS["secure" if is_secure else "plain"]
    for way in ways:
        assert statuses(exchange(running, PAGE, way)) == [200]
    settle(running, 0, seconds=0.5)
    before = descriptors(running)
    for way in ways:
        for name, (data, expected) in HOSTILE.items():
            answers = exchange(running, data, way)
            assert statuses(answers) == expected, (name, way, answers)
            assert b"upgrade:" not in answers.lower(), name
            assert statuses(exchange(running, PAGE + HEALTH, way)) == [200, 200], name
    assert settle(running, before)
    assert "smuggled" not in running.log.read_text()
