"""`herod ui`: a file that signs a browser in, no secret in a command line, and a relay for its own user only."""

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
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from herod.loopback_holders import holder_of
from herod.loopback_relay import Relay, RelayRefusal, relayed_request, session_of
from herod.protocols.http import Request
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.request_reader import RequestReader
from support.fake_daemon import FakeDaemon, RpcError
from support.real_daemon import COMMAND, Daemon, running

Typed = Callable[..., Any]
CODE = "4fZ0" * 10 + "4fZ"
URL = "http://127.0.0.1:3350"


@pytest.fixture
def opened(machine: Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A daemon that issues sign-in codes, and a fake browser that records its arguments."""
    daemon.methods["session.code"] = {"code": CODE, "expires_at": "2030-01-01T00:00:00Z", "page_url": URL}
    notes, browser = machine / "notes", machine / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> {notes}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"/no/such/browser:{browser} --new %s")
    return lambda: notes.read_text().splitlines() if notes.exists() else []


def link_in(path: Path) -> str:
    """The link in a file."""
    (found,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', path.read_text())
    return html.unescape(found)


def test_the_browser_gets_a_file(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """The file is private and contains the code, which is in no argument and in no output."""
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
    """Over TCP the browser opens the address that was asked, whatever the daemon's public URL is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert herod("ui", "--url", f"http://127.0.0.1:{port}").code == 3
    assert not opened()
    assert daemon.asked == []


def test_print(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """`--print` prints the URL with the code, and writes no file."""
    ended = herod("ui", "--print")
    assert ended.out == f"{URL}/ui/code?code={CODE}\n"
    assert not opened()
    assert not (machine / "run" / "herod-ui").exists()
    assert json.loads(herod("ui", "--print", "--output", "json").out) == {"url": f"{URL}/ui/code?code={CODE}"}


def test_without_a_browser(
    herod: Typed, opened: Callable[[], list[str]], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a browser the path of the file and the alternative are printed."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "/no/such/browser:false")
    ended = herod("ui")
    assert ended.code == 0
    assert str(machine / "run" / "herod-ui" / "open-") in ended.out
    assert "--print" in ended.out
    assert not opened()


def test_what_earlier_ones_left_goes(herod: Typed, opened: Callable[[], list[str]], machine: Path) -> None:
    """Files of earlier runs are removed, because their codes have expired."""
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
    """Nothing is written to a folder that others control."""
    folder = machine / "run" / "herod-ui"
    if kind == "open":
        folder.mkdir()
        folder.chmod(0o755)
    else:
        (machine / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(machine / "elsewhere")
    ended = herod("ui")
    assert ended.code == 1
    assert "only you can access" in ended.err
    assert not opened()


def test_a_token_opens_no_session(herod: Typed, opened: Callable[[], list[str]], daemon: FakeDaemon) -> None:
    """A token opens no session, and the error names accepted credentials."""
    daemon.methods["session.code"] = RpcError(
        4003, "session.code takes a peer, not a jwt.", {"code": "ceiling_exceeded"}
    )
    ended = herod("ui")
    assert ended.code == 1
    assert "--peer" in ended.err
    assert not opened()


HOST = "Host: 127.0.0.1:4000"


def read(line: str, *fields: str, host: str = HOST, body: bytes = b"") -> Request:
    """A request as the relay reads it."""
    reader = RequestReader(Source(), limits=Limits())
    reader.feed("\r\n".join((line, host, *fields, "", "")).encode("latin-1") + body)
    request = reader.take()
    assert request is not None
    return request


def test_what_passes_a_relay() -> None:
    """A page's request with the headers that pages need, marked as relayed; no credential but the cookie."""
    passed = relayed_request(
        read(
            "POST /ui/peers?x=1 HTTP/1.1", "Cookie: herod_session=a", "Origin: http://127.0.0.1:4000",
            "Content-Length: 7", "Content-Type: application/x-www-form-urlencoded", "Authorization: Peer cookie",
            "X-API-Key: k", "X-Herod-Secret: s", "Forwarded: for=1", "Connection: keep-alive", "Sec-Fetch-Site: none",
            body=b"a=b&c=d",
        ),
        port=4000,
    )  # fmt: skip
    assert passed.decode().split("\r\n") == [
        "POST /ui/peers?x=1 HTTP/1.1",
        "host: 127.0.0.1:4000", "cookie: herod_session=a", "origin: http://127.0.0.1:4000",
        "content-type: application/x-www-form-urlencoded", "sec-fetch-site: none", "content-length: 7",
        "Via: 1.1 herod-ui", "Connection: close", "", "a=b&c=d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (("GET /health HTTP/1.1",), 404),
        (("GET /api/v1/users HTTP/1.1",), 404),
        (("GET /uix HTTP/1.1",), 404),
        (("GET /metrics HTTP/1.1",), 404),
        (("POST /rpc HTTP/1.1",), 404),
        (("GET //evil/ui HTTP/1.1",), 404),
        (("POST / HTTP/1.1",), 405),
        (("PUT /ui/x HTTP/1.1",), 405),
        (("GET / HTTP/1.1", "Origin: http://evil.test"), 403),
        (("GET / HTTP/1.1", "Origin: null"), 403),
        (("GET / HTTP/1.1", "Origin: http://127.0.0.1:4001"), 403),
        (("GET / HTTP/1.1", "Origin: https://127.0.0.1:4000"), 403),
    ],
)
def test_what_does_not_pass_a_relay(sent: tuple[str, ...], status: int) -> None:
    """Other paths, methods and origins."""
    with pytest.raises(RelayRefusal) as refused:
        relayed_request(read(*sent), port=4000)
    assert refused.value.status == status


@pytest.mark.parametrize("host", ["evil.test:4000", "127.0.0.1:4001", "127.0.0.1"])
def test_another_host(host: str) -> None:
    """DNS rebinding, or another port."""
    with pytest.raises(RelayRefusal) as refused:
        relayed_request(read("GET / HTTP/1.1", host=f"Host: {host}"), port=4000)
    assert refused.value.status == 421


async def test_refused_requests_push_no_session_out() -> None:
    """The sessions that the relay ends with itself are those of requests that it relayed."""
    relay = Relay("/no/daemon", uids=frozenset({os.geteuid()}), servers=frozenset())
    real = "GET /ui/home?ticket=t0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: herod_session=c0\r\n\r\n"
    forged = "GET /ui/x?ticket=t{n} HTTP/1.1\r\nHost: evil.test\r\nCookie: herod_session=c{n}\r\n\r\n"
    requests = [real.format(port=relay.port), *(forged.format(n=n) for n in range(1, 70))]
    with closing(relay):
        for text in requests:
            browser, other = trio.testing.memory_stream_pair()
            await other.send_all(text.encode())
            with suppress(RelayRefusal):
                await relay.read(browser)
    assert list(relay.sessions) == [("c0", "t0")]


@pytest.mark.parametrize("line", ["GET /ui/x HTTP/1.0", "GET /ui/x HTTP/1.1"])
async def test_only_modern_http_is_relayed(line: str) -> None:
    """The daemon's answer may be chunked, which HTTP/1.0 does not know."""
    relay = Relay("/no/daemon", uids=frozenset(), servers=frozenset())
    with closing(relay):
        browser, other = trio.testing.memory_stream_pair()
        await other.send_all(f"{line}\r\nHost: 127.0.0.1:{relay.port}\r\n\r\n".encode())
        if line.endswith("1"):
            assert await relay.read(browser) is not None
        else:
            with pytest.raises(RelayRefusal, match=r"HTTP/1\.1"):
                await relay.read(browser)


def test_chunks_and_repeated_headers_are_relayed_plainly() -> None:
    """The daemon gets one length and one header of each name."""
    body = b"3\r\na=b\r\n0\r\n\r\n"
    chunked = read("POST /ui/x HTTP/1.1", "Transfer-Encoding: chunked", "Accept: a", "Accept: b", body=body)
    lines = relayed_request(chunked, port=4000).decode().split("\r\n")
    assert "accept: a, b" in lines
    assert "content-length: 3" in lines
    assert not [line for line in lines if line.lower().startswith("transfer-encoding")]


@pytest.mark.parametrize(
    ("fields", "session"),
    [
        (["Cookie: a=b; herod_session=c1"], ("c1", "t1")),
        (["Cookie: herod_session=c1", "Cookie: herod_session=c2"], ("c2", "t1")),
        (["Cookie: herod_session=c1", "Sec-Fetch-Site: same-origin"], ("c1", "t1")),
        (["Cookie: herod_session=c1", "Sec-Fetch-Site: cross-site"], None),
        (["Cookie: herod_session=c1", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"], None),
        (["Cookie: other=c1"], None),
        ([], None),
    ],
)
def test_the_session_of_a_request(fields: list[str], session: tuple[str, str] | None) -> None:
    """Only of a page that the relay itself relayed."""
    assert session_of(read("GET /ui/home?a=b&ticket=t1 HTTP/1.1", *fields)) == session
    assert session_of(read("GET /ui/home HTTP/1.1", *fields)) is None


def test_who_holds_the_other_end() -> None:
    """The uid of the other end is found in the kernel's table."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        table, port, ours = Path("/proc/net/tcp").read_text(), client.getsockname()[1], server.getsockname()[1]
        assert holder_of(table, port=port, own_port=ours) == os.geteuid()
        assert holder_of(table, port=ours, own_port=port) == os.geteuid()
        assert holder_of(table, port=port, own_port=1) is None
        assert holder_of("", port=port, own_port=ours) is None


@contextmanager
def relayed(daemon: Daemon, end: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """Run `herod ui` against a daemon with a socket only; yield the printed URL."""
    env = {**daemon.env, "PYTHONUNBUFFERED": "1"}
    command = [*COMMAND, "ui", "--print"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            process.stdout.readline()
            yield link
            process.send_signal(end)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """Send a request as a browser does; read the whole answer."""
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
    """While it runs, the relay serves the dashboard pages and nothing else.

    The socket's cookie, which would make the owner of the relay an admin, has no effect through it.
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
            assert ask(port, "POST", "/ui/code", "code=x", Expect="100-continue").status == 401
            with socket.create_connection(("127.0.0.1", port)) as broken:
                broken.sendall(b"GET /ui/ x HTTP/1.1\r\n\r\n")
                assert broken.makefile("rb").readline() == b"HTTP/1.1 400 Bad Request\r\n"
        with pytest.raises(OSError, match="refused"):
            ask(port, "GET", "/")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_came_through_a_relay_ends_with_it(tmp_path: Path, end: signal.Signals) -> None:
    """The relay's sessions end with it, because an open page keeps sending cookie and ticket to its port."""
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
