"""The first page of a daemon without an admin."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, Person, Theme, person
from support.real_daemon import Daemon, running


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon without an admin."""
    with running(tmp_path_factory.mktemp("fresh")) as started:
        yield started


@pytest.mark.parametrize("script", [True, False])
def test_first_run(browser: Browser, fresh: Daemon, script: bool) -> None:
    """The code from the file creates an admin and signs in; a wrong code does not."""
    [path] = fresh.folder.rglob("first-admin.code")
    assert path.stat().st_mode & 0o777 == 0o600
    with person(browser, fresh, java_script_enabled=script) as ada:
        ada.page.goto(fresh.url + "/")
        ada.heading("Create the first admin")
        fill(ada, "x" * 43)
        ada.page.get_by_role("alert").wait_for()
        ada.forgive("status of 401")
        fill(ada, path.read_text().strip())
        ada.heading("Overview")
        assert "Users" in ada.areas()
        ada.button("Sign out").click()
        ada.heading("Sign in")
        ada.sign_in()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_looks(browser: Browser, fresh: Daemon, theme: Theme) -> None:
    """The page has no serious axe findings, and fits a phone."""
    with person(browser, fresh, theme=theme, size=(390, 844)) as ada:
        ada.page.goto(fresh.url + "/")
        ada.heading("Create the first admin")
        assert ada.violations() == []
        assert not ada.is_too_wide()


def fill(ada: Person, code: str) -> None:
    """Fill in the form and submit it."""
    ada.page.get_by_label("Code", exact=True).fill(code)
    ada.page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    ada.page.get_by_label("Email").fill(ADMIN)
    ada.page.get_by_label("Password", exact=True).fill(PASSWORD)
    ada.page.get_by_label("Password again").fill(PASSWORD)
    ada.button("Create the admin and sign in").click()
