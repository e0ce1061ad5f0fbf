"""Clients that request much and read nothing, or send half a request, against a real daemon: memory stays bounded.

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
import trio

from herod.credentials.secret_hashes import hash_secret
from herod.dashboard.static_files import Assets
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.key_format import KeyKind, new_key, new_key_id
from store.conformance import putting
from store.samples import account, key
from support.raw_sockets import HEALTH, connect, descriptors, secured, settle, statuses
from support.real_daemon import SECRET, Daemon
from support.soak_rounds import count

CLIENTS = count("UNREAD")
MIB = 1024 * 1024
# The counted total, the uncounted part for each client, and a margin for the rest.
IN_ALL = 300 * MIB
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


HALF = b"POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# Requests that do not end, and requests behind others.
SLOW = {
    "half a body": HALF + b"Content-Length: 65536\r\n\r\n" + b"x" * 65_500,
    "half a head": HALF + b"".join(b"a%d: %b\r\n" % (number, b"y" * 150) for number in range(90)),
    "chunks of one byte": HALF + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000,
    "long requests, pipelined": 3 * post("/validate", {"token": "x" * 60_000}),
    "pages, pipelined": 20 * get("/"),
}


def fill(folder: Path) -> str:
    """Make a store with many large accounts, which the change feed lists, and return a key that may read it."""
    networks = tuple(f"{number:02}{'n' * 62}" for number in range(64))
    key_id = new_key_id()
    text = new_key(KeyKind.SERVICE, key_id)

    async def write() -> None:
        async with open_sqlite(folder / "store" / "herod.db", SECRET, now=1) as store:
            digest = hash_secret(store.keyring, "key", key_id, text)
            accounts = [account(f"id{number}", networks=networks, name="\U0001f980" * 128) for number in range(500)]
            await store.write(putting(*accounts, key(key_id, owner=None, secret_hash=digest, networks=networks)))

    (folder / "store").mkdir(mode=0o700)
    trio.run(write)
    return text


def largest_answers(text: str) -> dict[str, bytes]:
    """Requests with a key for the largest answers that there are."""
    who = f"Host: localhost\r\nAuthorization: Bearer {text}".encode()
    feed = [{"jsonrpc": "2.0", "id": number, "method": "token.changes"} for number in range(50)]
    requests = {
        "the change feed, pipelined": 20 * get("/api/v1/tokens/changes"),
        "the change feed in batches, pipelined": 4 * post("/rpc", feed),
    }
    return {name: data.replace(b"Host: localhost", who) for name, data in requests.items()}


# TLS adds the same to each, and its handshakes take long.
OVER_TLS = (
    "long ids in batches, pipelined",
    "the change feed in batches, pipelined",
    "half a body",
    "pages, pipelined",
)


@pytest.mark.parametrize("way", ["unix", "tls"])
def test_memory_is_bounded(way: str, tmp_path: Path, say: Callable[[str], None]) -> None:
    """Memory stays bounded over several attacks, and a good client is answered while their connections are open."""
    text = fill(tmp_path)
    with secured(tmp_path, is_secure=way == "tls") as daemon:
        before, quiet = resident(daemon), descriptors(daemon)
        attacks = {**ATTACKS, **largest_answers(text), **SLOW}
        for name in OVER_TLS if way == "tls" else attacks:
            with ExitStack() as stack:
                for _ in range(CLIENTS):
                    ask_and_never_read(stack.enter_context(connect(daemon, way, receive_buffer=4096)), attacks[name])
                with connect(daemon, way) as good:
                    good.sendall(HEALTH)
                    assert statuses(good.recv(65_536)) == [200]
                whole = resident(daemon)
                more = whole - before
                say(f"{CLIENTS} clients, {name}, {way}: {more / MIB:.0f} MiB more, {whole / MIB:.0f} in all")
                assert more < MOST
                assert whole <= IN_ALL
            assert settle(daemon, quiet)
