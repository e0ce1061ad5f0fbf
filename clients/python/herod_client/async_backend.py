"""What the async transport needs of an event loop. Which one runs, asyncio or trio, is found at each request.

Neither is imported unless it runs. Sockets are the standard library's, so that a kept connection belongs to no loop.
"""

import socket
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Backend", "Limit", "Places", "running_backend"]


class Limit(Protocol):
    """A time limit that is in force."""

    def renew(self, seconds: float) -> None:
        """Let it end `seconds` from now."""


class Places(Protocol):
    """A semaphore."""

    async def acquire(self) -> object:
        """Wait for a place, and take it."""

    def release(self) -> None:
        """Give it back."""


class Backend(Protocol):
    """A running event loop."""

    def loop(self) -> object:
        """The loop itself, to compare with."""

    async def wait_readable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be read, or has failed."""

    async def wait_writable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be written, or has failed."""

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for that long."""

    async def resolve(self, host: str, port: int) -> list[Any]:
        """getaddrinfo(3) for TCP.

        Raises:
            OSError, UnicodeError: the name has no address.
        """

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Limit]:
        """Cancel what is inside after that time, and raise TimeoutError."""

    def places(self, number: int) -> Places:
        """A semaphore for that many tasks."""


def running_backend() -> Backend:
    """The event loop that the caller runs on.

    Raises:
        RuntimeError: it runs on neither.
    """
    if sys.modules.get("trio") is not None:
        from herod_client.trio_backend import TrioBackend, in_trio

        if in_trio():
            return TrioBackend()
    from herod_client.asyncio_backend import AsyncioBackend

    return AsyncioBackend()
