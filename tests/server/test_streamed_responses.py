"""Streamed bodies: chunked, each piece with a write deadline, and always closed."""

import pytest
import trio

from herod.protocols.http import Handler, Request, Response
from herod.server.connection_limits import Limits
from support.in_process_server import BOTH, GET, QUICK, Way, serving


class Pieces:
    """A stream that records when it is closed."""

    def __init__(self, *pieces: bytes, fails: bool = False) -> None:
        self.pieces = list(pieces)
        self.fails = fails
        self.closed = trio.Event()

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.pieces:
            return self.pieces.pop(0)
        if self.fails:
            raise RuntimeError("the disk is gone")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()
        await trio.lowlevel.checkpoint_if_cancelled()


def answering(stream: Pieces) -> Handler:
    """A handler that answers with the stream."""

    async def handle(request: Request) -> Response:
        return Response(200, headers=(("Content-Type", "application/octet-stream"),), stream=stream)

    return handle


@BOTH
async def test_pieces_are_chunks_and_the_connection_stays(way: Way) -> None:
    """An empty piece does not end the body, and the next request is answered."""
    stream = Pieces(b"one", b"", b"two" * 10)
    async with serving(answering(stream)) as running, await running.connect(way) as client:
        head = await client.ask(GET)
        assert head.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in head.headers
        await client.send(GET.replace(b"GET", b"HEAD").replace(b"Host: h", b"Host: h\r\nConnection: close"))
        body = await client.end()
        assert body.startswith(b"3\r\none\r\n1e\r\n" + b"two" * 10 + b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert body.endswith(b"chunked\r\n\r\n")
        assert stream.closed.is_set()


async def test_a_body_that_fails_has_no_end(caplog: pytest.LogCaptureFixture) -> None:
    """If a stream fails, the client sees a truncated body, and the log has the reason."""
    stream = Pieces(b"one", fails=True)
    async with serving(answering(stream)) as running, await running.connect() as client:
        await client.ask(GET)
        assert await client.end() == b"3\r\none\r\n"
        assert stream.closed.is_set()
    assert "the disk is gone" in caplog.text


async def test_who_does_not_read_is_cut_off() -> None:
    """The write deadline applies to each piece."""
    stream = Pieces(*(bytes(4_000_000) for _ in range(4)))
    async with serving(answering(stream), limits=QUICK) as running, await running.connect() as client:
        await client.send(GET)
        with trio.fail_after(60):
            await stream.closed.wait()
        assert stream.pieces


async def test_who_leaves_costs_nothing() -> None:
    """The stream is closed when the client disconnects."""
    stream = Pieces(*(bytes(1_000_000) for _ in range(50)))
    async with serving(answering(stream), limits=Limits()) as running:
        client = await running.connect()
        await client.send(GET)
        await trio.aclose_forcefully(client.stream)
        with trio.fail_after(60):
            await stream.closed.wait()


@BOTH
async def test_the_end_of_the_connection_is_the_end_for_1_0(way: Way) -> None:
    """HTTP/1.0 has no chunks: it gets the plain pieces, then the end of the connection."""
    stream = Pieces(b"one", b"", b"two" * 10)
    async with serving(answering(stream)) as running, await running.connect(way) as client:
        head = await client.ask(b"GET / HTTP/1.0\r\n\r\n" + GET)
        assert "transfer-encoding" not in head.headers
        assert "content-length" not in head.headers
        assert head.headers["connection"] == "close"
        assert await client.end() == b"one" + b"two" * 10
        assert stream.closed.is_set()


async def test_a_body_that_fails_is_reset_for_1_0() -> None:
    """For HTTP/1.0 a failed stream is reset, because a close would look like a complete body."""
    stream = Pieces(b"one", fails=True)
    async with serving(answering(stream)) as running, await running.connect("tcp") as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await client.end()
