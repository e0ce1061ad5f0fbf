"""Clients that ask for much and read nothing, against a real daemon: memory stays bounded, and others are served.

The attack: 800 clients (HEROD_UNREAD; 100 in the suite) send a batch of 50 `rpc.discover`, 2.5 KB, and do not read.
Before: 48 MiB became 6,839 MiB, `/health` answered after 17 s, and the memory stayed. Now: 48 MiB become about 60.
"""

import json
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from dialling import HEALTH, connect, read_all, secured
from running import Daemon
from soak import count

CLIENTS = count("UNREAD")
MIB = 1024 * 1024
# What all may hold that is counted, what each holds besides, and room for the rest.
MOST = 64 * MIB + CLIENTS * 128 * 1024 + 48 * MIB


def resident(daemon: Daemon) -> int:
    """Bytes of the daemon's memory."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def post(path: str, body: object) -> bytes:
    """A request with a JSON body."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    )
    return "\r\n".join((*head, "", "")).encode() + data


DISCOVER = [{"jsonrpc": "2.0", "id": number, "method": "rpc.discover"} for number in range(50)]
ECHO = [{"jsonrpc": "2.0", "id": "x" * 1200, "method": "health"} for _ in range(50)]
ATTACKS: dict[str, Callable[[], bytes]] = {
    "a batch of documents": lambda: post("/rpc", DISCOVER),
    "documents, pipelined": lambda: 20 * b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "rpc.discover, pipelined": lambda: 20 * post("/rpc", DISCOVER[0]),
    "long ids in batches, pipelined": lambda: 8 * post("/", ECHO),
    "files of the dashboard": lambda: b"GET /ui HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def ask_and_never_read(client: socket.socket, data: bytes) -> None:
    """As much as the daemon takes."""
    client.setblocking(False)  # noqa: FBT003 - the standard library's signature
    with suppress(BlockingIOError, ConnectionError):
        client.sendall(data)


@pytest.mark.parametrize("way", ["unix", "tcp"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_memory_is_bounded(attack: str, way: str, tmp_path: Path) -> None:
    """A good client is answered while they hang on, and afterwards the memory is not theirs."""
    with secured(tmp_path, is_secure=False) as daemon, ExitStack() as stack:
        data = ATTACKS[attack]()
        before = resident(daemon)
        for _ in range(CLIENTS):
            ask_and_never_read(stack.enter_context(connect(daemon, way, receive_buffer=4096)), data)
        for other in ("unix", "tcp"):
            with connect(daemon, other) as good:
                good.sendall(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                assert read_all(good).startswith(b"HTTP/1.1 200")
        held = resident(daemon)
        print(f"{attack}, {way}: {before // MIB} MiB became {held // MIB} MiB with {CLIENTS} clients")  # noqa: T201
        assert held - before < MOST
