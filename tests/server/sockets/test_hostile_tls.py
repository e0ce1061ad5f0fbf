"""Hostile TLS: before, instead of and after a handshake, and around a valid request inside it."""

import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from herod.protocols.http import Request, Response
from support.in_process_server import (
    GET,
    QUICK,
    Client,
    Running,
    certificates,
    descriptors,
    echo,
    serving,
    settle,
    tasks,
    trusting,
)

ALERT, HANDSHAKE, DATA = 21, 22, 23


def record(kind: int, data: bytes, *, version: int = 0x0303, length: int | None = None) -> bytes:
    """An unencrypted TLS record (RFC 8446, section 5.1), with a correct or wrong length."""
    return struct.pack("!BHH", kind, version, len(data) if length is None else length) + data


def make_hello() -> bytes:
    """The ClientHello of a valid client."""
    outgoing = ssl.MemoryBIO()
    client = trusting().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = make_hello()
WARNING = record(ALERT, b"\x01\x5a")  # user_canceled
CCS = record(20, b"\x01")

# Sent instead of a handshake.
NO_HANDSHAKE: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(20_000),
    "garbage": bytes(range(256)) * 80,
    "garbage in a handshake record": record(HANDSHAKE, b"\xff" * 512),
    "a random hello": record(HANDSHAKE, b"\x01\x00\x02\x00\x03\x03" + b"\xaa" * 506),
    "plain http": GET,
    "plain http, long": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000,
    "a proxy's connect": b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "proxy protocol": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + HELLO,
    "ssh": b"SSH-2.0-x\r\n",
    "ssl 2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01\x00\x80" * 7 + bytes(16),
    "ssl 3 only": record(HANDSHAKE, b"\x01\x00\x00\x2b\x03\x00" + bytes(32) + b"\x00\x00\x04\x00\x2f\x00\x35\x01\x00"),
    "one byte": HELLO[:1],
    "a record's head": HELLO[:5],
    "half a hello": HELLO[: len(HELLO) // 2],
    "all but a byte": HELLO[:-1],
    "hello and an end": HELLO,
    "two hellos": HELLO * 2,
    "hello and plain http": HELLO + GET,
    "hello and garbage": HELLO + b"\xff" * 5000,
    "hello and data": HELLO + record(DATA, bytes(64)),
    "hello in crumbs": b"".join(record(HANDSHAKE, HELLO[n : n + 1]) for n in range(5, len(HELLO))),
    "hello with bytes behind": record(HANDSHAKE, HELLO[5:] + b"x" * 100),
    "hello that promises 16 MB": record(HANDSHAKE, b"\x01\xff\xff\xff" + HELLO[9:]),
    "a huge record": record(HANDSHAKE, bytes(65_535)),
    "a huge record that does not come": record(HANDSHAKE, b"", length=65_535),
    "records of nothing": record(HANDSHAKE, b"") * 2000,
    "a flood of alerts": WARNING * 5000,
    "a fatal alert": record(ALERT, b"\x02\x28"),
    "half an alert": record(ALERT, b"\x02"),
    "an unknown alert": record(ALERT, b"\x07\xff"),
    "close_notify": record(ALERT, b"\x01\x00"),
    "a flood of cipher changes": CCS * 5000,
    "a heartbeat (CVE-2014-0160)": record(24, b"\x01\x40\x00"),
    "an unknown record": record(99, b"x" * 100),
    "an unknown version": record(HANDSHAKE, HELLO[5:], version=0x7F7F),
    "data first": record(DATA, GET),
    "finished first": record(HANDSHAKE, b"\x14\x00\x00\x0c" + bytes(12)),
    "key update first": record(HANDSHAKE, b"\x18\x00\x00\x01\x01"),
    "hello request first": record(HANDSHAKE, b"\x00\x00\x00\x00"),
}

# Sent after a handshake, below its protection.
RAW_RECORDS: dict[str, bytes] = {
    "a forged record": record(DATA, bytes(32)),
    "an empty record": record(DATA, b""),
    "a record too short for its tag": record(DATA, b"x"),
    "a huge record": record(DATA, bytes(65_535)),
    "a huge record that does not come": record(DATA, b"", length=65_535),
    "a truncated record": record(DATA, bytes(10), length=400),
    "half a record's head": b"\x17\x03",
    "plain http": GET,
    "garbage": bytes(range(256)) * 80,
    "zeros": bytes(20_000),
    "a hello": HELLO,
    "a flood of alerts": WARNING * 5000,
    "a fatal alert in the clear": record(ALERT, b"\x02\x28"),
    "close_notify in the clear": record(ALERT, b"\x01\x00"),
    "a flood of cipher changes": CCS * 5000,
    "renegotiation in the clear": record(HANDSHAKE, b"\x00\x00\x00\x00"),
    "a heartbeat": record(24, b"\x01\x40\x00"),
    "an unknown record": record(99, b"x"),
    "nothing": b"",
}


