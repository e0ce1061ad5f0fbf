"""Slow work outside the event loop: password hashes, one at a time, with a bounded queue.

Must never let requests wait indefinitely: beyond the bound they are refused at once.
"""

from collections.abc import Callable
from typing import Any, Final

import trio

from herod_client.core.errors import Unavailable

__all__ = ["MAX_WAITING_WORK", "MAX_WORKERS", "WorkerThread"]

# Argon2 takes 19 MiB and a core: one at a time keeps other answers quick.
MAX_WORKERS: Final = 1
# Beyond this a login would wait for seconds; it is refused instead.
MAX_WAITING_WORK: Final = 64


class WorkerThread:
    """Runs functions that would block the event loop."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(MAX_WORKERS)

    async def run(self, work: Callable[[], Any]) -> Any:
        """Call `work` in the thread, and return or raise what it does.

        Raises:
            Unavailable: too many calls are waiting.
        """
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING_WORK:
            raise Unavailable("Too many sign-ins at once: try again in a few seconds.", reason="work_queue_full")
        return await trio.to_thread.run_sync(work, limiter=self._limiter)
