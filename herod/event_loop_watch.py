"""How long requests hold the event loop: only with `--log-level debug`, because every step of every task is timed.

While one request holds the loop, all others wait. A step from one checkpoint to the next should take at most
`LONG_STEP_SECONDS`; longer ones are logged with what ran in them. Must never change what runs.
"""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import trio

from herod.identity.credential_types import Presented
from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.pipeline import Pipeline
from herod.protocols.http import Handler, Request, Response
from herod.scopes.principal import Source
from herod.server.logs import shown_path

__all__ = ["LONG_STEP_SECONDS", "LoopWatch", "WatchedPipeline"]

logger = logging.getLogger("herod.loop")

LONG_STEP_SECONDS: Final = 0.02

_running: ContextVar[str] = ContextVar("running")


class WatchedPipeline(Pipeline):
    """A pipeline that names the operation that a task runs."""

    async def call(self, operation: Operation, params: Params, presented: Presented | None, source: Source) -> Any:
        """As `Pipeline.call`."""
        _running.set(operation.name)
        return await super().call(operation, params, presented, source)


class LoopWatch(trio.abc.Instrument):
    """Times every step of every task, and logs the long ones with the last operation or path of their task.

    Args:
        clock: seconds.

    Attributes:
        longest: seconds of the longest step by operation, path or name of the task.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.longest: dict[str, float] = {}
        self._clock = clock
        self._began = clock()  # it is added in the middle of a step

    def names(self, handle: Handler) -> Handler:
        """A handler that names the path that a task answers."""

        async def answer(request: Request) -> Response:
            _running.set(f"{request.method} {shown_path(request.path)}")
            return await handle(request)

        return answer

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - trio's signature
        """Note when a step begins."""
        self._began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Log a long step."""
        held = self._clock() - self._began
        name = task.context.get(_running) or task.name
        if held >= self.longest.get(name, 0.0):
            self.longest[name] = held
        if held > LONG_STEP_SECONDS:
            logger.debug(
                "held the event loop", extra={"event": "loop.held", "operation": name, "ms": round(held * 1000)}
            )
