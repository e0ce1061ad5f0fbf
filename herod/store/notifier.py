"""An edge-triggered notifier for changes of the store. For the event loop only; it keeps no state between waits."""

from collections.abc import Iterable

import trio

__all__ = ["ChangeNotifier"]


class ChangeNotifier:
    """Notifies waiting tasks, any number of times, and only those whom a change concerns.

    A task that checks for changes and then waits, without a checkpoint in between, misses none.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[frozenset[str] | None, trio.lowlevel.ParkingLot] = {}

    def __len__(self) -> int:
        """The number of waiting tasks."""
        return sum(map(len, self._waiting.values()))

    def send(self, kinds: Iterable[str] | None = None) -> None:
        """Wake the tasks that wait for changes of any of these kinds of record, or all tasks."""
        changed = None if kinds is None else {*kinds}
        for wanted, waiting in self._waiting.items():
            if changed is None or wanted is None or not wanted.isdisjoint(changed):
                waiting.unpark_all()

    async def wait(self, kinds: frozenset[str] | None = None) -> None:
        """Wait for the next `send` that concerns these kinds, or for any; callers have few different `kinds`."""
        if kinds not in self._waiting:
            self._waiting[kinds] = trio.lowlevel.ParkingLot()
        await self._waiting[kinds].park()
