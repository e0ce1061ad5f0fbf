"""Fixtures for every layer, and reporting for a run."""

import signal
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import settings

from support.herod_in_memory import Harness, open_harness
from support.soak_rounds import describe

# A suite started in the background ignores SIGINT, and so would every daemon and command that its tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and a busy machine is not a failure.
settings.register_profile("herod", deadline=None)
settings.load_profile("herod")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """An in-memory daemon without sockets."""
    async with open_harness() as built:
        yield built


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a line below the results, also when other processes run the tests."""
    return lambda line: record_property("said", line)


def pytest_report_header() -> str:
    """The numbers and the seed, so that a failure can be repeated."""
    return describe()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The lines that tests reported."""
    said = [
        (report.nodeid.rpartition("::")[2], value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
        for name, value in report.user_properties
        if name == "said"
    ]
    if said:
        terminalreporter.section("counted")
        for test, line in sorted(said):
            terminalreporter.line(f"{test}: {line}")
