"""Clients that many threads share, while the daemon is restarted twice.

HEROD_RESTART_SECONDS is how long they ask. Each asks for something of its own, so that another's answer is noticed.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from herod_client import Bearer, Client, ClientError, Unreachable
from support.real_daemon import running
from support.soak_rounds import count

THREADS: Final = 16
ACCOUNTS: Final = 16
SECONDS: Final = count("RESTART_SECONDS")
# What a client may say while the daemon is away: it stops, is not there, or has only just come.
EXPLAINED: Final = (
    "There is no socket at",
    "Nothing listens on",
    "closed the connection before its answer was complete",
    "broke: Broken pipe",
)


def email(number: int) -> str:
    """The account that this thread or task asks for."""
    return f"number-{number % ACCOUNTS}@example.org"


class Restarts:
    """Runs the daemon three times, until its clients have asked for `SECONDS`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun, self.over = threading.Event(), threading.Event()
        self.identity: Bearer | None = None
        self.answered = [0, 0, 0]
        self.run = 0

    def go_through(self) -> None:
        try:
            for self.run in range(3):
                with running(self.folder) as daemon:
                    if self.run == 0:
                        with Client(f"unix:{daemon.socket}") as admin:
                            for number in range(ACCOUNTS):
                                admin.call("users.add", {"email": email(number)})
                            made = admin.call("keys.create", {"name": "watch", "kind": "service", "scope": "admin"})
                            self.identity = Bearer(made["key"])
                        self.begun.set()
                    self._let_ask()
        finally:
            self.over.set()
            self.begun.set()

    def _let_ask(self) -> None:
        end = time.monotonic() + SECONDS / 3
        while time.monotonic() < end or not self.answered[self.run]:
            assert time.monotonic() < end + 60, "nobody has got an answer"
            time.sleep(0.02)


def ask_on(client: Client, restarts: Restarts, me: int) -> list[str]:
    """Ask until the end; return what is wrong."""
    wrong: list[str] = []
    mine = email(me)
    restarts.begun.wait()
    while not restarts.over.is_set():
        try:
            found = client.call("users.get", {"email": mine}, identity=restarts.identity)["email"]
        except Unreachable as error:
            if not any(words in error.message for words in EXPLAINED):
                wrong.append(error.message)
            time.sleep(0.01)
        except ClientError as error:
            wrong.append(f"{error!r}")
        else:
            if found != mine:
                wrong.append(f"{mine} got {found}")
            restarts.answered[restarts.run] += 1
    return wrong


def test_threads_on_one_client(tmp_path: Path) -> None:
    """No thread gets another's answer, and each error says that the daemon is not there."""
    restarts = Restarts(tmp_path)
    with Client(f"unix:{tmp_path}/herod.sock", timeout=60) as client, ThreadPoolExecutor(THREADS) as threads:
        asking = [threads.submit(ask_on, client, restarts, me) for me in range(THREADS)]
        restarts.go_through()
        assert [line for one in asking for line in one.result()] == []
    assert all(restarts.answered)
