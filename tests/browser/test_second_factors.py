"""Authenticator app, recovery codes, a lost factor and a required one, in real Chromium, with script and without."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, PHONE, WIDE, Person, Sit, ask, chromium
from support.real_daemon import Daemon, environment, herod, running
from support.totp_app import TotpApp


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon that demands a second factor of admins; each test adds its own users."""
    with running(tmp_path_factory.mktemp("daemon"), HEROD_SECOND_FACTOR="admin") as started:
        ask(started, ("users.add", {"email": ADMIN, "name": "Boss", "scope": "admin", "password": PASSWORD}))
        yield started


def arrive(sit: Sit, email: str, *, scope: str = "read", **options: Any) -> Person:
    """Somebody with a new account at the sign-in page."""
    person = sit(**options)
    ask(person.daemon, ("users.add", {"email": email, "name": email, "scope": scope, "password": PASSWORD}))
    person.email = email
    return person


def by_password(person: Person, lands_on: str) -> None:
    """Sign in with email and password."""
    person.page.goto(person.daemon.public_url + "/")
    person.page.get_by_label("Email").fill(person.email)
    person.page.get_by_label("Password").fill(PASSWORD)
    person.button("Sign in").first.click()
    person.heading(lands_on)


def open_account(person: Person) -> None:
    """Open the account page."""
    person.page.locator(".me .who a").click()
    person.heading("Your account")


def enter(person: Person, code: str, button: str) -> None:
    """Type a code of the app and send it."""
    person.page.get_by_role("textbox", name=re.compile("^Code")).fill(code)
    person.button(button).first.click()


def set_up_app(person: Person) -> tuple[TotpApp, list[str]]:
    """Set up an app from the page that leads there, and read the recovery codes."""
    person.page.get_by_role("link", name="Set up an app").click()
    person.heading("Set up an authenticator app")
    address = person.page.get_by_role("link", name="Open in an app on this device").get_attribute("href")
    assert address is not None
    app = TotpApp(address)
    enter(person, "000000", "Set it up")
    person.page.get_by_role("alert").get_by_text("This code is wrong").wait_for()
    person.forgive("401")
    enter(person, app.code(int(time.time())), "Set it up")
    person.heading("Keep these recovery codes")
    codes = person.page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    person.page.get_by_role("link", name="I have kept them").click()
    return app, codes


def sign_out(person: Person) -> None:
    """Sign out by the menu."""
    person.button("Sign out").click()
    person.heading("Sign in")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_app_and_recovery_codes(sit: Sit, *, has_script: bool) -> None:
    """An app is set up, its code signs in, a wrong one does not, and so does a recovery code once."""
    ada = arrive(sit, f"app-{has_script}@example.org".lower(), java_script_enabled=has_script)
    by_password(ada, "Overview")
    open_account(ada)
    app, codes = set_up_app(ada)
    ada.heading("Your account")
    sign_out(ada)
    by_password(ada, "Second step")
    enter(ada, "000000", "Sign in")
    ada.page.get_by_role("alert").get_by_text("This code is wrong").wait_for()
    ada.forgive("401")
    enter(ada, app.code(int(time.time()) + 30), "Sign in")  # the current one was used to set the app up
    ada.heading("Overview")
    sign_out(ada)
    by_password(ada, "Second step")
    ada.page.get_by_text("Use a recovery code").click()
    ada.page.get_by_role("textbox", name="Recovery code").fill(codes[3])
    ada.button("Sign in with the recovery code").click()
    ada.heading("Overview")
    open_account(ada)
    ada.page.get_by_text("9 of 10 are left.").wait_for()


