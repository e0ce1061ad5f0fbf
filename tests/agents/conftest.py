"""One daemon with a person who has an account, in one Chromium for each module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, Person, ask, chromium, person
from support.real_daemon import Daemon, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that knows one person, who is its admin, and no app."""
    with running(tmp_path_factory.mktemp("daemon")) as started:
        ask(started, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
        yield started


@pytest.fixture
def ada(browser: Browser, daemon: Daemon) -> Iterator[Person]:
    """Ada, not signed in yet."""
    with person(browser, daemon) as someone:
        yield someone
        # What is wrong on the apps' own pages is not for herod to mend.
        someone.seen.complaints[:] = [line for line in someone.seen.complaints if f":{daemon.port}/" in line]
