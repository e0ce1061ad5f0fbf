"""Email addresses with letters beyond ASCII, typed into the pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.chromium import PASSWORD, Person, ask, person
from support.real_daemon import Daemon, running


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon without an admin."""
    with running(tmp_path_factory.mktemp("fresh")) as started:
        yield started


def sign_in(ada: Person, email: str) -> None:
    """Sign in with an email, and out again."""
    ada.sign_in(email)
    ada.button("Sign out").click()
    ada.heading("Sign in")


def test_every_spelling_signs_in(browser: Browser, fresh: Daemon) -> None:
    """The first admin and a user that it adds sign in by any spelling of their addresses, a local part included."""
    [path] = fresh.folder.rglob("first-admin.code")
    with person(browser, fresh) as ada:
        ada.page.goto(fresh.url + "/")
        ada.heading("Create the first admin")
        ada.page.get_by_label("Code", exact=True).fill(path.read_text().strip())
        ada.page.get_by_label("Email").fill("üser@bücher.example")
        ada.page.get_by_label("Password", exact=True).fill(PASSWORD)
        ada.page.get_by_label("Password again").fill(PASSWORD)
        ada.button("Create the admin and sign in").click()
        ada.heading("Overview")
        ada.go("Users")
        ada.page.get_by_role("link", name="New user").click()
        ada.page.get_by_label("Email").fill("eve@xn--bcher-kva.example")
        ada.page.get_by_label("Password").fill(PASSWORD)
        ada.button("Add the user").click()
        ada.heading("The user was added")
        ada.button("Sign out").click()
        ada.heading("Sign in")
        for email in ("üser@bücher.example", "ÜSER@xn--bcher-kva.example", "eve@BÜCHER.example"):
            sign_in(ada, email)
    emails = [user["email"] for user in ask(fresh, ("users.list", {}))[0]["items"]]
    assert emails == ["üser@bücher.example", "eve@bücher.example"]


def test_accounts_of_programs_sign_in_at_the_page(browser: Browser, fresh: Daemon) -> None:
    """Whoever registered by the API signs in at the page: what the one takes, the other does."""
    emails = ["üser@example.org", "user@xn--bcher-kva.example", "root@localhost", "a'b@my_host"]
    ask(fresh, ("users.add", {"email": "admin@example.org", "password": PASSWORD, "scope": "admin"}))
    for email in emails:
        status, _, _ = fresh.curl("/register", "--json", f'{{"email":"{email}","password":"{PASSWORD}"}}')
        assert status == 201
    with person(browser, fresh) as ada:
        for email in emails:
            sign_in(ada, email)
