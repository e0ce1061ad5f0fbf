"""One browser and one daemon with data for each module, and users at the browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from support.chromium import Person, Sit, chromium, furnished, person
from support.real_daemon import Daemon


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon with data."""
    with furnished(tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture
def sit(browser: Browser, daemon: Daemon) -> Iterator[Sit]:
    """Open a separate browser: `sit(theme=…, size=…)` returns a user who is not signed in."""
    with ExitStack() as stack:

        def begin(**options: Any) -> Person:
            return stack.enter_context(person(browser, daemon, **options))

        yield begin


@pytest.fixture
def admin(sit: Sit) -> Person:
    """Ada, signed in, in a wide window."""
    ada = sit()
    ada.sign_in()
    return ada
