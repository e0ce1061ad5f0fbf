"""The port on which a sign-in in a browser ends: one redirect, for a time, whatever else connects."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from herod_cli.sign_in import loopback_listener
from herod_cli.sign_in.loopback_listener import MAX_CONNECTIONS, MAX_HEAD_BYTES, Callback, LoopbackListener

STATE = "s" * 43


@pytest.fixture
def listener() -> Iterator[LoopbackListener]:
    """A listener."""
    with LoopbackListener(frozenset({os.geteuid()})) as made:
        yield made


@pytest.fixture
def waiting(listener: LoopbackListener) -> Iterator["Future[Callback | None]"]:
    """The listener, waiting in a thread until the redirect comes."""
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(listener.wait, STATE, time.monotonic() + 20)
        yield found
        if not found.done():
            with send(listener, good(listener)):
                end(found)


def end(found: "Future[Callback | None]") -> dict[str, str]:
    """Answer the browser that was waited for, and return what it brought."""
    callback = found.result()
    assert callback is not None
    callback.answer("Signed in", "You <b>may</b> close this tab.")
    return callback.parameters


def good(listener: LoopbackListener, query: str = f"code=c&state={STATE}") -> bytes:
    """The redirect's request."""
    return f"GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode()


def send(listener: LoopbackListener, request: bytes) -> socket.socket:
    """Send a request, and return the connection."""
    sock = socket.create_connection(("127.0.0.1", listener.port), timeout=20)
    sock.sendall(request)
    return sock


def answer(sock: socket.socket) -> str:
    """All that comes back."""
    with sock:
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


def test_the_redirect(listener: LoopbackListener, waiting: "Future[Callback | None]") -> None:
    """The redirect ends the wait, and gets a plain page that runs nothing, is not kept, and is not in a frame."""
    sock = send(listener, good(listener, f"code=a%2Bb&state={STATE}&iss=http%3A%2F%2Flocalhost"))
    assert end(waiting) == {"code": "a+b", "state": STATE, "iss": "http://localhost"}
    page = answer(sock)
    assert page.startswith("HTTP/1.1 200 OK\r\n")
    for header in ("Cache-Control: no-store", "Referrer-Policy: no-referrer", "frame-ancestors 'none'"):
        assert header in page
    assert "You &lt;b&gt;may&lt;/b&gt; close this tab." in page
    assert "a+b" not in page


@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        (f"GET /callback?code=c&state={'t' * 43} HTTP/1.1", None, 400),
        ("GET /callback?code=c HTTP/1.1", None, 400),
        ("GET /callback HTTP/1.1", None, 400),
        (f"GET /callback?state={STATE}&state={STATE}&code=c HTTP/1.1", None, 400),
        (f"GET /callback?state={STATE}&code=%ff HTTP/1.1", None, 400),
        (f"GET /callback?state={STATE}&{'&'.join(f'a{n}=1' for n in range(30))} HTTP/1.1", None, 400),
        (f"POST /callback?code=c&state={STATE} HTTP/1.1", None, 404),
        (f"HEAD /callback?code=c&state={STATE} HTTP/1.1", None, 404),
        (f"GET /callback/?code=c&state={STATE} HTTP/1.1", None, 404),
        (f"GET /?code=c&state={STATE} HTTP/1.1", None, 404),
        ("GET /favicon.ico HTTP/1.1", None, 404),
        ("GET /start HTTP/1.1", None, 404),
        ("nonsense", None, 404),
        (f"GET /callback?code=c&state={STATE} HTTP/1.1", "evil.example", 421),
        (f"GET /callback?code=c&state={STATE} HTTP/1.1", "localhost:PORT", 421),
        (f"GET /callback?code=c&state={STATE} HTTP/1.1", "127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT", 421),
    ],
)
def test_everything_else(
    request_line: str, host: str | None, status: int, listener: LoopbackListener, waiting: "Future[Callback | None]"
) -> None:
    """Whatever is not this redirect is refused without its content, and does not end the wait."""
    name = (host or "127.0.0.1:PORT").replace("PORT", str(listener.port))
    page = answer(send(listener, f"{request_line}\r\nHost: {name}\r\n\r\n".encode()))
    assert page.startswith(f"HTTP/1.1 {status} ")
    assert STATE not in page
    assert not waiting.done()


