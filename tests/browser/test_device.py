"""The page where a terminal's code is entered, in a browser: in every theme and size, with axe, and without script."""

import re
from typing import Any

import httpx2
import pytest

from support.chromium import PASSWORD, PHONE, WIDE, Person, Sit, Theme
from support.device_app import DEVICE
from support.real_daemon import Daemon


class Terminal:
    """An app without a browser, which has asked for a code."""

    def __init__(self, daemon: Daemon) -> None:
        self.url = daemon.url
        metadata = {
            "client_name": "Claude Code",
            "grant_types": [DEVICE, "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        self.client_id = self._post("/oauth/register", json=metadata)["client_id"]
        form = {"scope": "admin write read openid email", "resource": f"{daemon.url}/mcp"}
        self.codes = self._post("/device_authorization", data={"client_id": self.client_id, **form})

    def _post(self, path: str, **body: Any) -> Any:
        return httpx2.post(f"{self.url}{path}", **body).json()

    def poll(self) -> Any:
        """What `/token` answers now."""
        form = {"grant_type": DEVICE, "client_id": self.client_id, "device_code": self.codes["device_code"]}
        return self._post("/token", data=form)


def follow(person: Person, address: str) -> None:
    """Open the page that a terminal names, and sign in first if that is asked."""
    person.page.goto(address)
    person.page.get_by_label("The code").or_(person.page.get_by_label("Password")).first.wait_for()
    if person.page.get_by_label("Password").count():
        person.page.get_by_label("Email").fill(person.email)
        person.page.get_by_label("Password").fill(PASSWORD)
        person.page.get_by_role("button", name="Sign in", exact=True).first.click()
    person.heading("Connect a terminal")


def open_question(person: Person, terminal: Terminal) -> None:
    """Send the code that the link fills in."""
    follow(person, terminal.codes["verification_uri_complete"])
    person.button("Continue").click()
    person.heading(re.compile("Let “Claude Code”"))


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_how_it_looks(sit: Sit, daemon: Daemon, theme: Theme, size: tuple[int, int]) -> None:
    """Nothing for axe to find on any of its pages, and nothing wider than the window."""
    ada, terminal = sit(theme=theme, size=size), Terminal(daemon)

    def look(name: str) -> None:
        assert ada.violations() == []
        assert not ada.is_too_wide()
        ada.picture(name)

    follow(ada, terminal.codes["verification_uri"])
    look("device-empty")
    ada.page.get_by_label("The code").fill("bcdf ghjk")
    ada.button("Continue").click()
    ada.page.get_by_role("alert").wait_for()
    ada.forgive("404")
    look("device-wrong")
    follow(ada, terminal.codes["verification_uri_complete"])
    look("device-filled-in")
    ada.button("Continue").click()
    ada.heading(re.compile("Let “Claude Code”"))
    look("device-question")
    deny, allow = (ada.button(name).bounding_box() for name in ("Deny", "Allow"))
    assert deny is not None
    assert allow is not None
    assert (deny["width"], deny["height"], deny["y"]) == (allow["width"], allow["height"], allow["y"])
    ada.page.get_by_label("My own terminal shows").check()
    ada.button("Allow").click()
    ada.heading("Allowed")
    look("device-allowed")
    assert terminal.poll()["scope"] == "openid read"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_allow_and_deny(sit: Sit, daemon: Daemon, script: bool) -> None:
    """The terminal is told either answer, and allowing needs the person's word, with and without script."""
    options: dict[str, Any] = {"java_script_enabled": script}
    denied, allowed = Terminal(daemon), Terminal(daemon)
    bob = sit(**options)
    open_question(bob, denied)
    bob.button("Deny").click()
    bob.heading("Denied")
    assert denied.poll()["error"] == "access_denied"
    ada = sit(**options)
    open_question(ada, allowed)
    ada.button("Allow").click()
    ada.page.get_by_role("alert").wait_for()
    ada.forgive("400")
    assert allowed.poll()["error"] == "authorization_pending"
    ada.page.get_by_label("My own terminal shows").check()
    ada.page.get_by_label(re.compile("Change things")).check()
    ada.button("Allow").click()
    ada.heading("Allowed")
    assert set(allowed.poll()["scope"].split()) == {"openid", "read", "write"}


def test_by_keyboard(sit: Sit, daemon: Daemon) -> None:
    """The code can be typed and sent at once, and Enter at the question allows nothing."""
    ada, terminal = sit(), Terminal(daemon)
    follow(ada, terminal.codes["verification_uri"])
    ada.page.keyboard.type(terminal.codes["user_code"].lower().replace("-", ""))
    ada.page.keyboard.press("Enter")
    ada.heading(re.compile("Let “Claude Code”"))
    ada.page.keyboard.press("Enter")
    assert terminal.poll()["error"] == "authorization_pending"
