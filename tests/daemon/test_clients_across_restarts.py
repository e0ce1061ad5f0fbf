"""Clients that many threads or tasks share, while the daemon is restarted twice.

HEROD_RESTART_SECONDS is how long they ask. Each asks for something of its own, so that another's answer is noticed.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import trio

from herod_client import AsyncClient, Bearer, Client, ClientError, Unreachable
from support.real_daemon import running
from support.soak_rounds import count

THREADS: Final = 16
TASKS: Final = 200
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


class Asking:
    """One thread or task: what it asks for, and what it has found wrong."""

    def __init__(self, restarts: Restarts, me: int) -> None:
        self.restarts = restarts
        self.params = {"email": email(me)}
        self.wrong: list[str] = []

    @contextmanager
    def judged(self) -> Iterator[Callable[[Any], None]]:
        """Passes on what judges an answer, and judges the error."""
        try:
            yield self._answered
        except Unreachable as error:
            if not any(words in error.message for words in EXPLAINED):
                self.wrong.append(error.message)
        except ClientError as error:
            self.wrong.append(f"{error!r}")

    def _answered(self, answer: Any) -> None:
        if answer["email"] != self.params["email"]:
            self.wrong.append(f"{self.params} got {answer}")
        self.restarts.answered[self.restarts.run] += 1


def ask_in_thread(client: Client, asking: Asking) -> None:
    """Ask until the end."""
    restarts = asking.restarts
    restarts.begun.wait()
    while not restarts.over.is_set():
        with asking.judged() as check:
            check(client.call("users.get", asking.params, identity=restarts.identity))
        time.sleep(0.005)


async def ask_in_task(client: AsyncClient, asking: Asking, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Ask until the end."""
    restarts = asking.restarts
    while not restarts.over.is_set():
        if restarts.begun.is_set():
            with asking.judged() as check:
                check(await client.call("users.get", asking.params, identity=restarts.identity))
        await sleep(0.02)


def assert_all_went_well(restarts: Restarts, asking: list[Asking]) -> None:
    """Each run of the daemon has answered, and nothing was wrong."""
    assert [line for one in asking for line in one.wrong] == []
    assert all(restarts.answered)


def test_threads_on_one_client(tmp_path: Path) -> None:
    """No thread gets another's answer, and each error says that the daemon is not there."""
    restarts = Restarts(tmp_path)
    asking = [Asking(restarts, me) for me in range(THREADS)]
    with Client(f"unix:{tmp_path}/herod.sock", timeout=60) as client, ThreadPoolExecutor(THREADS) as threads:
        begun = [threads.submit(ask_in_thread, client, one) for one in asking]
        restarts.go_through()
        for one in begun:
            one.result()
    assert_all_went_well(restarts, asking)


def test_tasks_of_asyncio_on_one_client(tmp_path: Path) -> None:
    """The same with tasks of asyncio."""
    restarts = Restarts(tmp_path)
    asking = [Asking(restarts, me) for me in range(TASKS)]

    async def main() -> None:
        async with AsyncClient(f"unix:{tmp_path}/herod.sock", timeout=60) as client:
            tasks = [ask_in_task(client, one, asyncio.sleep) for one in asking]
            await asyncio.gather(asyncio.to_thread(restarts.go_through), *tasks)

    asyncio.run(main())
    assert_all_went_well(restarts, asking)


async def test_tasks_of_trio_on_one_client(tmp_path: Path) -> None:
    """The same with tasks of trio."""
    restarts = Restarts(tmp_path)
    asking = [Asking(restarts, me) for me in range(TASKS)]
    async with AsyncClient(f"unix:{tmp_path}/herod.sock", timeout=60) as client, trio.open_nursery() as nursery:
        for one in asking:
            nursery.start_soon(ask_in_task, client, one, trio.sleep)
        await trio.to_thread.run_sync(restarts.go_through)
    assert_all_went_well(restarts, asking)
