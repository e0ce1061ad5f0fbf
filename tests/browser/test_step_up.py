"""What needs a recent sign-in asks for one in the browser, and loses nothing that was typed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, PHONE, WIDE, Person, ask, person
from support.real_daemon import Daemon, running

SKEWED = Path(__file__).parents[1] / "faults/skewed_clock.py"


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[tuple[Daemon, Path]]:
    """A daemon with an admin, and the file that sets its clock."""
    folder = tmp_path_factory.mktemp("skewed")
    file = folder / "skew"
    file.write_text("0")
    with running(folder, command=(sys.executable, str(SKEWED)), HEROD_TEST_SKEW=str(file)) as daemon:
        ask(daemon, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
        yield daemon, file


def wait_long(skew: Path) -> None:
    """Let 15 minutes pass for the daemon."""
    later = skew.with_suffix(".new")
    later.write_text(str(int(skew.read_text()) + 901))
    later.replace(skew)  # at once: the daemon reads it all the time


def sign_in_again(ada: Person) -> None:
    """Sign in on the page that asks for it."""
    ada.heading("Sign in again")
    ada.page.get_by_label("Email").fill(ADMIN)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.button("Sign in").first.click()


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_a_form_that_was_open_for_long(browser: Browser, skewed: tuple[Daemon, Path], size: tuple[int, int]) -> None:
    """After signing in again the form is shown as it was filled in, and one press sends it."""
    daemon, skew = skewed
    with person(browser, daemon, size=size) as ada:
        ada.sign_in()
        ada.go("Keys")
        ada.page.get_by_role("link", name="New key").click()
        ada.page.get_by_label("Name", exact=True).fill(f"printer {size[0]}")
        ada.page.get_by_label("Whose").select_option("service")
        wait_long(skew)
        ada.button("Create the key").click()
        sign_in_again(ada)
        ada.heading("Create the key?")
        assert not ada.violations()
        ada.page.emulate_media(color_scheme="light")
        assert not ada.violations("color-contrast")
        assert not ada.is_too_wide()
        assert ada.page.get_by_text(f"printer {size[0]}").count()
        ada.button("Create the key").click()
        ada.heading("The key was created")
        ada.forgive("401")


def test_a_page_that_asks_first(browser: Browser, skewed: tuple[Daemon, Path]) -> None:
    """The page of such a form asks before anybody fills it in, and leads back to it."""
    daemon, skew = skewed
    with person(browser, daemon) as ada:
        ada.sign_in()
        ada.go("Keys")
        wait_long(skew)
        ada.page.get_by_role("link", name="New key").click()
        sign_in_again(ada)
        ada.heading("New key")
        ada.forgive("401")
