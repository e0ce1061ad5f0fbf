"""`herod ui`: a file that leads a browser in, no secret in a command line, and a relay that lends its uid to nobody."""

import html
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from herod_cli.ui.loopback_relay import RelayRefusal, holder_of, parse_head
from support.fake_daemon import FakeDaemon, RpcError
from support.real_daemon import COMMAND, Daemon, running

Typed = Callable[..., Any]
CODE = "4fZ0" * 10 + "4fZ"
URL = "http://127.0.0.1:3350"


@pytest.fixture
def opened(machine: Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A daemon that makes codes, and a browser that notes how it was called."""
    daemon.methods["session.code"] = {"code": CODE, "expires_at": "2030-01-01T00:00:00Z", "page_url": URL}
    notes, browser = machine / "notes", machine / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> {notes}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"/no/such/browser:{browser} --new %s")
    return lambda: notes.read_text().splitlines() if notes.exists() else []


def link_in(path: Path) -> str:
    """Where a file leads."""
    (found,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', path.read_text())
    return html.unescape(found)


def test_the_browser_gets_a_file(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """Readable by its owner alone; the code stands in it, and in no argument and on no screen."""
    ended = herod("ui")
    assert ended.code == 0, ended.err
    command, option, address = opened()
    assert (command, option) == (str(machine / "browser"), "--new")
    path = Path(address.removeprefix("file://"))
    assert path.parent == machine / "run" / "herod-ui"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert link_in(path) == f"{URL}/ui/code?code={CODE}"
    assert CODE not in ended.out + ended.err + address
    assert URL in ended.out


def test_an_address_of_ones_own_is_gone_to(herod: Typed, opened: Callable[[], list[str]], daemon: FakeDaemon) -> None:
    """Over TCP the pages are where one asked, whatever the daemon calls itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert herod("ui", "--url", f"http://127.0.0.1:{port}").code == 3
    assert not opened()
    assert daemon.asked == []


def test_print(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """The address, with its code, opens nothing and writes nothing."""
    ended = herod("ui", "--print")
    assert ended.out == f"{URL}/ui/code?code={CODE}\n"
    assert not opened()
    assert not (machine / "run" / "herod-ui").exists()
    assert json.loads(herod("ui", "--print", "--output", "json").out) == {"url": f"{URL}/ui/code?code={CODE}"}


def test_without_a_browser(
    herod: Typed, opened: Callable[[], list[str]], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's path is said, and the other way."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "/no/such/browser:false")
    ended = herod("ui")
    assert ended.code == 0
    assert str(machine / "run" / "herod-ui" / "open-") in ended.out
    assert "--print" in ended.out
    assert not opened()


def test_what_earlier_ones_left_goes(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """Their codes are over."""
    folder = machine / "run" / "herod-ui"
    folder.mkdir(mode=0o700)
    old, other = folder / "open-1.html", folder / "notes"
    for path in (old, other):
        path.write_text("x")
        os.utime(path, (0, 0))
    assert herod("ui").code == 0
    assert not old.exists()
    assert other.exists()
    assert opened()


@pytest.mark.parametrize("kind", ["open", "link"])
def test_a_folder_of_others(herod: Typed, opened: Callable[[], list[str]], machine: Path, kind: str) -> None:
    """Nothing is written where others may look."""
    folder = machine / "run" / "herod-ui"
    if kind == "open":
        folder.mkdir()
        folder.chmod(0o755)
    else:
        (machine / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(machine / "elsewhere")
    ended = herod("ui")
    assert ended.code == 1
    assert "not yours alone" in ended.err
    assert not opened()


def test_a_token_opens_no_session(herod: Typed, opened: Callable[[], list[str]], daemon: FakeDaemon) -> None:
    """What to present in its place is said."""
    daemon.methods["session.code"] = RpcError(
        4003, "session.code takes a peer, not a jwt.", {"code": "ceiling_exceeded"}
    )
    ended = herod("ui")
    assert ended.code == 1
    assert "--peer" in ended.err
    assert not opened()


HOST = "Host: 127.0.0.1:4000"


def head(line: str, *fields: str, host: str = HOST) -> bytes:
    """A request's head."""
    return "\r\n".join((line, host, *fields)).encode("latin-1")


def test_what_passes_a_relay() -> None:
    """A page's request with what pages need, as one that was relayed; no credential but the cookie."""
    passed = parse_head(
        head(
            "POST /ui/peers?x=1 HTTP/1.1", "Cookie: herod_session=a", "Origin: http://127.0.0.1:4000",
            "Content-Length: 7", "Content-Type: application/x-www-form-urlencoded", "Authorization: Peer cookie",
            "X-API-Key: k", "X-Herod-Secret: s", "Forwarded: for=1", "Connection: keep-alive", "Sec-Fetch-Site: none",
        ),
        port=4000,
    )  # fmt: skip
    lines = passed.head.decode().split("\r\n")
    assert lines[0] == "POST /ui/peers?x=1 HTTP/1.1"
    assert lines[1:-2] == [
        "host: 127.0.0.1:4000", "cookie: herod_session=a", "origin: http://127.0.0.1:4000", "content-length: 7",
        "content-type: application/x-www-form-urlencoded", "sec-fetch-site: none", "Via: 1.1 herod-ui",
        "Connection: close",
    ]  # fmt: skip
    assert passed.length == 7


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head("GET /health HTTP/1.1"), 404),
        (head("GET /api/v1/users HTTP/1.1"), 404),
        (head("GET /uix HTTP/1.1"), 404),
        (head("GET /metrics HTTP/1.1"), 404),
        (head("POST /rpc HTTP/1.1"), 404),
        (head("POST / HTTP/1.1"), 405),
        (head("PUT /ui/x HTTP/1.1"), 405),
        (head("CONNECT 127.0.0.1:22 HTTP/1.1"), 400),
        (head("GET http://127.0.0.1:4000/ui HTTP/1.1"), 400),
        (head("GET //evil/ui HTTP/1.1"), 404),
        (head("GET / HTTP/1.0"), 400),
        (head("GET /ui/\x01 HTTP/1.1"), 400),
        (head("GET /ui/ x HTTP/1.1"), 400),
        (b"", 400),
        (head("GET / HTTP/1.1", host="Host: evil.test:4000"), 421),
        (head("GET / HTTP/1.1", host="Host: 127.0.0.1:4001"), 421),
        (head("GET / HTTP/1.1", host="Host: 127.0.0.1"), 421),
        (head("GET / HTTP/1.1", host="Accept: x"), 421),
        (head("GET / HTTP/1.1", HOST), 400),
        (head("GET / HTTP/1.1", "Origin: http://evil.test"), 403),
        (head("GET / HTTP/1.1", "Origin: null"), 403),
        (head("GET / HTTP/1.1", "Origin: http://127.0.0.1:4001"), 403),
        (head("GET / HTTP/1.1", "Origin: https://127.0.0.1:4000"), 403),
        (head("POST /ui/x HTTP/1.1", "Transfer-Encoding: chunked"), 400),
        (head("POST /ui/x HTTP/1.1", "Content-Length: -1"), 400),
        (head("POST /ui/x HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400),
        (head("POST /ui/x HTTP/1.1", "Content-Length: 99999999"), 413),
        (head("POST /ui/x HTTP/1.1", "Content-Length: 123456789"), 400),
        (head("GET / HTTP/1.1", " folded"), 400),
        (head("GET / HTTP/1.1", "Bad Name: x"), 400),
        (head("GET / HTTP/1.1", "X: a\nCookie: b"), 400),
        (head("GET / HTTP/1.1", "X: a\0"), 400),
    ],
)
def test_what_does_not_pass_a_relay(sent: bytes, status: int) -> None:
    """Other paths, other hosts, other pages, and whatever two readers might read differently."""
    with pytest.raises(RelayRefusal) as refused:
        parse_head(sent, port=4000)
    assert refused.value.status == status


def test_who_holds_the_other_end() -> None:
    """By the kernel's own table."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        table, port, ours = Path("/proc/net/tcp").read_text(), client.getsockname()[1], server.getsockname()[1]
        assert holder_of(table, port=port, relay_port=ours) == os.geteuid()
        assert holder_of(table, port=ours, relay_port=port) == os.geteuid()
        assert holder_of(table, port=port, relay_port=1) is None
        assert holder_of("", port=port, relay_port=ours) is None


@contextmanager
def relayed(daemon: Daemon, end: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """`herod ui` against a daemon that is on a socket alone; the address it prints."""
    env = {**daemon.env, "PYTHONUNBUFFERED": "1"}
    command = [*COMMAND, "ui", "--print"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            process.stdout.readline()
            yield link
            process.send_signal(end)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """Ask as a browser does; the answer is read whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        sent |= {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    answer.msg["page"] = answer.read().decode(errors="replace")
    connection.close()
    return answer


def test_a_daemon_without_tcp(tmp_path: Path) -> None:
    """Its pages come by the relay as long as that runs: into the dashboard, and to nothing else.

    The cookie of the socket, which would make the relay's owner an admin, does nothing on this way.
    """
    with running(tmp_path / "d", binds=(f"unix:{tmp_path / 'd' / 'herod.sock'},mode=0666",)) as daemon:
        with relayed(daemon) as link:
            port = int(link.split(":")[2].partition("/")[0])
            path = link.partition(f":{port}")[2]
            page = ask(port, "GET", path).msg["page"]
            assert "Continue as local admin?" in page
            opened = ask(port, "POST", "/ui/code", f"code={path.partition('code=')[2]}")
            assert opened.status == 303
            cookie, home = opened.msg["set-cookie"].partition(";")[0], opened.msg["location"]
            assert ">owner<" in ask(port, "GET", home, Cookie=cookie).msg["page"]
            assert ask(port, "GET", home).status == 303
            claim = f"Peer {daemon.cookie}"
            assert ask(port, "GET", "/ui/home", Authorization=claim).status == 303
            assert ask(port, "POST", "/rpc", "{}", Authorization=claim).status == 404
            assert ask(port, "GET", "/", Host="evil.test").status == 421
        with pytest.raises(OSError, match="refused"):
            ask(port, "GET", "/")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_came_through_a_relay_ends_with_it(tmp_path: Path, end: signal.Signals) -> None:
    """A page left open goes on asking at the port, with cookie and ticket, whoever has the port then."""
    with running(tmp_path / "d", binds=(f"unix:{tmp_path / 'd' / 'herod.sock'},mode=0666",)) as daemon:

        def status_of(home: str, cookie: str) -> int:
            with socket.socket(socket.AF_UNIX) as thief:
                thief.connect(str(daemon.socket))
                thief.sendall(
                    f"GET {home} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
                )
                return int(thief.makefile("rb").readline().split()[1])

        with relayed(daemon, end) as link:
            port = int(link.split(":")[2].partition("/")[0])
            opened = ask(port, "POST", "/ui/code", f"code={link.partition('code=')[2]}")
            cookie, home = opened.msg["set-cookie"].partition(";")[0], opened.msg["location"]
            assert ask(port, "GET", home, Cookie=cookie).status == 200
            assert status_of(home, cookie) == 200
        assert status_of(home, cookie) == 401
