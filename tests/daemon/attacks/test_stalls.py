"""Many clients that stall at once, against a real daemon: others are served, each is cut off, SIGTERM ends it.

HEROD_STALLS clients (100; 500 under `make soak`), half of them over the Unix socket and half over TCP or TLS. Under
`soak` the deadlines are the real ones.
"""

import json
import os
import select
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from herod.records import Account
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Writer
from support.raw_sockets import HEALTH, WAYS, connect, descriptors, read_all, secured, settle, statuses
from support.real_daemon import SECRET, Daemon, others_have_python
from support.soak_rounds import count

STALLED = count("STALLS")
QUICK = {"head_seconds": 1, "body_seconds": 1, "write_seconds": 1, "idle_seconds": 60}
KINDS = pytest.mark.parametrize("kind", WAYS)

CALL = json.dumps({"jsonrpc": "2.0", "id": "x" * 60_000, "method": "health"}).encode()
# Its answer is as long as the request, so that a few fill the kernel's buffers for a client.
LONG = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(CALL),
    CALL,
)
PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
FORM = b"POST /ui/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"

# What the others send before they stall; a reader sends long requests until no more is taken.
SILENT: dict[str, bytes] = {
    "head": b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: ",
    "body": b"POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "chunks": b"POST /validate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "second head": HEALTH + HEALTH[:20],
    "page's head": PAGE[:-2],
    "form's body": FORM + b"Content-Length: 90\r\n\r\nemail=",
    "head behind a page": PAGE + PAGE[:10],
}
READERS_PER_WAY = 10


def stall(daemon: Daemon, way: str, number: int) -> Iterator[socket.socket]:
    """Open this many stalled clients: readers, half handshakes, and the others in turn."""
    readers = min(READERS_PER_WAY, number)
    for _ in range(readers):
        client = connect(daemon, way, receive_buffer=4096)
        yield client
    handshakes = (number - readers) // 5 if way == "tls" else 0
    for index in range(handshakes):
        client = connect(daemon, way, shakes_hands=False)
        client.sendall(b"\x16\x03\x01\x02\x00\x01"[: index % 7])
        yield client
    parts = list(SILENT.values())
    for index in range(number - readers - handshakes):
        client = connect(daemon, way)
        client.sendall(parts[index % len(parts)])
        yield client


def send_until_blocked(clients: list[socket.socket]) -> None:
    """Send long requests and read nothing, until the daemon takes no more from any of them."""
    left = dict.fromkeys(clients, LONG)
    for client in clients:
        client.setblocking(False)  # noqa: FBT003 - the standard library's signature
    while writable := select.select([], list(left), [], 0.3)[1]:
        for client in writable:
            try:
                while True:
                    left[client] = left[client][client.send(left[client]) :] or LONG
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            except OSError:  # cut off at its deadline, while others were being filled
                del left[client]


