"""The pages on which a person enters a terminal's code, in a browser: every theme and size, with and without script."""

from typing import Any
from urllib.parse import urlencode

import pytest

from support.chromium import PASSWORD, PHONE, WIDE, Person, Sit, Theme
from support.real_daemon import Daemon

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def codes(daemon: Daemon) -> dict[str, Any]:
    """What `herod login --device` is told."""
    form = urlencode({"client_id": "herod-cli", "scope": "write read", "resource": daemon.public_url})
    found: dict[str, Any] = daemon.curl("/device_authorization", "-d", form)[1]
    assert "user_code" in found, found
    return found


def redeemed(daemon: Daemon, device_code: str) -> tuple[int, str]:
    """Status and error of a terminal that asks for its tokens."""
    form = urlencode({"client_id": "herod-cli", "grant_type": DEVICE, "device_code": device_code})
    status, body, _ = daemon.curl("/token", "-d", form)
    return status, body.get("error", "")


def open_page(ada: Person, url: str) -> None:
    """Open the page, and sign in, after which it is shown."""
    ada.page.goto(url)
    ada.page.get_by_label("Email").fill(ada.email)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.button("Sign in").first.click()
    ada.heading("Connect a terminal")


def look(ada: Person, name: str) -> None:
    """Check the open page."""
    ada.picture(name)
    assert ada.violations() == []
    assert not ada.is_too_wide()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_how_it_looks(sit: Sit, daemon: Daemon, theme: Theme, size: tuple[int, int]) -> None:
    """Nothing for axe to find on the pages of the code, of a wrong one, of the question and of the answer."""
    asked = codes(daemon)
    ada = sit(theme=theme, size=size)
    open_page(ada, f"{daemon.public_url}/ui/device")
    look(ada, "device")
    ada.page.get_by_label("code that your terminal shows").fill("XXXX-XXXX")
    ada.button("Continue").click()
    ada.page.locator("#problem").wait_for()
    look(ada, "device-wrong")
    ada.page.get_by_label("code that your terminal shows").fill(asked["user_code"].lower())
    ada.button("Continue").click()
    ada.button("Allow").wait_for()
    look(ada, "device-question")
    ada.page.locator("input[name=is_mine]").check()
    ada.button("Allow").click()
    ada.heading("Allowed")
    look(ada, "device-allowed")
    assert redeemed(daemon, asked["device_code"]) == (200, "")
    ada.forgive("status of 4")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.parametrize(("button", "answer"), [("Allow", (200, "")), ("Deny", (400, "access_denied"))])
def test_the_link(sit: Sit, daemon: Daemon, script: bool, button: str, answer: tuple[int, str]) -> None:
    """The link fills the code in and decides nothing; the person says that it is theirs, and the terminal goes on."""
    asked = codes(daemon)
    options: dict[str, Any] = {"java_script_enabled": script}
    ada = sit(**options)
    open_page(ada, asked["verification_uri_complete"])
    assert ada.page.get_by_label("code that your terminal shows").input_value() == asked["user_code"]
    ada.button("Continue").click()
    ada.page.locator("input[name=is_mine]").check()
    ada.button(button).click()
    ada.heading({"Allow": "Allowed", "Deny": "Denied"}[button])
    assert redeemed(daemon, asked["device_code"]) == answer