@pytest.mark.parametrize(("holder", "status"), [(None, 303), (os.geteuid(), 303), (4711, 403)])
def test_the_start(
    holder: int | None, status: int, listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This user's browser is led on to herod, with `state`; another user's is not, and neither ends the wait."""
    monkeypatch.setattr(loopback_listener, "holder_of", lambda table, *, port, own_port: holder)
    listener.leads_to = f"http://localhost:3350/authorize?state={STATE}"
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(listener.wait, STATE, time.monotonic() + 1)
        page = answer(send(listener, f"GET /start HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode()))
        assert page.startswith(f"HTTP/1.1 {status} ")
        assert (f"\r\nLocation: {listener.leads_to}\r\n" in page) is (status == 303)
        assert page.count(STATE) == (status == 303)
        assert found.result() is None


@pytest.mark.parametrize(
    ("mode", "dest", "is_taken"),
    [
        ("navigate", "document", True),
        ("navigate", "iframe", False),
        ("no-cors", "image", False),
        ("cors", "empty", False),
        ("no-cors", "script", False),
    ],
)
def test_what_brings_it(
    mode: str, dest: str, is_taken: bool, listener: LoopbackListener, waiting: "Future[Callback | None]"
) -> None:
    """A page that another user serves cannot have this user's browser bring the answer by a script, image or frame."""
    told = f"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n\r\n".encode()
    sock = send(listener, good(listener).removesuffix(b"\r\n") + told)
    if is_taken:
        assert end(waiting)["code"] == "c"
    page = answer(sock)
    assert page.startswith("HTTP/1.1 200" if is_taken else "HTTP/1.1 403")
    assert STATE not in page
    assert waiting.done() is is_taken


@pytest.mark.parametrize(
    ("holder", "is_taken"), [(4711, False), (0, True), (65534, True), (None, True), (os.geteuid(), True)]
)
def test_whose_browser_it_is(
    holder: int | None, is_taken: bool, listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user who knows `state` ends nothing; who is behind a relay, or not on this machine, may be this user."""
    monkeypatch.setattr(loopback_listener, "holder_of", lambda table, *, port, own_port: holder)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(listener.wait, STATE, time.monotonic() + 1)
        sock = send(listener, good(listener))
        if is_taken:
            assert end(found)["code"] == "c"
        page = answer(sock)
        assert page.startswith("HTTP/1.1 200" if is_taken else "HTTP/1.1 403")
        assert STATE not in page
        assert is_taken or found.result() is None


@pytest.mark.parametrize("is_reset", [False, True])
def test_one_that_does_not_wait(is_reset: bool, listener: LoopbackListener) -> None:
    """Of a connection that was closed the kernel names no holder any more, so it brings nothing."""
    sock = send(listener, good(listener))
    if is_reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert listener.wait(STATE, time.monotonic() + 0.3) is None


def test_one_that_is_too_long(listener: LoopbackListener, waiting: "Future[Callback | None]") -> None:
    """A head has a limit."""
    assert " 431 " in answer(send(listener, b"GET /callback?" + b"a" * (MAX_HEAD_BYTES + 1)))
    assert not waiting.done()


def test_connections_that_say_nothing(listener: LoopbackListener, waiting: "Future[Callback | None]") -> None:
    """Silent and slow connections, as browsers and others open them, hold nobody up; the oldest are closed."""
    silent = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(MAX_CONNECTIONS + 5)]
    request = good(listener)
    sock = send(listener, request[:20])
    sock.sendall(request[20:])
    assert end(waiting)["code"] == "c"
    assert "200 OK" in answer(sock)
    for one in silent:
        one.close()


def test_a_late_one_is_closed(listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not arrive in time is dropped."""
    monkeypatch.setattr(loopback_listener, "REQUEST_SECONDS", 0.05)
    sock = send(listener, b"GET ")
    thread = threading.Thread(target=listener.wait, args=(STATE, time.monotonic() + 0.5))
    thread.start()
    assert answer(sock) == ""
    thread.join()


def test_nobody_comes(listener: LoopbackListener) -> None:
    """The wait ends at its deadline, and after the block the port is closed."""
    assert listener.wait(STATE, time.monotonic() + 0.05) is None
    listener.__exit__()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port))


def test_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a port another way is named."""
    monkeypatch.setattr(loopback_listener, "HOST", "192.0.2.1")
    with pytest.raises(Exception, match="cannot be waited for") as refused:
        LoopbackListener(frozenset())
    assert "--device" in str(getattr(refused.value, "hint", ""))
