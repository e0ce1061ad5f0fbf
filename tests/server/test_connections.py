"""A real server on real sockets: correct answers, whatever clients send and however they behave."""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import trio

from herod.protocols.http import Request, Response
from herod.scopes.principal import Peer
from herod.server.connection_eviction import Eviction
from herod.server.connection_limits import Limits
from herod.server.response_writer import AnswerWriter
from support.in_process_server import BOTH, GET, QUICK, WAYS, Way, serving


async def settle(condition: Callable[[], bool]) -> None:
    """Wait until other tasks have run."""
    with trio.fail_after(60):
        while not condition():
            await trio.lowlevel.checkpoint()


@BOTH
async def test_keep_alive(way: Way) -> None:
    """One connection serves many requests."""
    async with serving() as running, await running.connect(way) as client:
        for _ in range(3):
            answer = await client.ask(GET)
            assert answer.status == 200
            assert "connection" not in answer.headers


@BOTH
async def test_security_headers_and_date(way: Way) -> None:
    """Every answer has the security headers and a date, including errors and refusals."""
    async with serving() as running:
        for request in (GET, GET.replace(b"/a", b"/boom"), b"nonsense\r\n\r\n"):
            async with await running.connect(way) as client:
                headers = (await client.ask(request)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["date"].endswith(" GMT")
            assert "strict-transport-security" not in headers


@BOTH
async def test_pipelined_requests_are_answered_in_order(way: Way) -> None:
    """Pipelined requests are answered in order."""
    async with serving() as running, await running.connect(way) as client:
        await client.send(b"".join(GET.replace(b"/a", b"/%d" % n) for n in range(100)))
        for n in range(100):
            assert f'"path": "/{n}"'.encode() in (await client.answer()).body


@BOTH
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /close HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"GET / HTTP/1.0\r\n\r\n" + GET,
    ],
    ids=["1.0", "close", "handler", "chunked", "more behind"],
)
async def test_last_request(way: Way, request_bytes: bytes) -> None:
    """After the last request the client reads an answer with `Connection: close`, then the end, and never a reset."""
    async with serving() as running, await running.connect(way) as client:
        answer = await client.ask(request_bytes)
        if request_bytes.startswith(GET):
            answer = await client.answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert await client.end() == b""


@BOTH
async def test_half_closed_client_gets_its_answer(way: Way) -> None:
    """A client that has shut down writing still gets its answer."""
    async with serving() as running, await running.connect(way) as client:
        await client.send(GET)
        await client.below.send_eof()
        assert (await client.answer()).status == 200
        assert await client.end() == b""


async def test_head_has_no_body() -> None:
    """HEAD is answered with the length of the omitted body."""
    async with serving() as running, await running.connect() as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = await client.answer(to_head=True)
        assert int(answer.headers["content-length"]) > 0
        assert (await client.ask(GET)).status == 200


async def test_expect_continue() -> None:
    """A client that waits for `100 Continue` gets it, then its answer."""
    async with serving() as running, await running.connect() as client:
        interim = await client.ask(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert interim.head == b"HTTP/1.1 100 Continue"
        assert b'"body": "ab"' in (await client.ask(b"ab")).body


async def test_continue_is_not_said_to_what_is_refused() -> None:
    """A body over the limit is refused before it is sent."""
    async with serving() as running, await running.connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n"
        assert (await client.ask(head)).status == 413


@BOTH
async def test_body_limit(way: Way) -> None:
    """64 KiB are accepted; one byte more is a 413, which arrives even if the client sends everything first."""
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
    async with serving() as running:
        async with await running.connect(way) as client:
            assert (await client.ask(head % 65536 + b"x" * 65536)).status == 200
        for length in (65537, 900_000):
            async with await running.connect(way) as client:
                answer = await client.ask(head % length + b"x" * length)
                assert (answer.status, answer.code) == (413, "too_large")
                assert await client.end() == b""


async def test_handler_failure_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A handler's exception is logged in full and answered without details, and the connection continues."""
    async with serving() as running, await running.connect() as client:
        answer = await client.ask(GET.replace(b"/a", b"/boom"))
        assert (answer.status, answer.code) == (500, "internal")
        assert b"secret reason" not in answer.head + answer.body
        assert "secret reason" in caplog.text
        assert (await client.ask(GET)).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, headers=(("A", "b\r\nSet-Cookie: c=d"),)),
        Response(200, headers=(("A\n", "b"),)),
        Response(200, headers=(("Content-Length", "3"),)),
        Response(100),
    ],
    ids=["value", "name", "length", "status"],
)
async def test_broken_answer_is_a_500(answer: Response) -> None:
    """An invalid response of a handler is never sent."""

    async def handle(_: Request) -> Response:
        return answer

    async with serving(handle) as running, await running.connect() as client:
        said = await client.ask(GET)
        assert said.status == 500
        assert "set-cookie" not in said.headers


