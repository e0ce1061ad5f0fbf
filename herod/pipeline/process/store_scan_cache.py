"""Long looks at the store, made rarely: what one found is good for all who ask within a minute.

A look at a hundred thousand records takes a second of a processor, and a page that stands open asks again and again.
A short look is made anew each time. For the event loop only.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

__all__ = ["MAX_SURVEYED", "ScanCache"]

T = TypeVar("T")

# More than these nobody waits for: the answer says that there are more.
MAX_SURVEYED: Final = 50_000
KEPT_SECONDS: Final = 60
SHORT_ROWS: Final = 2000


class ScanCache:
    """Remembers what was found, by name."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, Any]] = {}
        self._lock = trio.Lock()

    async def find(self, name: str, look: Callable[[], Awaitable[T]], *, rows: int, now: int) -> T:
        """What `look` finds, or has found a moment ago.

        Args:
            name: one name, one kind of look.
            look: looks.
            rows: how many rows it will look at.
            now: Unix seconds.
        """
        async with self._lock:  # who comes meanwhile gets what this one finds
            at, found = self._found.get(name, (0, None))
            if rows > SHORT_ROWS and at <= now < at + KEPT_SECONDS:
                result: T = found
                return result
            result = await look()
            self._found[name] = now, result
            return result
