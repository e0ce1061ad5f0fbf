"""The async transport on trio."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

__all__ = ["TrioBackend", "in_trio"]


def in_trio() -> bool:
    """Whether the caller is a task of trio's, also where trio is the guest of another loop."""
    return trio.lowlevel.in_trio_task()


class _Limit:
    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope

    def renew(self, seconds: float) -> None:
        self._scope.deadline = trio.current_time() + seconds


class TrioBackend:
    """As `Backend` says."""

    def loop(self) -> object:
        """The loop itself, to compare with."""
        return trio.lowlevel.current_root_task()

    async def wait_readable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be read, or has failed."""
        await trio.lowlevel.wait_readable(waiting)

    async def wait_writable(self, waiting: socket.socket) -> None:
        """Wait until the socket can be written, or has failed."""
        await trio.lowlevel.wait_writable(waiting)

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for that long."""
        await trio.sleep(seconds)

    async def resolve(self, host: str, port: int) -> list[Any]:
        """getaddrinfo(3) for TCP."""
        return list(await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[_Limit]:
        """Cancel what is inside after that time, and raise TimeoutError."""
        with trio.move_on_after(max(seconds, 0.0)) as scope:
            yield _Limit(scope)
        if scope.cancelled_caught:
            raise TimeoutError

    def places(self, number: int) -> trio.Semaphore:
        """A semaphore for that many tasks."""
        return trio.Semaphore(number)
