"""Writes that are processed in one batch of the embedded store's writer."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from herod.store.sqlite.sqlite_store import SqliteStore
from herod.store.store_interface import Writer


@asynccontextmanager
async def held_up(store: SqliteStore, then: Callable[[], None] = lambda: None) -> AsyncIterator[trio.Nursery]:
    """Block the writer thread until everything started in the nursery is queued; finally run `then` in that thread."""
    entered, opened = threading.Event(), threading.Event()

    def hold(_tx: Writer) -> None:
        entered.set()
        assert opened.wait(10)
        then()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, hold)
        await trio.to_thread.run_sync(entered.wait, 10)
        yield nursery
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
        opened.set()


async def write_together(
    store: SqliteStore, *functions: Callable[[Writer], object], then: Callable[[], None] = lambda: None
) -> list[object]:
    """The results or errors of functions that are written in one batch."""
    outcomes: list[object] = [None] * len(functions)

    async def one(number: int, function: Callable[[Writer], object]) -> None:
        try:
            outcomes[number] = await store.write(function)
        except Exception as error:  # noqa: BLE001 - every error is a result here
            outcomes[number] = error

    async with held_up(store, then) as nursery:
        for number, function in enumerate(functions):
            nursery.start_soon(one, number, function)
    return outcomes
