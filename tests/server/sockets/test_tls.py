"""TLS on real sockets: accepted clients, answers to others, and the end of connections."""

import logging
import select
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
import trio

from herod.protocols.http import Request, Response
from herod.server.connection_limits import Limits
from herod.server.sockets.socket_byte_stream import SocketTransport
from herod.server.sockets.tls import Certificates, TlsTransport
from herod_client.core.errors import SettingsError
from support.certificates import make_certificate
from support.in_process_server import BIG, GET, QUICK, Client, Running, serving

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One certificate and key for the module."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def load(pair: Pair) -> Certificates:
    """Load them as the daemon does."""
    return Certificates.load(*pair, now=int(time.time()))


def client_context(pair: Pair) -> ssl.SSLContext:
    """A client context that trusts only that certificate."""
    context = ssl.create_default_context(cafile=pair[0])
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def tls_stream(running: Running, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """A client stream after its handshake."""
    with trio.fail_after(60):
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", running.port, ssl_context=context)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream


@asynccontextmanager
async def connected(running: Running, context: ssl.SSLContext) -> AsyncIterator[Client]:
    """A client that is connected over TLS."""
    async with Client(await tls_stream(running, context)) as client:
        yield client


async def test_requests_over_tls(pair: Pair) -> None:
    """Many requests on a connection are answered, each with HSTS, which the Unix socket does not send."""
    seen = []

    async def handle(request: Request) -> Response:
        seen.append((request.source.address, request.source.secure))
        return Response(200, b"ok")

    async with serving(handle, tls=load(pair)) as running:
        async with connected(running, client_context(pair)) as client:
            for _ in range(3):
                answer = await client.ask(GET)
                assert answer.status == 200
                assert answer.headers["strict-transport-security"].startswith("max-age=")
            await client.send(GET * 100)
            for _ in range(100):
                assert (await client.answer()).body == b"ok"
        async with await running.connect("unix") as client:
            assert "strict-transport-security" not in (await client.ask(GET)).headers
    assert seen[0] == ("127.0.0.1", True)
    assert seen[-1] == ("unix", False)


async def test_what_is_agreed(pair: Pair) -> None:
    """TLS 1.3 and HTTP/1.1 by ALPN are negotiated, never h2; TLS 1.2 works with forward secrecy."""
    async with serving(tls=load(pair)) as running:
        context = client_context(pair)
        stream = await tls_stream(running, context)
        assert (stream.version(), stream.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        await trio.aclose_forcefully(stream)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stream = await tls_stream(running, context)
        assert stream.version() == "TLSv1.2"
        assert stream.cipher()[0].startswith("ECDHE-")
        await trio.aclose_forcefully(stream)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_versions_are_refused(pair: Pair, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 get a protocol version alert."""
    context = client_context(pair)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = version
    context.maximum_version = version
    async with serving(tls=load(pair)) as running:
        with pytest.raises(trio.BrokenResourceError) as failed:
            await tls_stream(running, context)
        assert cast("ssl.SSLError", failed.value.__cause__).reason == "TLSV1_ALERT_PROTOCOL_VERSION"
        async with connected(running, client_context(pair)) as client:
            assert (await client.ask(GET)).status == 200


async def test_plain_http_to_tls(pair: Pair) -> None:
    """Plain HTTP gets an unencrypted hint at https and a close without a reset, even while a body is arriving."""
    for request in (GET, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40000):
        async with serving(tls=load(pair)) as running, await running.connect("tcp") as client:
            answer = await client.ask(request)
            assert answer.status == 400
            assert b"https://" in answer.body
            assert "strict-transport-security" not in answer.headers
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert await client.end() == b""


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 300, b"\x16\x03\x01\x02\x00" + b"\xff" * 512, b"SSH-2.0-x\r\n", b"PRI * HTTP/2.0\r\n\r\n"]
)
async def test_nonsense_instead_of_a_handshake(pair: Pair, data: bytes) -> None:
    """Garbage instead of a handshake ends that connection, and the next one is served."""
    async with serving(tls=load(pair), limits=QUICK) as running:
        async with await running.connect("tcp") as client:
            await client.send(data)
            with suppress(trio.BrokenResourceError):
                await client.below.send_eof()
            assert not (await client.all_until_over()).startswith(b"HTTP")
        async with connected(running, client_context(pair)) as client:
            assert (await client.ask(GET)).status == 200


async def test_a_stalled_handshake_is_gone_by_its_deadline(pair: Pair) -> None:
    """Silence, half a hello and an endless hello are cut off at the deadline, while others are served."""
    async with serving(tls=load(pair), limits=QUICK) as running:
        silent, half = await running.connect("tcp"), await running.connect("tcp")
        async with silent, half:
            await half.send(b"\x16\x03\x01\x02\x00\x01\x00")
            async with connected(running, client_context(pair)) as client:
                assert (await client.ask(GET)).status == 200
            assert await silent.is_cut()
            assert await half.is_cut()


async def test_stalled_handshakes_count_and_give_way(pair: Pair) -> None:
    """Stalled handshakes occupy connection slots, and are evicted when a new client finds none free."""
    limits = Limits(max_connections=3, evict_seconds=0.05, sweep_seconds=0.02)
    async with serving(tls=load(pair), limits=limits) as running:
        stalled = [await running.connect("tcp") for _ in range(3)]
        with trio.fail_after(60):
            while True:
                try:
                    async with connected(running, client_context(pair)) as client:
                        if (await client.ask(GET)).status == 200:
                            break
                except (trio.BrokenResourceError, EOFError):
                    pass
        assert await stalled[0].is_cut()
        for one in stalled:
            await trio.aclose_forcefully(one.stream)


async def test_a_stalled_handshake_does_not_hold_up_the_end(pair: Pair) -> None:
    """A connection during its handshake has no request, so draining ends it at once."""
    limits = Limits(drain_seconds=60)
    async with serving(tls=load(pair), limits=limits) as running, await running.connect("tcp") as client:
        await client.send(b"\x16\x03\x01")
        async with connected(running, client_context(pair)) as other:
            assert (await other.ask(GET)).status == 200  # so the first one was accepted
        running.shutdown.set()
        with trio.fail_after(60):
            await running.stopped.wait()


async def test_the_close_is_announced(pair: Pair) -> None:
    """After the last answer, and after a refusal, close_notify is sent, so that truncation is detectable."""
    async with serving(tls=load(pair)) as running:
        for request in (
            b"GET / HTTP/1.0\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"GET /close HTTP/1.1\r\nHost: h\r\n\r\n" + GET,
        ):
            async with connected(running, client_context(pair)) as client:
                assert (await client.ask(request)).status in {200, 400}
                assert await client.end() == b""  # trio raises if close_notify is missing


async def test_a_client_that_announces_its_close(pair: Pair) -> None:
    """After a client's close_notify its request is still answered, then both ends are closed."""
    async with serving(tls=load(pair)) as running:
        stream = await tls_stream(running, client_context(pair))
        await stream.send_all(GET)
        with trio.fail_after(60):
            assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 200")
            below, _ = await stream.unwrap()  # waits for the peer's close_notify
        await below.aclose()


async def test_a_client_that_leaves_without_a_word(pair: Pair) -> None:
    """A connection cut off before, during or after a request ends normally."""
    async with serving(tls=load(pair)) as running:
        for part in (b"", GET[:9], GET):
            stream = await tls_stream(running, client_context(pair))
            if part:
                await stream.send_all(part)
            await trio.aclose_forcefully(stream)
        async with connected(running, client_context(pair)) as client:
            assert (await client.ask(GET)).status == 200


async def test_broken_records_end_the_connection(pair: Pair) -> None:
    """A byte changed in transit is detected, and nothing of its record is used."""
    handled = []

    async def handle(request: Request) -> Response:
        handled.append(request)
        return Response(200)

    async with serving(handle, tls=load(pair)) as running:
        stream = await tls_stream(running, client_context(pair))
        await stream.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(trio.BrokenResourceError) as failed, trio.fail_after(60):
            await stream.receive_some(100)
        assert "ALERT" in (cast("ssl.SSLError", failed.value.__cause__).reason or "")
        await trio.aclose_forcefully(stream)
    assert handled == []


async def test_long_answers_and_readers_that_stall(pair: Pair) -> None:
    """Eight megabytes arrive complete; a client that does not read them is cut off at its deadline."""
    async with serving(tls=load(pair)) as running, connected(running, client_context(pair)) as client:
        await client.send(b"GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await client.answer()).body == BIG
    async with serving(tls=load(pair), limits=QUICK) as running, connected(running, client_context(pair)) as client:
        await client.send(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        async with connected(running, client_context(pair)) as other:
            assert (await other.ask(GET)).status == 200
        below = client.below.socket
        cut = select.poll()
        cut.register(below.fileno(), 0)  # errors and resets only
        with trio.fail_after(60):
            while not cut.poll(0):
                await trio.lowlevel.checkpoint()
        assert len(await client.all_until_over()) < len(BIG)


async def test_stalls_over_tls_are_ended(pair: Pair) -> None:
    """Half a head and half a body over TLS have the same deadlines as without."""
    async with serving(tls=load(pair), limits=QUICK) as running:
        for part in (GET[:9], b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab", b""):
            stream = await tls_stream(running, client_context(pair))
            if part:
                await stream.send_all(part)
            with trio.fail_after(60), suppress(trio.BrokenResourceError):
                assert not (await stream.receive_some(100)).startswith(b"HTTP/1.1 200")
            await trio.aclose_forcefully(stream)


async def test_a_new_certificate_for_new_connections(pair: Pair, tmp_path: Path) -> None:
    """Connected clients keep their connection, and new ones get the new certificate."""
    certificates = load(pair)
    other = make_certificate(tmp_path, name="other")
    async with serving(tls=certificates) as running, connected(running, client_context(pair)) as client:
        certificates.replace(load(other))
        assert (await client.ask(GET)).status == 200
        async with connected(running, client_context(other)) as newcomer:
            assert (await newcomer.ask(GET)).status == 200


async def test_what_was_read_and_not_decrypted_is_input(pair: Pair) -> None:
    """After the first of two records that arrived together, the second is still available."""
    near, far = socket.socketpair()
    transport = TlsTransport(SocketTransport(near), load(pair).context)
    stream = trio.SSLStream(
        trio.SocketStream(trio.socket.from_stdlib_socket(far)), client_context(pair), server_hostname="localhost"
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.do_handshake)
        await transport.begin()
    assert not transport.has_input()
    await stream.send_all(b"one")
    await stream.send_all(b"two")
    assert transport.has_input()
    assert await transport.receive() == b"one"
    assert transport.has_input()
    assert await transport.receive() == b"two"
    assert not transport.has_input()
    transport.close()
    await trio.aclose_forcefully(stream)


def test_files_that_will_not_do(pair: Pair, tmp_path: Path) -> None:
    """A missing, non-PEM, mismatched or unreadable file is a one-line error that names it."""
    other = make_certificate(tmp_path, name="other")
    nothing = tmp_path / "nothing"
    nothing.write_text("-----BEGIN CERTIFICATE-----\n")
    for cert, key, message in (
        (pair[0], other[1], f"{other[1]} does not match the certificate {pair[0]}"),
        (tmp_path / "none", pair[1], "No such file"),
        (nothing, pair[1], str(nothing)),
        (pair[0], nothing, str(nothing)),
    ):
        with pytest.raises(SettingsError) as refused:
            load((cert, key))
        assert message in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("days", "message"), [((-9, -2), "expired on"), ((2, 9), "is not valid before")])
def test_dates_are_warned_of(
    days: tuple[int, int], message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate outside its validity is served with a warning in the log."""
    with caplog.at_level(logging.WARNING):
        load(make_certificate(tmp_path, first_day=days[0], last_day=days[1]))
    assert message in caplog.text


def test_dates_that_cannot_be_read(pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate with dates that OpenSSL accepts and herod cannot parse is served."""
    trusted = tmp_path / "trusted"
    trusted.write_text(pair[0].read_text().replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-"))
    with caplog.at_level(logging.WARNING):
        load((trusted, pair[1]))
    assert "its dates cannot be read" in caplog.text


async def test_a_reset_in_the_handshake(pair: Pair) -> None:
    """A client that resets during the handshake affects nothing else."""
    async with serving(tls=load(pair)) as running:
        async with await running.connect("tcp") as client:
            await client.send(b"\x16\x03\x01")
            client.below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with connected(running, client_context(pair)) as other:
            assert (await other.ask(GET)).status == 200
