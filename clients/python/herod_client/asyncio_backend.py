"""The async transport on asyncio, and on loops that replace its own, such as uvloop's."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["AsyncioBackend"]


class _Limit:
    def __init__(self, scope: asyncio.Timeout) -> None:
        self._scope = scope

    def renew(self, seconds: float) -> None:
        self._scope.reschedule(asyncio.get_running_loop().time() + seconds)


class AsyncioBackend:
    """As `Backend` says.

    Raises:
        RuntimeError: no loop runs.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def loop(self) -> object:
        """The loop itself, to compare with."""
        return self._loop

    async def wait_readable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be read, or has failed."""
        await self._wait(self._loop.add_reader, self._loop.remove_reader, waiting.fileno())

    async def wait_writable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be written, or has failed."""
        await self._wait(self._loop.add_writer, self._loop.remove_writer, waiting.fileno())

    async def _wait(self, add: Callable[..., object], remove: Callable[[int], object], descriptor: int) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        add(descriptor, _wake, ready)
        try:
            await ready
        finally:
            remove(descriptor)

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for that long."""
        await asyncio.sleep(seconds)

    async def resolve(self, host: str, port: int) -> list[Any]:
        """getaddrinfo(3) for TCP."""
        return list(await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[_Limit]:
        """Cancel what is inside after that time, and raise TimeoutError."""
        async with asyncio.timeout(max(seconds, 0.0)) as scope:
            yield _Limit(scope)

    def places(self, number: int) -> asyncio.Semaphore:
        """A semaphore for that many tasks."""
        return asyncio.Semaphore(number)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():  # a loop may call twice before the task has run
        ready.set_result(None)