@contextmanager
def stalled(daemon: Daemon, kind: str) -> Iterator[None]:
    """Stall all clients; unless deadlines are short, none is cut off before the last one stalls."""
    with ExitStack() as stack:
        for way in WAYS[kind]:
            clients = [stack.enter_context(client) for client in stall(daemon, way, STALLED // 2)]
            send_until_blocked(clients[:READERS_PER_WAY])
        yield


class GoodClient(threading.Thread):
    """Sends requests repeatedly on its own connections, and records the answers."""

    def __init__(self, daemon: Daemon, kind: str) -> None:
        super().__init__()
        self._daemon, self._kind = daemon, kind
        self._over = threading.Event()
        self.answers: list[list[int]] = []
        self.seconds: list[float] = []

    def run(self) -> None:
        """Run until stopped; a request in four is on a new connection."""
        while not self._over.is_set():
            for way in WAYS[self._kind]:
                with connect(self._daemon, way) as client:
                    for _ in range(4):
                        begun = time.perf_counter()
                        client.sendall(HEALTH)
                        said = client.recv(65_536)
                        self.seconds.append(time.perf_counter() - begun)
                        self.answers.append(statuses(said))

    def stop(self) -> None:
        """Stop, and check that all requests were answered."""
        self._over.set()
        self.join()
        assert self.answers
        assert self.answers == [[200]] * len(self.answers)


def check_deadlines(daemon: Daemon, kind: str, *, seconds: float, before: int) -> GoodClient:
    """Check that stalled clients are cut off in time while a good one is served, and nothing is left behind."""
    good = GoodClient(daemon, kind)
    good.start()
    try:
        with stalled(daemon, kind):
            assert settle(daemon, before + 2, seconds=seconds)  # the good one is connected, and was before
    finally:
        good.stop()
    assert settle(daemon, before)
    assert '"level": "error"' not in daemon.log.read_text()
    return good


def warmed_up(daemon: Daemon, kind: str) -> int:
    """The number of descriptors of a daemon that has rendered a page."""
    for way in WAYS[kind]:
        with connect(daemon, way) as client:
            client.sendall(PAGE)
            assert client.recv(12) == b"HTTP/1.1 200"
    settle(daemon, 0, seconds=0.5)
    return descriptors(daemon)


@KINDS
def test_stalled_clients_are_gone_by_their_deadlines(tmp_path: Path, kind: str) -> None:
    """Clients that stall in head, body, chunks, handshake, forms or reading are cut off at their deadlines."""
    with secured(tmp_path, is_secure=kind == "secure", **QUICK) as daemon:
        before = warmed_up(daemon, kind)
        check_deadlines(daemon, kind, seconds=20, before=before)
        assert daemon.stop() == 0


@pytest.mark.soak
@KINDS
def test_real_deadlines(tmp_path: Path, kind: str, say: Callable[[str], None]) -> None:
    """Real deadlines are met within 15 seconds and a margin; the good client's times are reported."""
    with secured(tmp_path, is_secure=kind == "secure") as daemon:
        before = warmed_up(daemon, kind)
        good = check_deadlines(daemon, kind, seconds=20, before=before)
        times = statistics.quantiles(good.seconds, n=100)
        say(
            f"{STALLED} stalled; a good client's {len(good.seconds)} requests: "
            f"median {times[49] * 1000:.1f} ms, p99 {times[98] * 1000:.1f} ms"
        )
        assert daemon.stop() == 0


def settle_at(daemon: Daemon, least: int) -> bool:
    """Wait until all of them are accepted."""
    end = time.monotonic() + 5
    while descriptors(daemon) < least and time.monotonic() < end:
        time.sleep(0.01)
    return descriptors(daemon) >= least


@KINDS
def test_sigterm_among_stalled_clients(tmp_path: Path, kind: str) -> None:
    """SIGTERM with stalled clients exits 0 within 5 seconds, and removes the socket."""
    limits = {"drain_seconds": 1.0} if kind == "plain" else {}  # one of the two kinds, with the default limits
    with secured(tmp_path, is_secure=kind == "secure", **limits) as daemon, stalled(daemon, kind):
        assert settle_at(daemon, STALLED)
        daemon.process.terminate()
        assert daemon.process.wait(timeout=60) == 0
        assert not daemon.socket.exists()


def test_a_second_sigterm_among_stalled_clients(tmp_path: Path) -> None:
    """A second SIGTERM ends the daemon at once."""
    with secured(tmp_path, is_secure=True) as daemon, stalled(daemon, "secure"):
        daemon.process.terminate()
        end = time.monotonic() + 4
        while "stopping" not in daemon.log.read_text() and time.monotonic() < end:
            time.sleep(0.01)
        daemon.process.terminate()
        assert daemon.process.wait(timeout=60) == 128 + signal.SIGTERM


FLOOD = """
import socket, sys
path, data = sys.argv[1], sys.argv[2].encode()
clients = []
while True:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(path)
        client.sendall(data)
    except OSError:
        client.close()
        continue
    clients.append(client)
    if len(clients) > 200:
        clients.pop(0).close()
    if len(clients) == 150:
        print("full", flush=True)
"""


@pytest.mark.skipif(
    os.getuid() != 0 or not others_have_python(), reason="takes root, and a Python that other users may run"
)
@pytest.mark.parametrize("data", ["", "GET /health HTTP/1.1\r\nHost: "], ids=["silent", "head"])
def test_another_user_locks_nobody_out(open_folder: Path, data: str) -> None:
    """A user who floods the socket and takes all slots locks nobody else out, on Unix and on TCP."""
    folder = open_folder / ("head" if data else "silent")
    with secured(folder, is_secure=False, max_connections=64) as daemon:
        command = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", sys.executable, "-c", FLOOD]
        with subprocess.Popen([*command, str(daemon.socket), data], stdout=subprocess.PIPE, cwd="/") as flood:
            try:
                assert flood.stdout is not None
                assert flood.stdout.readline() == b"full\n"
                with connect(daemon, "unix") as kept:
                    for _ in range(10):
                        for way in WAYS["plain"]:
                            with connect(daemon, way) as client:
                                client.sendall(HEALTH)
                                assert statuses(client.recv(65_536)) == [200]
                        kept.sendall(HEALTH)
                        assert statuses(kept.recv(65_536)) == [200]
                assert flood.poll() is None
            finally:
                flood.kill()


ACCOUNTS, NAME = 40, 100_000  # 4 MB: more than the kernel buffers for a client that does not read


async def fill_store(folder: Path) -> None:
    """Fill a large store for the daemon to be started."""
    (folder / "store").mkdir(mode=0o700)

    def write(tx: Writer) -> None:
        for number in range(ACCOUNTS):
            name = os.urandom(NAME // 2).hex()
            tx.put(
                Account(
                    id=f"00000000-0000-4000-8000-{number:012}",
                    created_at=1,
                    email=None,
                    name=name,
                    password=None,
                    secret_hash=b"",
                    scope=("read",),
                    networks=("*",),
                )
            )

    async with open_sqlite(folder / "store" / "herod.db", SECRET, now=1_800_000_000) as store:
        await store.write(write)


def dechunked(answer: bytes) -> tuple[bytes, bool]:
    """The body so far, and whether it is complete."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, True
        body, rest = body + rest[:length], rest[length + 2 :]
    return body, False


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("reads", [True, False], ids=["reader", "stalled"])
async def test_sigterm_during_a_backup(tmp_path: Path, reads: bool, version: bytes) -> None:
    """At SIGTERM a reading client gets its whole backup; one that does not read detects the cut, and cannot restore."""
    await fill_store(tmp_path)
    with secured(tmp_path, is_secure=False, drain_seconds=1) as daemon, connect(daemon, "unix") as client:
        ask = b"GET /api/v1/backup HTTP/%b\r\nHost: localhost\r\nAuthorization: Peer %b\r\n\r\n"
        client.sendall(ask % (version, daemon.cookie.encode()))
        answer = client.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        daemon.process.terminate()
        if reads:
            answer += read_all(client)
        assert daemon.process.wait(timeout=60) == 0
        answer += read_all(client)
        if version == b"1.1":
            body, has_end = dechunked(answer)
            assert has_end is reads
        else:
            assert b"Transfer-Encoding" not in answer[:1000]
            body = answer.partition(b"\r\n\r\n")[2]
        file = tmp_path / "backup"
        file.write_bytes(body)
        (tmp_path / "store" / "herod.db").unlink()
        done = daemon.herod("restore", str(file), "--store", f"sqlite:{tmp_path}/store/herod.db")
        assert (done.returncode == 0) is reads, done.stderr
        assert reads or not (tmp_path / "store" / "herod.db").exists()
