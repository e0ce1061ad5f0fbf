"""Plain sockets to a real daemon over Unix, TCP and TLS, for tests that control every byte."""

import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from support.certificates import make_certificate
from support.real_daemon import Daemon, running

__all__ = [
    "HEALTH", "WAYS", "connect", "descriptors", "exchange", "is_alive", "read_all", "secured", "settle", "statuses"
]  # fmt: skip

# With TLS configured, the TCP address accepts nothing else.
WAYS: Final = {"plain": ("unix", "tcp"), "secure": ("unix", "tls")}
HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
CERTIFICATE: Final = "herod.pem"


@contextmanager
def secured(folder: Path, *, is_secure: bool, **limits: float) -> Iterator[Daemon]:
    """A daemon with or without TLS on its TCP address, and with these limits."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[limits]", *(f"{name} = {value}" for name, value in limits.items())]
    arguments = ["--config", str(folder / "herod.toml")]
    if is_secure:
        cert, key = make_certificate(folder)
        arguments += ["--tls-cert", str(cert), "--tls-key", str(key)]
    (folder / "herod.toml").write_text("\n".join(lines) + "\n")
    with running(folder, *arguments) as daemon:
        yield daemon


def connect(daemon: Daemon, way: str, *, receive_buffer: int | None = None, shakes_hands: bool = True) -> socket.socket:
    """A connection with a timeout, so that a hang is a failure."""
    client = socket.socket(socket.AF_UNIX if way == "unix" else socket.AF_INET)
    try:
        # Not settimeout: with it a Unix socket fails at once when the queue is full (connect(2), EAGAIN).
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 20, 0))
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(str(daemon.socket) if way == "unix" else ("127.0.0.1", daemon.port))
        client.settimeout(20)
        if way != "tls" or not shakes_hands:
            return client
        context = ssl.create_default_context(cafile=daemon.folder / CERTIFICATE)
        return context.wrap_socket(client, server_hostname="localhost", suppress_ragged_eofs=True)
    except BaseException:
        client.close()
        raise


def read_all(client: socket.socket) -> bytes:
    """Read until the connection is closed or reset."""
    parts = []
    with suppress(ConnectionError, ssl.SSLError):
        while part := client.recv(1_000_000):
            parts.append(part)
    return b"".join(parts)


def exchange(daemon: Daemon, data: bytes, way: str) -> bytes:
    """Send, shut down writing, and read all answers; a client that is refused early stops sending."""
    with connect(daemon, way) as client:
        with suppress(ConnectionError, ssl.SSLError):
            client.sendall(data)
        with suppress(OSError):
            socket.socket.shutdown(client, socket.SHUT_WR)
        return read_all(client)


def statuses(answers: bytes) -> list[int]:
    """The status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def is_alive(daemon: Daemon, way: str) -> bool:
    """Whether a well-behaved client gets an answer."""
    return statuses(exchange(daemon, HEALTH, way)) == [200]


def descriptors(daemon: Daemon) -> int:
    """How many descriptors the process has open."""
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def settle(daemon: Daemon, most: int, *, seconds: float = 10) -> bool:
    """Wait until at most this many descriptors are open."""
    end = time.monotonic() + seconds
    while not (is_settled := descriptors(daemon) <= most) and time.monotonic() < end:
        time.sleep(0.02)  # the kernel's side has no event
    return is_settled