async def test_group_of_errors(caplog: pytest.LogCaptureFixture) -> None:
    """An ExceptionGroup of a handler is answered like any other exception."""

    async def handle(_: Request) -> Response:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)
        raise AssertionError

    async def fail() -> None:
        raise OSError("disk")

    async with serving(handle) as running, await running.connect() as client:
        assert (await client.ask(GET)).status == 500
        assert (await client.ask(GET)).status == 500
    assert "ExceptionGroup" in caplog.text


async def test_source_over_unix() -> None:
    """A handler gets the peer credentials from the kernel and the cookie of the socket."""
    seen: list[Request] = []

    async def handle(request: Request) -> Response:
        seen.append(request)
        return Response(204)

    async with serving(handle) as running:
        async with await running.connect() as client:
            for _ in range(2):
                answer = await client.ask(GET)
                assert (answer.status, answer.body) == (204, b"")
                assert "content-length" not in answer.headers
        async with await running.connect("tcp") as client:
            await client.ask(GET)
        cookie = running.listeners[0].cookie
    first, second, over_tcp = (request.source for request in seen)
    assert first is second
    assert first.peer == Peer(os.getuid(), os.getgid(), frozenset(os.getgroups()))
    assert (first.address, first.cookie) == ("unix", cookie)
    assert cookie is not None
    assert (over_tcp.peer, over_tcp.address, over_tcp.cookie) == (None, "127.0.0.1", None)


async def test_slow_handler_is_not_cut() -> None:
    """A handler may take longer than any of the client deadlines."""

    async def handle(_: Request) -> Response:
        await trio.sleep(2 * QUICK.idle_seconds)
        return Response(200, b"late")

    async with serving(handle, limits=QUICK) as running, await running.connect() as client:
        assert (await client.ask(GET)).body == b"late"


async def test_request_is_finished_for_a_client_that_left() -> None:
    """A request in progress is completed although its client has disconnected."""
    begun, done = trio.Event(), trio.Event()
    go_on = trio.Event()

    async def handle(_: Request) -> Response:
        begun.set()
        await go_on.wait()
        done.set()
        return Response(200, b"x" * 1_000_000)

    async with serving(handle) as running:
        async with await running.connect() as client:
            await client.send(GET)
            await begun.wait()
        go_on.set()
        with trio.fail_after(60):
            await done.wait()


async def test_pipelining_does_not_starve_others() -> None:
    """While hundreds of pipelined requests of one client wait, another client is answered."""
    order: list[str] = []

    async def handle(request: Request) -> Response:
        order.append(request.path)
        return Response(204)

    async with serving(handle) as running, await running.connect() as greedy, await running.connect() as modest:
        await greedy.ask(GET)
        await modest.ask(GET)
        order.clear()
        await greedy.send(GET.replace(b"/a", b"/greedy") * 200)
        await modest.ask(GET.replace(b"/a", b"/modest"))
        for _ in range(200):
            await greedy.answer()
        assert order.index("/modest") < 100


async def test_cap_refuses_when_all_are_busy(caplog: pytest.LogCaptureFixture) -> None:
    """With every slot busy a new client is refused at once, and the others continue."""
    async with serving(limits=Limits(max_connections=3)) as running:
        clients = [await running.connect(way) for way in ("unix", "tcp", "unix")]
        for client in clients:
            await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        await trio.testing.wait_all_tasks_blocked(0.01)
        for way in WAYS:
            async with await running.connect(way) as late:
                answer = await late.ask(GET)
                assert (answer.status, answer.code) == (503, "unavailable")
                assert answer.headers["retry-after"] == "1"
                assert await late.is_cut()
        for client in clients:
            assert (await client.ask(b"defghij")).status == 200
            await trio.aclose_forcefully(client.stream)
        async with await running.connect() as late:
            assert (await late.ask(GET)).status == 200
    assert caplog.text.count("new clients are refused") == 1


