"""An edge-triggered notifier for changes of the store. For the event loop only; it keeps no state between waits."""

import trio

__all__ = ["ChangeNotifier"]


class ChangeNotifier:
    """Notifies waiting tasks, any number of times.

    A task that checks for changes and then waits, without a checkpoint in between, misses none.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """The number of waiting tasks."""
        return len(self._waiting)

    def send(self) -> None:
        """Wake all tasks that are waiting now."""
        self._waiting.unpark_all()

    async def wait(self) -> None:
        """Wait for the next `send`."""
        await self._waiting.park()
