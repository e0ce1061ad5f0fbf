"""Edge cases of a transport's sending and closing."""

import os
import socket
import struct

import pytest
import trio

from herod.server.sockets.socket_byte_stream import SocketTransport


async def test_wire_sends_more_than_the_kernel_takes() -> None:
    """A long answer is sent in as many pieces as needed."""
    near, far = socket.socketpair()
    transport = SocketTransport(near)
    other = SocketTransport(far)
    data = os.urandom(3_000_000)
    got = bytearray()

    async def read() -> None:
        while len(got) < len(data):
            got.extend(await other.receive())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await transport.send(data)
    assert got == data
    transport.close()
    assert await other.receive() == b""
    other.close()


async def test_false_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spurious readiness notification is waited out."""
    near, far = socket.socketpair()
    transport = SocketTransport(near)
    real = trio.lowlevel.wait_readable
    alarms = 0

    async def wait(descriptor: int) -> None:
        nonlocal alarms
        alarms += 1
        if alarms == 1:
            await trio.lowlevel.checkpoint()
            far.send(b"x")
            near.recv(1)
            far_later()
        else:
            await real(descriptor)

    def far_later() -> None:
        trio.lowlevel.current_trio_token().run_sync_soon(far.send, b"late")

    monkeypatch.setattr(trio.lowlevel, "wait_readable", wait)
    with trio.fail_after(60):
        assert await transport.receive() == b"late"
    assert transport.has_input() is False
    far.send(b"y")
    assert transport.has_input()
    far.close()
    transport.close()


async def test_finish_sending_after_a_reset() -> None:
    """Shutting down writing after a reset by the peer is not an error."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    transport = SocketTransport(accepted)
    with trio.fail_after(60), pytest.raises(ConnectionResetError):
        await transport.receive()
    await transport.finish_sending()
    assert not transport.has_input()
    transport.close()
    listener.close()
