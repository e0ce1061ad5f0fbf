"""Clients that request much and read nothing, against a real daemon: memory stays bounded, and others are served.

The attack: 800 clients (HEROD_UNREAD; 100 in the suite) send a batch of 50 `rpc.discover`, 2.5 KB, and do not read.
Before: 48 MiB became 6,839 MiB, `/health` answered after 17 s, and the memory stayed. Now: 48 MiB become about 60.
"""

import json
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from herod.dashboard.static_files import Assets
from support.raw_sockets import HEALTH, connect, descriptors, secured, settle, statuses
from support.real_daemon import Daemon
from support.soak_rounds import count

CLIENTS = count("UNREAD")
MIB = 1024 * 1024
# The counted total, the uncounted part for each client, and a margin for the rest.
MOST = 64 * MIB + CLIENTS * 128 * 1024 + 48 * MIB


def resident(daemon: Daemon) -> int:
    """Resident memory of the daemon in bytes."""
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


def get(path: str) -> bytes:
    """A request for a document or a file."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


# Requests whose answers are not read.
ATTACKS = {
    "a batch of documents": post("/rpc", DISCOVER),
    "documents, pipelined": 20 * get("/openapi.json"),
    "rpc.discover, pipelined": 20 * post("/rpc", DISCOVER[0]),
    "long ids in batches, pipelined": 8 * post("/", ECHO),
    "a file of the dashboard, pipelined": 20 * get(Assets().paths["htmx.js"]),
}


def ask_and_never_read(client: socket.socket, data: bytes) -> None:
    """Send as much as the daemon takes."""
    client.setblocking(False)  # noqa: FBT003 - the standard library's signature
    with suppress(BlockingIOError, ssl.SSLWantWriteError, ConnectionError):
        client.sendall(data)


@pytest.mark.parametrize("way", ["unix", "tls"])
def test_memory_is_bounded(way: str, tmp_path: Path, say: Callable[[str], None]) -> None:
    """Memory stays bounded over several attacks, and a good client is answered while their connections are open."""
    with secured(tmp_path, is_secure=way == "tls") as daemon:
        before, quiet = resident(daemon), descriptors(daemon)
        for name, data in ATTACKS.items():
            with ExitStack() as stack:
                for _ in range(CLIENTS):
                    ask_and_never_read(stack.enter_context(connect(daemon, way, receive_buffer=4096)), data)
                with connect(daemon, way) as good:
                    good.sendall(HEALTH)
                    assert statuses(good.recv(65_536)) == [200]
                held = resident(daemon) - before
                say(f"{CLIENTS} clients, {name}, {way}: {held / MIB:.0f} MiB more than before")
                assert held < MOST
            assert settle(daemon, quiet)
