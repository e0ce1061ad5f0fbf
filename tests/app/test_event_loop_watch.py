"""The watch of the event loop, in debug mode: it logs which operation held the loop, and nothing else."""

import logging

import pytest
import trio

from herod.event_loop_watch import LONG_STEP_SECONDS, LoopWatch, WatchedPipeline
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Request
from herod.protocols.router import Router
from support.herod_in_memory import TCP, Harness


class Time:
    """A clock that stands still, unless a step makes it go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def watched(harness: Harness, watch: LoopWatch, time: Time, seconds: float, target: str) -> None:
    """Answer one request in a task of its own, whose step takes so many seconds."""

    def slow_clock() -> int:
        time.now += seconds
        return harness.clock.now

    pipeline = WatchedPipeline(harness.store, harness.runtime, clock=slow_clock)
    handle = watch.names(Router(pipeline, OPERATIONS, Guard()))
    trio.lowlevel.add_instrument(watch)
    try:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(handle, Request("GET", target, "", {"host": "localhost"}, b"", TCP))
    finally:
        trio.lowlevel.remove_instrument(watch)


async def test_a_long_step_is_logged_with_its_operation(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """A step over the limit is logged with the operation and its milliseconds."""
    caplog.set_level(logging.DEBUG, "herod.loop")
    time = Time()
    watch = LoopWatch(time)
    await watched(harness, watch, time, 0.5, "/health")
    (line,) = caplog.records
    assert (vars(line)["operation"], vars(line)["ms"]) == ("health", 500)
    assert watch.longest["health"] == 0.5


async def test_short_steps_are_not_logged(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Steps up to the limit are not logged."""
    caplog.set_level(logging.DEBUG, "herod.loop")
    time = Time()
    await watched(harness, LoopWatch(time), time, LONG_STEP_SECONDS / 2, "/health")
    assert not caplog.records


async def test_what_runs_no_operation_is_named_by_its_path(harness: Harness) -> None:
    """A document has no operation: its path is the name, without what may be a secret."""
    time = Time()
    watch = LoopWatch(time)
    await watched(harness, watch, time, 0.5, "/openapi.json")
    await watched(harness, watch, time, 0.5, "/a-secret-in-the-wrong-place")
    assert "GET /openapi.json" in watch.longest
    assert not any("in-the-wrong-place" in name for name in watch.longest)
