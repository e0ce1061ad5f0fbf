"""Fixtures for every layer, and reporting for a run."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from herod.credentials import passwords
from herod.credentials.passwords import Argon2idPreset
from support.herod_in_memory import Harness, open_harness
from support.soak_rounds import describe

# A suite started in the background ignores SIGINT, and so would every daemon and command that its tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and a busy machine is not a failure.
settings.register_profile("herod", deadline=None)
settings.load_profile("herod")


# Tests of processes take longest, so they start first; a module stays together, with the daemon that it shares.
FIRST: Final = ("browser", "daemon", "install", "canaries", "protocols/documents", "dashboard", "faults", "smoke")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the folders of `FIRST` to the front; the order is the same in every worker."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else ""
        return next((index for index, folder in enumerate(FIRST) if path.startswith(f"{folder}/")), len(FIRST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def cheap_passwords(request: pytest.FixtureRequest) -> Iterator[None]:
    """In this process, hashing a password costs next to nothing; tests/credentials measures the real cost."""
    with pytest.MonkeyPatch.context() as patched:
        if "credentials" not in request.path.parts:
            patched.setattr(passwords, "OWASP_2024", Argon2idPreset(memory_kib=8, passes=1, lanes=1))
        yield


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """An in-memory daemon without sockets."""
    async with open_harness() as built:
        yield built


@pytest.fixture
async def new_harness() -> AsyncIterator[Callable[[], Awaitable[Harness]]]:
    """Make any number of in-memory daemons."""
    async with AsyncExitStack() as opened:
        yield lambda: opened.enter_async_context(open_harness())


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