def test_in_a_terminal(sit: Sit, tmp_path: Path) -> None:
    """The command needs a code beside the password: one of the app or a recovery code, each once, from a file."""
    ada = arrive(sit, "terminal@example.org")
    by_password(ada, "Overview")
    open_account(ada)
    app, codes = set_up_app(ada)
    (tmp_path / "password").write_text(PASSWORD)
    environ = environment(tmp_path, HEROD_URL=f"unix:{ada.daemon.socket}")
    login = ("login", "--email", ada.email, "--password-file", str(tmp_path / "password"))

    def code(text: str) -> str:
        done = herod(*login, "--otp-file", "-", env=environ, stdin=f"{text}\n")
        assert text not in done.stdout + done.stderr
        return done.stderr if done.returncode else "in"

    without = herod(*login, env=environ)
    assert (without.returncode, "--otp-file FILE" in without.stderr) == (2, True)
    assert "This code is wrong" in code("000000")
    right = app.code(int(time.time()) + 30)  # the current one was used to set the app up
    assert code(right) == "in"
    assert "This code is wrong" in code(right)
    assert code(codes[3]) == "in"
    shown = herod("user", "factors", env=environ)
    assert "9 left" in shown.stdout, shown.stderr


def test_required(sit: Sit) -> None:
    """An admin without a second factor sets one up before anything else, and then lands on the page they wanted."""
    boss = arrive(sit, "boss@example.org", scope="admin")
    boss.page.goto(boss.daemon.public_url + "/ui/keys")
    boss.page.get_by_label("Email").fill(boss.email)
    boss.page.get_by_label("Password").fill(PASSWORD)
    boss.button("Sign in").first.click()
    boss.heading("Set up a second factor")
    assert boss.menu.get_by_role("link").count() == 0
    boss.page.goto(re.sub(r"/ui/.*\?", "/ui/users?", boss.page.url))
    boss.heading(re.compile("Sign in|Set up a second factor"))
    boss.page.go_back()
    boss.heading("Set up a second factor")
    set_up_app(boss)
    boss.heading("Keys")


def test_lost(sit: Sit) -> None:
    """An admin resets the second factor of who has lost it: their browsers are signed out, their password signs in."""
    eve = arrive(sit, "eve@example.org")
    by_password(eve, "Overview")
    open_account(eve)
    set_up_app(eve)
    eve.heading("Your account")
    boss = arrive(sit, "another-boss@example.org", scope="admin")
    by_password(boss, "Set up a second factor")
    set_up_app(boss)
    boss.heading("Overview")
    boss.go("Users")
    boss.page.get_by_role("link", name="eve@example.org").first.click()
    boss.button("Reset").click()
    boss.sure("Reset")
    boss.said("are removed")
    eve.page.reload()
    eve.heading("Sign in again")
    eve.forgive("401")
    by_password(eve, "Overview")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_looks(sit: Sit, size: tuple[int, int]) -> None:
    """Every page of second factors is accessible and fits, wide and on a phone, dark and light."""
    ada = arrive(sit, f"looks-{size[0]}@example.org", scope="admin", size=size)
    found: list[str] = []

    def look(name: str) -> None:
        found.extend(f"{name}: {line}" for line in ada.violations())
        ada.page.emulate_media(color_scheme="light")
        found.extend(f"{name}, light: {line}" for line in ada.violations("color-contrast"))
        ada.page.emulate_media(color_scheme="dark")
        if ada.is_too_wide():
            found.append(f"{name}: scrolls sideways")

    by_password(ada, "Set up a second factor")
    look("set up")
    ada.page.get_by_role("link", name="Set up an app").click()
    ada.heading("Set up an authenticator app")
    look("app")
    address = ada.page.get_by_role("link", name="Open in an app on this device").get_attribute("href")
    assert address is not None
    enter(ada, TotpApp(address).code(int(time.time())), "Set it up")
    ada.heading("Keep these recovery codes")
    look("codes")
    ada.page.get_by_role("link", name="I have kept them").click()
    ada.heading(re.compile("Overview|Your account"))
    open_account(ada)
    look("account")
    sign_out(ada)
    by_password(ada, "Second step")
    look("second step")
    assert not found, "\n".join(found)
