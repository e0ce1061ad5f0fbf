"""Heads that two parsers may read differently: one meaning however they arrive, never another reader's second request.

HEROD_HEADS messages from HEROD_SEED: whole, in pieces and byte by byte; compared with h11, and sent to a real server.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import h11
import trio

from attacks.hostile_heads import SMUGGLED, heads
from herod.protocols.error_codes import row_of
from herod.protocols.http import Request, Response
from herod.scopes.principal import Source
from herod.server.connection_limits import Limits
from herod.server.request_reader import RequestReader
from herod_client.core.errors import HerodError
from support.in_process_server import GET, QUICK, Client, Running, echo, serving
from support.soak_rounds import chance, count

HEADS: Final = count("HEADS")
Message = tuple[str, str, bytes]


def read(pieces: Iterable[bytes]) -> tuple[list[Message], int]:
    """What herod reads: the requests, and the status of a refusal or 0."""
    reader = RequestReader(Source(address="192.0.2.7"), limits=Limits())
    found: list[Message] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (request := reader.take()) is not None:
                found.append((request.method, f"{request.path}?{request.query}".removesuffix("?"), request.body))
                if reader.is_last:
                    return found, 0
    except HerodError as refusal:
        return found, row_of(refusal).http
    return found, 0


def first_by_h11(data: bytes) -> Message | None:
    """What h11 reads as the first request; None if it refuses it, or waits for more."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    method, target, body = "", "", b""
    with suppress(h11.RemoteProtocolError):
        while True:
            match connection.next_event():
                case h11.Request() as request:
                    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
                case h11.Data() as part:
                    body += bytes(part.data)
                case h11.EndOfMessage():
                    return method, target, body
                case _:
                    return None
    return None


def test_one_meaning(say: Callable[[str], None]) -> None:
    """Each message gives the same requests and refusal however it arrives; what h11 accepts too is the same request."""
    draw = chance("heads")
    accepted = agreed = 0
    for data in heads(HEADS, draw):
        whole = read([data + SMUGGLED])
        text = data + SMUGGLED
        at = draw.randrange(1, len(text))
        for pieces in ([text[:at], text[at:]], [text[n : n + 1] for n in range(len(text))]):
            assert read(pieces) == whole, data
        requests, status = whole
        assert status < 500 or status == 501
        if not requests:
            continue
        accepted += 1
        second = first_by_h11(text)
        if second is not None:
            agreed += 1
            method, target, body = second
            assert (method, target.removeprefix("http://h"), body) == requests[0], data
        assert {target for _, target, _ in requests} <= {"/a", "/../a", "*", "/smuggled"}, data
    assert accepted < HEADS // 2
    say(f"{HEADS} heads: {accepted} accepted, {agreed} of them by h11, too, with the same meaning")


async def send(running: Running, data: bytes, *, by_bytes: bool) -> bytes:
    """Send it, and read until the server closes or waits."""

    async def write(client: Client) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for n in range(0, len(data), 1 if by_bytes else len(data)):
                await client.stream.send_all(data[n : n + (1 if by_bytes else len(data))])
            await client.below.send_eof()

    async with await running.connect() as client, trio.open_nursery() as nursery:
        nursery.start_soon(write, client)
        return await client.all_until_over()


async def test_on_sockets(say: Callable[[str], None]) -> None:
    """On a connection, each message is answered as the reader alone reads it, whole and byte by byte, without a 5xx."""
    seen: list[str] = []
    statuses: Counter[bytes] = Counter()

    async def handle(request: Request) -> Response:
        seen.append(request.path)
        return await echo(request)

    async with serving(handle, limits=QUICK) as running:
        for data in heads(HEADS, chance("heads")):
            expected, _ = read([data + SMUGGLED])
            for by_bytes in (False, True):
                seen.clear()
                said = await send(running, data + SMUGGLED, by_bytes=by_bytes)
                assert b"HTTP/1.1 5" not in said.replace(b"HTTP/1.1 501", b""), data
                assert seen == [target.partition("?")[0] for _, target, _ in expected], data
                statuses[said[9:12]] += 1
        async with await running.connect() as good:
            assert (await good.ask(GET)).status == 200
    say(f"{2 * HEADS} messages, whole and byte by byte; first statuses: {dict(sorted(statuses.items()))}")