@asynccontextmanager
async def counted() -> AsyncIterator[tuple[Running, list[str]]]:
    """A server with TLS and its received requests; at the end it must still serve and have released everything."""
    seen: list[str] = []

    async def handle(request: Request) -> Response:
        seen.append(request.path)
        return await echo(request)

    async with serving(handle, limits=QUICK, tls=certificates()) as running:
        assert await serves(running)
        tasks_before, descriptors_before = tasks(), descriptors()
        yield running, seen
        assert await serves(running)
        await settle(lambda: tasks() <= tasks_before and descriptors() <= descriptors_before)


async def serves(running: Running) -> bool:
    """Whether a valid client gets an answer."""
    async with await running.connect("tls") as good:
        return (await good.ask(GET)).status == 200


async def send_raw(client: Client, data: bytes, *, ends: bool) -> bytes:
    """Send below TLS, optionally shut down writing, and read the raw bytes until the connection ends."""
    below = Client(client.below)
    said = b""
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await below.stream.send_all(data)
                if ends:
                    await client.below.send_eof()

        nursery.start_soon(send)
        said = await below.all_until_over()
        nursery.cancel_scope.cancel()
    return said


@pytest.mark.parametrize("ends", [True, False], ids=["and leaves", "and stays"])
async def test_in_place_of_a_handshake(ends: bool) -> None:
    """No request reaches the API, and only plain HTTP gets an unencrypted answer, a line about https."""
    async with counted() as (running, seen):
        said: dict[str, bytes] = {}

        async def attack(name: str, data: bytes) -> None:
            async with await running.connect("tcp") as client:
                said[name] = await send_raw(client, data, ends=ends)

        asked = len(seen)
        async with trio.open_nursery() as nursery:  # concurrently: each client that stays waits for its deadline
            for name, data in NO_HANDSHAKE.items():
                nursery.start_soon(attack, name, data)
        assert len(seen) == asked
    told = {name for name, answer in said.items() if b"HTTP/" in answer}
    assert told <= {"plain http", "plain http, long", "a proxy's connect"}
    assert b"https://" in said["plain http"]
    assert all(b"HTTP/1.1 5" not in answer for answer in said.values())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("good", [b"", GET, GET[:9]], ids=["first", "after a request", "in a request"])
async def test_records_behind_a_handshake(version: ssl.TLSVersion, good: bytes) -> None:
    """A valid request before the records is answered, and the records are not taken as another request."""
    context = trusting()
    context.minimum_version = context.maximum_version = version
    try:
        async with counted() as (running, seen):
            asked = len(seen)

            async def attack(data: bytes) -> None:
                async with await running.connect("tls") as client:
                    if good == GET:
                        assert (await client.ask(GET)).status == 200
                    elif good:
                        await client.send(good)
                    assert b"HTTP/" not in await send_raw(client, data, ends=False)

            async with trio.open_nursery() as nursery:
                for data in RAW_RECORDS.values():
                    nursery.start_soon(attack, data)
            assert len(seen) - asked == (len(RAW_RECORDS) if good == GET else 0)
    finally:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED


async def close_without_a_word(client: Client) -> None:
    """Close the socket without close_notify."""
    await client.below.aclose()


async def reset(client: Client) -> None:
    """Reset without close_notify."""
    client.below.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.below.aclose()


async def half_close_without_a_word(client: Client) -> None:
    """Shut down writing without close_notify."""
    await client.below.send_eof()
    await client.all_until_over()


async def stay_silent(client: Client) -> None:
    """Send nothing until the connection is cut off."""
    await client.all_until_over()


async def say_goodbye_and_stay(client: Client) -> None:
    """Send close_notify and then nothing."""
    assert isinstance(client.stream, trio.SSLStream)
    with suppress(trio.BrokenResourceError):
        await client.stream.unwrap()
    await Client(client.below).all_until_over()


async def data_after_goodbye(client: Client) -> None:
    """Send close_notify, then an unencrypted request."""
    assert isinstance(client.stream, trio.SSLStream)
    with suppress(trio.BrokenResourceError):
        await client.stream.unwrap()
        await client.below.send_all(GET)
        assert b"HTTP/" not in await Client(client.below).all_until_over()


Ending = Callable[[Client], Awaitable[None]]
ENDINGS: list[Ending] = [
    close_without_a_word,
    reset,
    half_close_without_a_word,
    stay_silent,
    say_goodbye_and_stay,
    data_after_goodbye,
]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_endings(ending: Ending) -> None:
    """Each ending after a handshake, half a request, a request and an unread large answer leaves the server working."""
    async with counted() as (running, _):

        async def end(data: bytes) -> None:
            async with await running.connect("tls") as client:
                if data:
                    await client.send(data)
                with trio.fail_after(60):
                    await ending(client)

        async with trio.open_nursery() as nursery:
            for data in (b"", GET[:9], GET, GET.replace(b"/a", b"/big")):
                nursery.start_soon(end, data)
