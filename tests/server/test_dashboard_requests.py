"""Dashboard requests: one clean request to Hypercorn, one checked answer back, and nothing left behind."""

import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from herod.protocols.http import Request, Response
from herod.scopes.principal import Peer, Source
from herod.server.dashboard_requests import PAGES_AT_ONCE, PageRequests
from herod.server.hypercorn_in_memory import HypercornBridge, PageAnswer, PageError, serialise
from support.in_process_server import QUICK, Client, serving

MOST = 10_000
Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def asked(
    method: str = "GET",
    target: str = "/",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    secure: bool = False,
) -> Request:
    """A request as the reader creates it."""
    path, _, query = target.partition("?")
    return Request(method, path, query, {"host": "h", **(headers or {})}, body, Source(address="unix", secure=secure))


class App:
    """A bare ASGI application that echoes the request, or does what the path says."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.hanging = trio.Event()
        self.released = trio.Event()
        self.cancelled = 0

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
        """Answer the request."""
        self.scopes.append(scope)
        if scope["path"] == "/ui/wait":
            await self.released.wait()
        match scope["path"]:
            case "/ui/hang":
                self.hanging.set()
                try:
                    await trio.sleep_forever()
                finally:
                    self.cancelled += 1
            case "/ui/hang-late":
                await _start(send, 200, [(b"content-length", b"10")])
                await send({"type": "http.response.body", "body": b"12345", "more_body": True})
                await trio.sleep_forever()
            case "/ui/fail":
                raise RuntimeError("the secret reason")
            case "/ui/nothing":
                pass
            case path:
                message = await receive()
                await _say(path, f"{scope['method']} {scope['scheme']} ".encode() + message["body"], send)


async def _say(path: str, body: bytes, send: Send) -> None:
    match path:
        case "/ui/half":
            await _start(send, 200, [(b"content-length", b"10")])
            await send({"type": "http.response.body", "body": b"12345"})
        case "/ui/long":
            await _start(send, 200, [])
            while True:
                await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
        case "/ui/empty":
            await _start(send, 204, [])
            await send({"type": "http.response.body", "body": b""})
        case "/ui/unchanged":
            await _start(send, 304, [(b"etag", b'"x"')])
            await send({"type": "http.response.body", "body": b""})
        case _:
            await _start(
                send, 200, [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
            )
            await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def browser(app: App | None = None, *, seconds: float = 5) -> PageRequests:
    """The dashboard bridge to the bare application."""
    chosen = App() if app is None else app
    return PageRequests(lambda: chosen, seconds=seconds, most_bytes=MOST)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (asked(), b"GET http "),
        (asked("HEAD"), b"GET http "),
        (asked(secure=True), b"GET https "),
        (asked("POST", "/ui/x?y", b"a=b"), b"POST http a=b"),
        (asked("POST", "/ui/x", b"z" * 5000), b"POST http " + b"z" * 5000),
    ],
)
async def test_an_answer_comes_back(request_: Request, body: bytes) -> None:
    """An answer is complete, without connection headers; the server omits the body for HEAD."""
    response = await browser()(request_)
    assert response == Response(
        200, body, (("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2"))
    )


async def test_answers_without_a_body() -> None:
    """204 and 304 have no body."""
    door = browser()
    assert await door(asked(target="/ui/empty")) == Response(204)
    assert await door(asked(target="/ui/unchanged")) == Response(304, b"", (("etag", '"x"'),))


async def test_the_application_finds_the_request_itself() -> None:
    """The application gets the original request with its source, which Hypercorn does not see."""
    app = App()
    request = asked(target="/ui/a%20b?c=d")
    await browser(app)(request)
    (scope,) = app.scopes
    assert scope["state"]["request"] is request
    assert scope["client"] is None
    assert (scope["path"], scope["query_string"]) == ("/ui/a b", b"c=d")


HOSTILE = {
    "upgrade": "websocket",
    "connection": "Upgrade, HTTP2-Settings",
    "http2-settings": "%%%",
    "sec-websocket-key": "x",
    "sec-websocket-protocol": "\xe9",
    "transfer-encoding": "chunked",
    "content-length": "99",
    "expect": "100-continue",
    "te": "trailers",
    "keep-alive": "300",
    "proxy-connection": "keep-alive",
    "authorization": "Bearer x",
    "x-forwarded-for": "1.2.3.4",
    "forwarded": "for=1.2.3.4",
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_what_hypercorn_sees(method: str) -> None:
    """Hypercorn gets one request with herod's own framing and only the headers that pages use."""
    data = serialise(asked(method, "/ui/x?y=z", b"ab", {"cookie": "a=b; c=d", "origin": "http://h", **HOSTILE}))
    assert data == (
        b"%b /ui/x?y=z HTTP/1.1\r\nhost: h\r\ncookie: a=b; c=d\r\norigin: http://h\r\ncontent-length: 2\r\n"
        b"connection: close\r\n\r\nab"
    ) % (b"POST" if method == "POST" else b"GET")


