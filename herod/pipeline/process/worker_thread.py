"""Slow work outside the event loop: password hashes, one at a time, by turns of the sources that wait.

Must never let requests wait indefinitely: beyond the bounds they are refused at once.
"""

from collections.abc import Callable
from typing import Any, Final

import trio

from herod.throttle.fair_turns import FairTurns

__all__ = ["MAX_WORKERS", "WorkerThread"]

# Argon2 takes 19 MiB and a core: one at a time keeps other answers quick.
MAX_WORKERS: Final = 1


class WorkerThread:
    """Runs functions that would block the event loop."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(MAX_WORKERS)
        self._turns = FairTurns("Too many sign-ins at once: try again in a few seconds.")

    async def run(self, work: Callable[[], Any], source: str) -> Any:
        """Call `work` in the thread, and return or raise what it does.

        Args:
            source: who asks, as limits name it.

        Raises:
            Unavailable: too many calls are waiting.
        """
        async with self._turns.turn(source):
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
