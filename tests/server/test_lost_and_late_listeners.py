"""Listeners that fail while others serve, and listeners that are opened while others serve."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from herod.server.connection_limits import Limits
from herod.server.connections import serve
from herod.server.sockets.listeners import listening
from herod.settings.bind_addresses import Bind, TcpBind, UnixBind
from support.in_process_server import certificates, echo, serving, settle, short_folder, trusting


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as name:
        yield name


def end_for_good(listener: socket.socket) -> None:
    """Make accept(2) fail with EINVAL, as a process that shares the socket can."""
    listener.shutdown(socket.SHUT_RDWR)


async def ask(path: str | None = None, port: int = 0, tls: ssl.SSLContext | None = None) -> bytes:
    """The status line of an answer."""
    stream: trio.abc.Stream
    if path is not None:
        stream = await trio.open_unix_socket(path)
    else:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_hostname="localhost", https_compatible=True)
    with trio.fail_after(60):
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            async for piece in stream:
                answer += piece
            return answer.split(b"\r\n")[0]


async def test_a_failed_tcp_listener(caplog: pytest.LogCaptureFixture) -> None:
    """A TCP listener that fails for good is opened again, and the Unix socket goes on serving."""
    async with serving() as running:
        port, failed = running.port, running.listeners[1]
        end_for_good(failed.socket)
        await settle(lambda: failed not in running.listeners)
        assert "accepts no more connections" in caplog.text
        await settle(lambda: len(running.listeners) == 2)
        assert running.port == port
        assert await ask(port=port) == b"HTTP/1.1 200 OK"
        assert await ask(running.path) == b"HTTP/1.1 200 OK"
        assert running.listeners.missing == ()


async def test_a_failed_unix_listener(caplog: pytest.LogCaptureFixture) -> None:
    """A Unix listener that fails for good is reported, and TCP goes on serving."""
    async with serving() as running:
        path, port = running.path, running.port
        end_for_good(running.listeners[0].socket)
        await settle(lambda: len(running.listeners) == 1)
        assert [one.addresses for one in running.listeners.missing] == [(f"unix:{path}",)]
        assert "restart herod" in running.listeners.status
        with pytest.raises(FileNotFoundError):
            await ask(path)
        assert await ask(port=port) == b"HTTP/1.1 200 OK"


async def test_the_last_listener(folder: Path) -> None:
    """When the last listener fails, serving ends."""
    with listening([UnixBind(folder / "s")]) as listeners, trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            shutdown = trio.Event()
            nursery.start_soon(lambda: serve(listeners, echo, limits=Limits(), shutdown=shutdown))
            await trio.testing.wait_all_tasks_blocked()
            end_for_good(listeners[0].socket)
            await shutdown.wait()
        assert not listeners


async def test_both_loopbacks_go_together(folder: Path) -> None:
    """When one loopback fails and another process takes it, the other loopback is given up too, until both are free."""
    binds: list[Bind] = [UnixBind(folder / "s"), TcpBind("127.0.0.1", 0), TcpBind("::1", 0)]
    with listening(binds) as listeners, ExitStack() as squatting:
        unix, _, six = listeners
        port = six.socket.getsockname()[1]
        shutdown = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(
                lambda task_status: serve(listeners, echo, limits=Limits(), shutdown=shutdown, task_status=task_status)
            )
            end_for_good(six.socket)  # the squatter is faster than our task
            squatter = squatting.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6))
            await settle(lambda: list(listeners) == [unix])
            with pytest.raises(OSError, match="connect"):
                await trio.open_tcp_stream("127.0.0.1", port)
            assert await ask(f"{folder}/s") == b"HTTP/1.1 200 OK"
            squatter.close()
            await settle(lambda: len(listeners) == 3)
            assert await ask(port=port) == b"HTTP/1.1 200 OK"
            shutdown.set()


async def test_a_late_listener_is_like_the_first_ones(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An address that becomes free gets TLS and bounded buffers, and stops at shutdown."""
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        binds: list[Bind] = [UnixBind(folder / "s"), TcpBind("127.0.0.1", port)]
        with listening(binds, tls=certificates()) as listeners:
            shutdown = trio.Event()
            limits = Limits()
            async with trio.open_nursery() as nursery:
                await nursery.start(
                    lambda task_status: serve(
                        listeners, echo, limits=limits, shutdown=shutdown, task_status=task_status
                    )
                )
                assert await ask(f"{folder}/s") == b"HTTP/1.1 200 OK"
                squatter.close()
                caplog.set_level(logging.INFO)
                listeners.try_missing()
                assert await ask(port=port, tls=trusting()) == b"HTTP/1.1 200 OK"
                late = listeners[1].socket
                assert late.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * limits.send_buffer_bytes
                shutdown.set()
            with pytest.raises(OSError, match="connect"):
                await trio.open_tcp_stream("127.0.0.1", port)
    assert f"listening on unix:{folder}/s, 127.0.0.1:{port}" in caplog.text
