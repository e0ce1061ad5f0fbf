"""Answers that clients do not read: counted by source and bounded; the connection that holds too much is cut off.

Real sockets with small bounds here; `tests/daemon/attacks/test_unread_answers.py` has the attack on a daemon.
"""

import socket
from dataclasses import dataclass
from typing import Literal

import pytest
import trio
import trio.testing

from herod.protocols.http import Request, Response
from herod.server.connection_limits import Limits
from herod.server.send_buffer_limits import SendBuffers
from support.in_process_server import GET, Client, Way, certificates, serving

KIB = 1024


@dataclass(eq=False)
class Holder:
    """A connection that can be cut off."""

    share: str


def bounded(connection: int = 100, source: int = 250, total: int = 400) -> SendBuffers[Holder]:
    """Small bounds that a test fills."""
    return SendBuffers(Limits(unsent_bytes=connection, unsent_bytes_of_source=source, unsent_bytes_in_all=total))


def test_one_connection() -> None:
    """Only the connection that holds more than its limit is cut off."""
    unsent, one = bounded(), Holder("a")
    assert unsent.add(one, 100) == []
    unsent.discard(one)
    assert unsent.add(one, 101) == [one]
    assert len(unsent) == 0


def test_one_source() -> None:
    """Over the limit of a source, its longest-waiting connection is cut off, and other sources' are not."""
    unsent = bounded()
    other, first, second, third = Holder("b"), Holder("a"), Holder("a"), Holder("a")
    for one in (other, first, second):
        assert unsent.add(one, 100) == []
    assert unsent.add(third, 100) == [first]
    assert len(unsent) == 300


def test_all_together() -> None:
    """Over the total limit, the source that holds most is cut off, whichever came last."""
    unsent = bounded(total=350)
    heavy = [Holder("a"), Holder("a")]
    for one in (*heavy, Holder("b")):
        assert unsent.add(one, 100) == []
    assert unsent.add(Holder("c"), 100) == heavy[:1]


def test_a_range_of_sources() -> None:
    """Over the total limit, whoever has many sources that hold little each is cut off, and not another with more."""
    unsent = bounded(total=350)
    theirs = [Holder(f"uid:{100_000 + number}") for number in range(5)]
    mine = Holder("uid:7")
    assert unsent.add(mine, 100) == []
    assert [one for holder in theirs for one in unsent.add(holder, 60)] == theirs[:1]
    assert len(unsent) == 340


def test_what_is_taken_is_forgotten() -> None:
    """Discarding a connection frees its bytes, may be repeated, and ignores unknown ones."""
    unsent, one = bounded(), Holder("a")
    unsent.discard(one)
    unsent.add(one, 60)
    for _ in range(2):
        unsent.discard(one)
    assert len(unsent) == 0
    assert unsent.add(one, 100) == []


async def answer(request: Request) -> Response:
    """`/long` answers with a body of its own, `/kept` with a shared one of the same length."""
    length = 900 * KIB
    match request.path:
        case "/long":
            return Response(200, bytes(length))
        case "/kept":
            return Response(200, b"[", shared=bytes(length - 2) + b"]")
        case _:
            return Response(200, b"short")


LIMITS = Limits(unsent_bytes_of_source=2000 * KIB, unsent_bytes_in_all=4000 * KIB, write_seconds=60)


async def ask(client: Client, path: Literal["/long", "/kept"]) -> None:
    """Send a request and read nothing."""
    await client.send(GET.replace(b"/a", path.encode()))
    await trio.testing.wait_all_tasks_blocked(0.02)


async def is_cut_off(client: Client) -> bool:
    """Whether the answer is truncated."""
    taken = 0
    with trio.fail_after(60):
        try:
            while taken < 900 * KIB:
                data = await client.stream.receive_some(64 * KIB)
                if not data:
                    return True
                taken += len(data)
        except trio.BrokenResourceError:
            return True
    return False


@pytest.mark.parametrize("way", ["unix", "tcp"])
async def test_the_longest_waiting_of_a_source_is_cut_off(way: Way) -> None:
    """Of three answers of 900 KiB the first is cut off at a limit of 2000 KiB, and another client is served."""
    async with serving(answer, limits=LIMITS) as running:
        clients = [await running.connect(way) for _ in range(3)]
        for client in clients:
            await ask(client, "/long")
        async with await running.connect(way) as good:
            assert (await good.ask(GET)).status == 200
        assert [await is_cut_off(client) for client in clients] == [True, False, False]
        for client in clients:
            await trio.aclose_forcefully(client.stream)


async def test_one_copy_for_all_is_not_counted() -> None:
    """A shared document is not counted, so any number of clients may read it slowly."""
    async with serving(answer, limits=LIMITS) as running:
        clients = [await running.connect("unix") for _ in range(8)]
        for client in clients:
            await ask(client, "/kept")
        assert not any([await is_cut_off(client) for client in clients])
        for client in clients:
            await trio.aclose_forcefully(client.stream)


@pytest.mark.parametrize("way", ["unix", "tcp", "tls"])
async def test_what_was_taken_is_no_longer_held(way: Way) -> None:
    """Bytes that a client has read are no longer counted, over many long answers."""
    limits = Limits(unsent_bytes_of_source=1000 * KIB, unsent_bytes_in_all=1000 * KIB)
    async with serving(answer, limits=limits, tls=certificates(way)) as running, await running.connect(way) as client:
        for _ in range(5):
            assert len((await client.ask(GET.replace(b"/a", b"/long"))).body) == 900 * KIB


@pytest.mark.parametrize("way", ["unix", "tcp", "tls"])
async def test_one_answer_that_is_too_long(way: Way) -> None:
    """A single answer over the limit ends only its own connection."""
    limits = Limits(unsent_bytes=500 * KIB)
    async with (
        serving(answer, limits=limits, tls=certificates(way)) as running,
        await running.connect(way) as other,
        await running.connect(way) as client,
    ):
        await client.send(GET.replace(b"/a", b"/long"))
        assert await is_cut_off(client)
        assert (await other.ask(GET)).status == 200


async def test_nobody_is_cut_off_for_another_source() -> None:
    """A pending answer of a local user survives while an address fills the total limit repeatedly."""
    limits = Limits(unsent_bytes_of_source=4000 * KIB, unsent_bytes_in_all=3000 * KIB)
    async with serving(answer, limits=limits) as running:
        waiting = await running.connect("unix")
        await ask(waiting, "/long")
        others = [await running.connect("tcp") for _ in range(6)]
        for other in others:
            await ask(other, "/long")
        assert not await is_cut_off(waiting)
        assert [await is_cut_off(other) for other in others] == [True] * 4 + [False] * 2
        for client in (waiting, *others):
            await trio.aclose_forcefully(client.stream)


async def test_the_kernel_keeps_a_bounded_number_of_bytes() -> None:
    """TCP buffers are bounded in both directions; Linux doubles the value (socket(7), SO_RCVBUF)."""
    limits = Limits(send_buffer_bytes=50_000, receive_buffer_bytes=30_000)
    async with serving(answer, limits=limits) as running:
        tcp = running.listeners[1].socket
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * limits.send_buffer_bytes
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * limits.receive_buffer_bytes
