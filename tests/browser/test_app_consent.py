"""The consent page in a browser: looked at in every theme and size, with axe, and used without script."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from support.chromium import PHONE, WIDE, Person, Sit, Theme
from support.real_daemon import Daemon

CALLBACK = "http://127.0.0.1:9/callback"  # nobody listens there: the address is enough
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

# What a browser does when a window above is closed between the two presses.
PRESS_AT_ONCE = """() => {
  dispatchEvent(new Event("blur"));
  dispatchEvent(new Event("focus"));
  document.querySelector("button[value=allow]").click();
}"""


def asking(daemon: Daemon, **changes: str) -> str:
    """The address to which an agent sends the browser."""
    metadata = {"client_name": "Claude Code", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    answer = httpx2.post(f"{daemon.url}/oauth/register", json=metadata)
    assert answer.status_code == 201, answer.text
    usual = {
        "client_id": answer.json()["client_id"],
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "admin write read openid email",
        "state": "s",
        "resource": f"{daemon.url}/mcp",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{daemon.url}/authorize?{urlencode({**usual, **changes})}"


def answer_of(ada: Person, button: str) -> dict[str, str]:
    """What the browser takes to the app when this button is pressed."""
    with ada.page.expect_request(lambda request: request.url.startswith(CALLBACK)) as asked:
        ada.button(button).click()
    ada.forgive("")  # Chromium complains that nobody listens there
    return dict(parse_qsl(urlsplit(asked.value.url).query))


def open_question(ada: Person, address: str) -> None:
    """Follow an app's address to the question."""
    ada.page.goto(address)
    if ada.page.get_by_label("Password").count():  # without script a new page needs a new sign-in
        ada.page.get_by_label("Email").fill(ada.email)
        ada.page.get_by_label("Password").fill("correct horse battery staple")
        ada.page.get_by_role("button", name="Sign in", exact=True).first.click()
    ada.heading(re.compile("Let “Claude Code”"))


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_how_it_looks(sit: Sit, daemon: Daemon, theme: Theme, size: tuple[int, int]) -> None:
    """Nothing for axe to find, and nothing wider than the window."""
    ada = sit(theme=theme, size=size)
    open_question(ada, asking(daemon))
    assert ada.violations() == []
    assert not ada.is_too_wide()
    deny, allow = (ada.button(name).bounding_box() for name in ("Deny", "Allow"))
    assert deny is not None
    assert allow is not None
    assert (deny["width"], deny["height"], deny["y"]) == (allow["width"], allow["height"], allow["y"])
    ada.picture("consent")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_allow_and_deny(sit: Sit, daemon: Daemon, script: bool) -> None:
    """Either answer reaches the app, over the page's own policy, with and without script."""
    options: dict[str, Any] = {"java_script_enabled": script}
    ada = sit(**options)
    open_question(ada, asking(daemon))
    assert answer_of(ada, "Deny")["error"] == "access_denied"
    bob = sit(**options)
    open_question(bob, asking(daemon))
    back = answer_of(bob, "Allow")
    assert (set(back), back["state"]) == ({"code", "state", "iss"}, "s")


class LeadsOn(BaseHTTPRequestHandler):
    """An app that sends the browser on from its redirect to another origin of its own."""

    def do_GET(self) -> None:
        """The redirect, or the page."""
        if self.path.startswith("/callback?"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.headers['Host'].rpartition(':')[2]}/done")
        else:
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


def test_a_press_meant_for_another_window(sit: Sit, daemon: Daemon) -> None:
    """A press as the page comes to the front allows nothing, as the second one of a double click would be."""
    ada = sit()
    open_question(ada, asking(daemon))
    address = ada.page.url
    ada.page.evaluate(PRESS_AT_ONCE)
    ada.heading(re.compile("Let “Claude Code”"))
    assert ada.page.url == address
    assert "code" in answer_of(ada, "Allow")  # a moment later


def test_an_app_that_leads_on(sit: Sit, daemon: Daemon) -> None:
    """No policy of herod's page holds back what an app does with the browser after its redirect."""
    with ThreadingHTTPServer(("127.0.0.1", 0), LeadsOn) as app:
        Thread(target=app.serve_forever).start()
        try:
            bob = sit()
            open_question(bob, asking(daemon, redirect_uri=f"http://127.0.0.1:{app.server_port}/callback"))
            bob.button("Allow").click()
            bob.page.wait_for_url(f"http://localhost:{app.server_port}/done")
        finally:
            app.shutdown()
    bob.forgive("favicon")
