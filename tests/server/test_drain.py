"""Shutdown: requests in progress are completed, and others do not delay it."""

import pytest
import trio

from herod.protocols.http import Request, Response
from herod.server.connection_limits import Limits
from support.in_process_server import GET, STALLS, WAYS, Stall, serving


async def test_drain_ends_idle_connections_at_once() -> None:
    """A shutdown closes idle connections, refuses new ones, and removes the socket's path."""
    async with serving() as running:
        clients = [await running.connect(way) for way in WAYS]
        for client in clients:
            await client.ask(GET)
        running.shutdown.set()
        with trio.fail_after(60):
            await running.stopped.wait()
        for client in clients:
            assert await client.is_cut()
            await trio.aclose_forcefully(client.stream)
        with pytest.raises(OSError, match=r"No such file|refused"):
            await running.connect()
        with pytest.raises(OSError, match="all attempts to connect"):
            await running.connect("tcp")


async def test_drain_finishes_what_is_in_hand() -> None:
    """A request in progress at the shutdown is answered, with `Connection: close`."""
    begun, go_on = trio.Event(), trio.Event()

    async def handle(_: Request) -> Response:
        begun.set()
        await go_on.wait()
        return Response(200, b"done")

    async with serving(handle) as running, await running.connect() as client:
        await client.send(GET)
        await begun.wait()
        running.shutdown.set()
        await trio.testing.wait_all_tasks_blocked()
        assert not running.stopped.is_set()
        go_on.set()
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert await client.end() == b""


async def test_drain_answers_what_has_come() -> None:
    """A request already received at the shutdown is answered."""
    async with serving() as running, await running.connect() as client:
        await client.ask(GET)
        await client.send(GET)
        running.shutdown.set()
        assert (await client.answer()).status == 200
        assert await client.end() == b""


@pytest.mark.parametrize("stall", STALLS)
async def test_drain_is_bounded(stall: Stall) -> None:
    """Stalled clients do not delay a shutdown."""
    limits = Limits(drain_seconds=0.1)
    async with serving(limits=limits) as running:
        clients = [await running.connect(way) for way in WAYS]
        for client in clients:
            await stall(client)
        running.shutdown.set()
        with trio.fail_after(60):
            await running.stopped.wait()
        for client in clients:
            await trio.aclose_forcefully(client.stream)


async def test_drain_cuts_a_handler_off() -> None:
    """A handler that does not end is cancelled after the drain time."""
    cancelled = False

    async def handle(_: Request) -> Response:
        nonlocal cancelled
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled = True
            raise

    async with serving(handle, limits=Limits(drain_seconds=0.1)) as running, await running.connect() as client:
        await client.send(GET)
        await trio.testing.wait_all_tasks_blocked(0.01)
        running.shutdown.set()
        with trio.fail_after(60):
            await running.stopped.wait()
        assert await client.is_cut()
    assert cancelled