async def test_few_are_told_that_all_places_are_taken() -> None:
    """Beyond a number of refusals clients are closed without an answer, so that they hold no descriptors."""
    async with serving(limits=Limits(max_connections=1)) as running, await running.connect() as busy:
        await busy.send(b"GET")
        clients = [await running.connect() for _ in range(40)]
        said = []
        for client in clients:
            await client.stream.wait_send_all_might_not_block()
            said.append(await client.all_until_over())
            await trio.aclose_forcefully(client.stream)
        assert sum(one.startswith(b"HTTP/1.1 503") for one in said) == 32
        assert said.count(b"") == 8
        assert (await busy.ask(b" / HTTP/1.1\r\nHost: h\r\n\r\n")).status == 200


async def test_fault_of_the_server_ends_one_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the server itself is logged and ends only its connection."""
    async with serving() as running, await running.connect() as other:
        await other.ask(GET)
        with monkeypatch.context() as patch:
            patch.setattr(AnswerWriter, "encode", None)
            async with await running.connect() as client:
                await client.send(GET)
                assert await client.is_cut()
        assert "a connection ended with an internal error" in caplog.text
        assert (await other.ask(GET)).status == 200


async def test_cap_evicts_the_longest_idle() -> None:
    """With every slot idle, a new client evicts the connection that was idle longest."""
    limits = Limits(max_connections=2, sweep_seconds=0.02, evict_seconds=0.05)
    async with serving(limits=limits) as running, await running.connect() as old, await running.connect() as young:
        await old.ask(GET)
        await trio.sleep(0.1)
        await young.ask(GET)
        await trio.sleep(0.1)
        async with await running.connect() as new:
            assert (await new.ask(GET)).status == 200
            assert await old.is_cut()
            assert (await young.ask(GET)).status == 200


async def test_cap_evicts_half_a_request_first() -> None:
    """An unfinished request is evicted when a slot is needed, however its bytes trickle in."""
    limits = Limits(max_connections=2, sweep_seconds=0.02, evict_seconds=0.05)
    async with serving(limits=limits) as running, await running.connect() as idle, await running.connect() as slow:
        await idle.ask(GET)
        await trio.sleep(0.1)
        await slow.send(GET[:5])
        await trio.sleep(0.1)
        await slow.send(GET[5:9])
        async with await running.connect() as new:
            assert (await new.ask(GET)).status == 200
            assert await slow.is_cut()
            assert (await idle.ask(GET)).status == 200


class Steps(trio.abc.Instrument):
    """Counts the steps of tasks."""

    def __init__(self) -> None:
        self.taken = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count one."""
        self.taken += 1


async def test_others_get_a_turn_between_two_evictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each newcomer costs a search of all connections, a burst of them does not hold the loop."""
    steps, searches = Steps(), []

    def choose(self: Eviction[Any], newcomer: str | None, *, latest: float) -> None:
        searches.append(steps.taken)

    monkeypatch.setattr(Eviction, "choose", choose)
    trio.lowlevel.add_instrument(steps)
    async with serving(limits=Limits(max_connections=1)) as running, await running.connect() as first:
        await first.ask(GET)
        with ExitStack() as burst:
            for _ in range(10):
                burst.enter_context(socket.socket(socket.AF_UNIX)).connect(running.path)
            await settle(lambda: len(searches) == 10)
    trio.lowlevel.remove_instrument(steps)
    assert len(set(searches)) == 10


async def test_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """The access log has one line for each answer without query, body or headers, and none for quiet ones."""
    caplog.set_level(logging.INFO, "herod.access")
    async with serving() as running, await running.connect() as client:
        await client.ask(b"POST /p?token=t HTTP/1.1\r\nHost: h\r\nReferer: r\r\nContent-Length: 4\r\n\r\nbody")
        await client.ask(GET.replace(b"/a?b", b"/quiet"))
        await client.ask(b"nonsense\r\n\r\n")
    lines = [record for record in caplog.records if record.name == "herod.access"]
    assert [(line.__dict__["method"], line.__dict__["path"], line.__dict__["status"]) for line in lines] == [
        ("POST", "/p", 200),
        ("-", "-", 400),
    ]
    assert all(line.__dict__["source"] == f"uid:{os.getuid()}" for line in lines)
