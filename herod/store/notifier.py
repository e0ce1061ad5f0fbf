"""Waking those who wait for news of the store. Event loop alone; nothing is remembered for who does not wait."""

import trio

__all__ = ["ChangeNotifier"]


class ChangeNotifier:
    """Something that happens again and again.

    No news is missed by who looks and then waits without a checkpoint in between.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def send(self) -> None:
        """Wake all who wait now."""
        self._waiting.unpark_all()

    async def wait(self) -> None:
        """Wait for the next time."""
        await self._waiting.park()