def test_a_request_without_host_gets_one() -> None:
    """An HTTP/1.0 request without Host gets one, because Hypercorn receives HTTP/1.1."""
    request = asked()
    request.headers = {}
    assert b"\r\nhost: localhost\r\n" in serialise(request)


@pytest.mark.parametrize(
    "request_",
    [
        asked(target="/ui/x\r\nA: b"),
        asked(target="/ui/x y"),
        asked(target="/ui/\xe9"),
        asked(target="http://h/"),
        asked(headers={"cookie": "a\r\nupgrade: h2c"}),
        asked(headers={"cookie": "a\x00b"}),
        asked(headers={"host": "h\nA: b"}),
    ],
)
def test_what_would_break_the_head_is_refused(request_: Request) -> None:
    """Requests that would break the head are refused, even if the reader had let them pass."""
    with pytest.raises(ValueError, match="break"):
        serialise(request_)


@pytest.mark.parametrize("headers", [HOSTILE, {"upgrade": "h2c", "connection": "Upgrade"}])
async def test_upgrades_are_not_carried(headers: dict[str, str]) -> None:
    """An upgrade request is answered as if it had not asked for one."""
    app = App()
    assert (await browser(app)(asked(target="/ui/x", headers=headers))).status == 200
    assert app.scopes[0]["type"] == "http"
    assert {name for name, _ in app.scopes[0]["headers"]} == {b"host", b"connection"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_wake_nobody(method: str) -> None:
    """Other methods are refused before anything is loaded."""
    response = await PageRequests(lambda: pytest.fail("it was loaded"))(asked(method))
    assert (response.status, dict(response.headers)["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("target", ["/ui/hang", "/ui/hang-late"])
async def test_a_page_that_hangs_is_given_up(target: str) -> None:
    """A page that hangs before or during its answer is cancelled."""
    app = App()
    before = trio.lowlevel.current_statistics().tasks_living
    response = await browser(app, seconds=0.3)(asked(target=target))
    assert response.status == 503
    assert app.cancelled == (target == "/ui/hang")
    assert trio.lowlevel.current_statistics().tasks_living <= before + 1  # trio's own, for the thread


async def test_pages_at_once_are_bounded_and_shared() -> None:
    """The number of pages rendered at once is limited; a source with fewer gets a place of the one with most."""
    app = App()
    door = browser(app, seconds=20)
    await door(asked())
    statuses: dict[int, list[int]] = {1: [], 2: []}

    async def ask(uid: int) -> None:
        request = msgspec.structs.replace(asked(target="/ui/wait"), source=Source(peer=Peer(uid=uid, gid=uid)))
        statuses[uid].append((await door(request)).status)

    async with trio.open_nursery() as nursery:
        for _ in range(PAGES_AT_ONCE):
            nursery.start_soon(ask, 1)
        await trio.testing.wait_all_tasks_blocked()
        await ask(1)
        assert statuses[1] == [503]
        nursery.start_soon(ask, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert statuses == {1: [503, 503], 2: []}
        app.released.set()
    assert (statuses[1].count(503), statuses[1].count(200), statuses[2]) == (2, PAGES_AT_ONCE - 1, [200])


@pytest.mark.parametrize(("target", "words"), [("/ui/long", "too long"), ("/ui/half", "too early")])
async def test_an_answer_that_cannot_be_used(target: str, words: str) -> None:
    """An unusable answer is never sent in part."""
    with pytest.raises(PageError, match=words):
        await HypercornBridge(App(), most_bytes=MOST)(asked(target=target))


@pytest.mark.parametrize("target", ["/ui/fail", "/ui/nothing"])
async def test_an_application_that_fails(target: str) -> None:
    """An application that fails gets a 500 without details."""
    response = await browser()(asked(target=target))
    assert (response.status, response.body) == (500, b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"nonsense\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not final"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "not"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "too early"),
        (b"HTTP/1.1 200 OK\r\n", "too early"),
        (b"", "too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + bytes(101), "too long"),
    ],
)
@pytest.mark.parametrize("step", [1, 10_000])
def test_answers_are_read_strictly(data: bytes, words: str, step: int) -> None:
    """Answers are parsed strictly, however they are split."""
    answer = PageAnswer(100)
    for start in range(0, len(data), step):
        answer.feed(data[start : start + step])
    with pytest.raises(PageError, match=words):
        answer.response()


def test_nothing_after_the_answer_counts() -> None:
    """A second answer on the same connection is ignored."""
    answer = PageAnswer(100)
    assert not answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")
    assert not answer.feed(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    assert answer.response() == Response(200, b"ab")


async def test_first_requests_load_once() -> None:
    """The application is loaded once, in a thread, while concurrent first requests wait."""
    threads: list[int] = []
    door = PageRequests(lambda: threads.append(threading.get_ident()) or App(), seconds=10)  # type: ignore[func-returns-value]
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(door, asked())
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_loading_has_a_limit_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """On a busy machine the first page waits longer than a page may take, and not for ever."""
    loads = threading.Event()

    def make() -> App:
        assert loads.wait(60)
        return App()

    door = PageRequests(make, seconds=0.2, loading_seconds=0.4)
    assert (await door(asked())).status == 503
    assert "GET / took over" in caplog.text
    patient = PageRequests(make, seconds=2)
    async with trio.open_nursery() as nursery:

        async def first() -> None:
            assert (await patient(asked())).status == 200

        nursery.start_soon(first)
        await trio.sleep(2.2)
        loads.set()


async def test_loading_that_fails_is_tried_again() -> None:
    """A failed load is retried by the next request."""
    apps: list[App | None] = [None, App()]

    def make() -> App:
        app = apps.pop(0)
        if app is None:
            raise ImportError("not today")
        return app

    door = PageRequests(make)
    with pytest.raises(ImportError):
        await door(asked())
    assert (await door(asked())).status == 200


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_behind() -> None:
    """After 200 pages, good and bad, the numbers of tasks and descriptors are unchanged."""
    door = browser()
    await door(asked())
    before = trio.lowlevel.current_statistics().tasks_living, _open_descriptors()
    for number in range(200):
        await door(asked("POST" if number % 2 else "GET", "/ui/fail" if number % 5 == 0 else "/ui/x"))
    assert (trio.lowlevel.current_statistics().tasks_living, _open_descriptors()) == before


async def both(request: Request, door: PageRequests) -> Response:
    """A handler with pages below /ui and an API beside them."""
    return await door(request) if request.path.startswith("/ui") else Response(200, b"api")


PAGE = b"GET /ui/x HTTP/1.1\r\nHost: h\r\n\r\n"
API = b"GET /api HTTP/1.1\r\nHost: h\r\n\r\n"


async def ask_in_a_row(client: Client, data: bytes, bodies: list[bytes]) -> None:
    """Send all requests at once and read their answers in order."""
    await client.send(data)
    for body in bodies:
        assert (await client.answer()).body == body


async def test_one_connection_takes_both_roads() -> None:
    """Pipelined requests for pages and the API on one connection are answered in order, each by its own handler."""
    door = browser()
    async with serving(lambda request: both(request, door)) as server, await server.connect("tcp") as client:
        page = b"GET http "
        await ask_in_a_row(client, API + PAGE + API + PAGE + PAGE + API, [b"api", page, b"api", page, page, b"api"])
        upgrade = PAGE[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        await ask_in_a_row(client, upgrade + API, [page, b"api"])
        await client.send(PAGE.replace(b"GET", b"HEAD"))
        answer = await client.answer(to_head=True)
        assert answer.headers["content-length"] == str(len(page))
        assert (await client.ask(API)).body == b"api"


async def test_a_shutdown_does_not_wait_for_a_hung_page() -> None:
    """A hung page is cut off after the drain like other requests."""
    app = App()
    door = browser(app, seconds=60)
    async with (
        serving(lambda request: both(request, door), limits=QUICK) as server,
        await server.connect() as client,
    ):
        await client.send(PAGE.replace(b"/x", b"/hang"))
        await app.hanging.wait()
        server.shutdown.set()
        with trio.fail_after(60):
            await server.stopped.wait()
    assert app.cancelled == 1


async def test_what_hypercorn_raises_when_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypercorn's exceptions on cancellation end only its own request, not the server."""
    begun = trio.Event()

    class AnswersTwice:
        """A Hypercorn that, cancelled in the middle of an answer, begins another, as happens."""

        def __init__(self, *_: object) -> None:
            pass

        async def run(self) -> None:
            begun.set()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise RuntimeError("can't handle event type Response")

    monkeypatch.setattr("herod.server.hypercorn_in_memory.TCPServer", AnswersTwice)
    carrier = HypercornBridge(App(), most_bytes=MOST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(carrier, asked())
        await begun.wait()
        nursery.cancel_scope.cancel()


async def test_what_hypercorn_raises_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Hypercorn ends without an answer, the client gets an error instead of waiting."""

    class Fails:
        """A Hypercorn that ends before answering."""

        def __init__(self, *_: object) -> None:
            pass

        async def run(self) -> None:
            raise RuntimeError("broken")

    monkeypatch.setattr("herod.server.hypercorn_in_memory.TCPServer", Fails)
    with pytest.raises(PageError, match="ends too early"):
        await HypercornBridge(App(), most_bytes=MOST)(asked())
