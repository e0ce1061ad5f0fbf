"""Hostile bytes and stalled clients on real sockets: the server survives and releases everything."""

import select
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from herod.protocols.http import Request, Response
from support.http_messages import BAD, GOOD, LIMITS
from support.in_process_server import (
    EVERY,
    GET,
    QUICK,
    STALLS,
    Client,
    Running,
    Stall,
    Way,
    certificates,
    descriptors,
    echo,
    serving,
    settle,
    tasks,
)

# STACK.md's list and more: none of it may stop or slow the server.
HOSTILE: dict[str, bytes] = {
    **{f"bad: {name}": data for name, (data, _) in BAD.items()},
    **{f"good: {name}": data for name, (data, _) in GOOD.items()},
    "frames behind a websocket upgrade": GOOD["websocket upgrade"][0] + b"\x81\x85\x00\x00\x00\x00hello",
    "odd websocket protocol": GOOD["websocket upgrade"][0][:-2] + b"Sec-WebSocket-Protocol: \xff\r\n\r\n",
    "h2c with bad settings": (
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: ***\r\n\r\n"
    ),
    "http/2 frames": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "nothing": b"",
    "zeros": b"\0" * 20_000,
    "random": bytes(range(256)) * 100,
    "much after a refusal": b"x" * 2_000_000,
    "many requests at once": GET * 3000,
    "smuggled": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    ),
}


async def send_and_leave(client: Client, data: bytes) -> None:
    """Send what the server takes at once, read nothing, close."""
    async with client:
        with trio.move_on_after(0.02), suppress(trio.BrokenResourceError):
            await client.stream.send_all(data)


async def send_and_read(client: Client, data: bytes) -> bytes:
    """Send and read everything."""

    async def send() -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await client.stream.send_all(data)
            await client.below.send_eof()

    async with client, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        said = await client.all_until_over()
        nursery.cancel_scope.cancel()
    return said


@EVERY
async def test_hostile_bytes(way: Way) -> None:
    """Hostile bytes around or instead of a valid request, from clients that read or leave, do not stop the server."""
    seen: list[str] = []

    async def handle(request: Request) -> Response:
        seen.append(request.path)
        return await echo(request)

    async with serving(handle, limits=QUICK, tls=certificates(way)) as running:
        assert await serves(running, way)
        tasks_before, descriptors_before = tasks(), descriptors()
        for name, data in HOSTILE.items():
            for prefix in (b"", GET):
                await send_and_leave(await running.connect(way), prefix + data)
                said = await send_and_read(await running.connect(way), prefix + data + (GET if not prefix else b""))
                assert b"HTTP/1.1 5" not in said.replace(b"HTTP/1.1 501", b""), name
                assert said.startswith(b"HTTP/1.1 200") or not prefix, name
            assert await serves(running, way), name
        await settle(lambda: tasks() <= tasks_before and descriptors() <= descriptors_before)
        assert await serves(running, way)
    assert "/smuggled" not in seen


async def serves(running: Running, way: Way) -> bool:
    """Whether a valid client gets an answer."""
    async with await running.connect(way) as good:
        return (await good.ask(GET)).status == 200


@EVERY
async def test_refused_and_closed(way: Way) -> None:
    """Ambiguous bytes are refused with a JSON error, and the connection is closed."""
    async with serving(limits=LIMITS, tls=certificates(way)) as running:
        for name, (data, status) in BAD.items():
            async with await running.connect(way) as client:
                answer = await client.ask(data)
                assert answer.status == status, name
                assert answer.code == ("too_large" if status == 413 else "invalid_request"), name
                assert answer.headers["connection"] == "close", name
                await client.below.send_eof()
                assert await client.end() == b"", name


@EVERY
@pytest.mark.parametrize("stall", STALLS)
async def test_stalled_clients_are_gone(way: Way, stall: Stall, mock_clock: MockClock) -> None:
    """Clients that stall are cut off by their deadline, while another is served."""
    async with serving(limits=QUICK, tls=certificates(way)) as running:
        before = descriptors()
        clients = []
        for _ in range(20):
            clients.append(client := await running.connect(way))
            await stall(client)
        mock_clock.rate = 10  # until now it stood still
        with trio.fail_after(600):
            while descriptors() > before + len(clients):  # each has one at this end and one at the server's
                assert await serves(running, way)
        for client in clients:
            await client.all_until_over()
            await trio.aclose_forcefully(client.stream)


async def test_trickling_is_cut() -> None:
    """An occasional byte does not extend a deadline, in the head or in the body."""
    body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n"

    async def trickle(client: Client) -> None:
        with trio.fail_after(60):
            while True:
                await client.stream.send_all(b"A")
                await trio.sleep(0.01)

    async with serving(limits=QUICK) as running:
        for start in (b"A", body):
            async with await running.connect() as client:
                await client.send(start)
                with pytest.raises(trio.BrokenResourceError):
                    await trickle(client)


async def test_reader_that_stalls_over_tcp_is_reset() -> None:
    """Data that a client did not read in time is discarded by a reset, not kept by the kernel for minutes."""
    async with serving(limits=QUICK) as running, await running.connect("tcp") as client:
        await client.send(GET.replace(b"/a", b"/big"))
        poll = select.poll()
        poll.register(client.below.socket.fileno(), select.POLLHUP)
        await settle(lambda: bool(poll.poll(0)))
