"""One sync client shared by threads, and by a process and its children."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from herod_client import Client, Unreachable
from support.fake_daemon import Asked, FakeDaemon, Reply, fake_daemon

FORKING = """
import os, sys
from herod_client import Client
client = Client(sys.argv[1])
def ask():
    assert client.call("users.get", {"pid": os.getpid()}) == {"pid": os.getpid()}
ask()
child = os.fork()
for _ in range(3):
    ask()
if child == 0:
    links = [os.readlink(f"/proc/self/fd/{number}")
             for number in range(3, 20) if os.path.lexists(f"/proc/self/fd/{number}")]
    sys.exit(sum(link.startswith("socket:") for link in links) != 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon on a Unix socket."""
    with fake_daemon(tmp_path / "herod.sock") as made:
        yield made


def test_each_thread_gets_its_own_answer(daemon: FakeDaemon) -> None:
    """Threads use at most the allowed connections, and none gets another's answer."""
    daemon.methods["users.get"] = lambda params: params
    with Client(daemon.url, max_connections=3) as client, ThreadPoolExecutor(16) as threads:

        def ask(number: int) -> Any:
            return client.call("users.get", {"number": number})

        assert list(threads.map(ask, range(100))) == [{"number": number} for number in range(100)]
    assert 1 <= daemon.connections <= 3


class Busy:
    """A route that answers once `over` is set."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.over, self.begun = threading.Event(), threading.Event()
        daemon.answers["GET", "/slow"] = self._answer

    def _answer(self, _asked: Asked) -> Reply:
        self.begun.set()
        self.over.wait(10)
        return Reply()


def test_waiting_for_a_connection_has_an_end(daemon: FakeDaemon) -> None:
    """Whoever gets no connection within the timeout is told so, and nothing is sent."""
    daemon.routes["GET", "/file"] = Reply()
    begun, over = threading.Event(), threading.Event()

    def slow(_piece: bytes) -> None:
        begun.set()
        over.wait(10)

    with Client(daemon.url, max_connections=1, timeout=0.2) as client, ThreadPoolExecutor(1) as threads:
        saved = threads.submit(client.download, "/file", slow)
        begun.wait(10)
        with pytest.raises(Unreachable, match=r"connections to .* in use for 0.2 s: nothing was sent") as raised:
            client.get("/other")
        assert "max_connections" in (raised.value.hint or "")
        over.set()
        saved.exception()
    assert [one.path for one in daemon.asked] == ["/file"]


def test_closing_while_another_thread_waits_for_an_answer(daemon: FakeDaemon) -> None:
    """The answer still comes, and its connection is not kept."""
    busy = Busy(daemon)
    daemon.routes["GET", "/health"] = Reply()
    client = Client(daemon.url)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(client.get, "/slow")
        busy.begun.wait(10)
        client.close()
        busy.over.set()
        assert slow.result() == {}
    client.get("/health")
    client.close()
    assert daemon.connections == 2


def test_a_failed_request_gives_its_place_back(tmp_path: Path) -> None:
    """However many requests have failed, the next one finds a connection."""
    with Client(f"unix:{tmp_path}/herod.sock", max_connections=1) as client:
        for _ in range(3):
            with pytest.raises(Unreachable, match="There is no socket"):
                client.get("/health")
        with fake_daemon(tmp_path / "herod.sock") as daemon:
            daemon.routes["GET", "/health"] = Reply()
            client.get("/health")


def test_a_child_never_uses_its_parents_connection(daemon: FakeDaemon) -> None:
    """After a fork both go on, each over a connection of its own, and the child keeps no copy of the parent's."""
    daemon.methods["users.get"] = lambda params: params
    command = [sys.executable, "-c", FORKING, daemon.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.connections == 2
