"""A cache for long scans of the store: a result is reused for all requests within a minute.

Scanning a hundred thousand records takes a second of processor time, and an open page asks again and again. Short scans
are repeated each time. For the event loop only.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

__all__ = ["MAX_SURVEYED", "ScanCache"]

T = TypeVar("T")

# A scan stops here, and the answer says that there are more.
MAX_SURVEYED: Final = 50_000
KEPT_SECONDS: Final = 60
SHORT_ROWS: Final = 2000


class ScanCache:
    """Remembers results, by name."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, Any]] = {}
        self._lock = trio.Lock()

    async def find(self, name: str, look: Callable[[], Awaitable[T]], *, rows: int, now: int) -> T:
        """The result of `look`, or its recent one.

        Args:
            name: identifies the kind of scan.
            look: scans.
            rows: how many rows it will read.
            now: Unix seconds.
        """
        async with self._lock:  # requests that arrive meanwhile get this result
            at, found = self._found.get(name, (0, None))
            if rows > SHORT_ROWS and at <= now < at + KEPT_SECONDS:
                result: T = found
                return result
            result = await look()
            self._found[name] = now, result
            return result
