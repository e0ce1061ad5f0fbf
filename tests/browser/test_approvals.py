"""Approvals in a browser: looked at in every theme and size, with axe, and decided with and without script."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from support.chromium import PASSWORD, PHONE, WIDE, Person, Sit, Theme, ask
from support.person_at_forms import CALLBACK, PersonAtForms, register_app, tokens_for
from support.real_daemon import Daemon

SECRET = "what the tenant chose itself"


@dataclass
class Waiting:
    """A call of an app that waits for its person.

    Attributes:
        url: the page that herod tells the app.
    """

    daemon: Daemon
    token: str
    sid: str
    url: str = ""

    def repeat(self) -> int:
        """Send the call, as the app does; the answer's status."""
        headers = ("-H", f"Authorization: Bearer {self.token}", "-H", f"X-Resource-Secret: {SECRET}")
        status, body, _ = self.daemon.curl(f"/api/v1/resources/{self.sid}", "-X", "DELETE", *headers)
        self.url = (body.get("error") or {}).get("url", self.url)
        return status


@pytest.fixture
def waiting(daemon: Daemon) -> Callable[[str], Waiting]:
    """Let an app that the person connected ask for the release of a resource of theirs."""

    def begin(app: str) -> Waiting:
        client_id, secret = register_app(daemon, name=app, redirect_uris=[CALLBACK], scope="user")
        with PersonAtForms(daemon) as ada:
            token = tokens_for(ada, client_id, secret, resource=daemon.public_url, scope="user")["access_token"]
        claim = {"kind": "vm", "name": "build machine of the night", "secret": SECRET}
        (claimed,) = ask(daemon, ("resources.claim", claim), credential=f"Bearer {token}")
        asked = Waiting(daemon, token, claimed["sid"])
        assert asked.repeat() == 403
        return asked

    return begin


def open_question(ada: Person, url: str) -> None:
    """Open the page that herod told the app, and sign in, after which it is shown."""
    ada.page.goto(url)
    ada.page.get_by_label("Email").fill(ada.email)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.button("Sign in").first.click()
    ada.heading("Approve this change?")


def look(ada: Person, name: str) -> None:
    """Check the open page."""
    ada.picture(name)
    assert ada.violations() == []
    assert not ada.is_too_wide()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_how_it_looks(sit: Sit, waiting: Callable[[str], Waiting], theme: Theme, size: tuple[int, int]) -> None:
    """Nothing for axe to find on the page, the list, and the page after the decision, and nothing too wide."""
    call = waiting(f"Looked at {theme} {size[0]}")
    ada = sit(theme=theme, size=size)
    open_question(ada, call.url)
    approve, decline = (ada.button(name).bounding_box() for name in ("Approve once", "Decline"))
    assert approve is not None
    assert decline is not None
    assert (approve["height"], approve["y"]) == (decline["height"], decline["y"])
    look(ada, "approval")
    ada.go("Approvals")
    look(ada, "approvals")
    ada.page.get_by_role("link", name="Release one of your resources").first.click()
    ada.button("Approve once").click()
    ada.said("Approved: the app may now do it, once.")
    ada.page.get_by_role("link", name="Release one of your resources").first.click()
    ada.heading("You approved this change")
    look(ada, "approval-approved")
    assert call.repeat() == 200


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.parametrize(("button", "status"), [("Approve once", 200), ("Decline", 403)])
def test_decide(sit: Sit, waiting: Callable[[str], Waiting], script: bool, button: str, status: int) -> None:
    """One press is the answer that the app gets when it repeats its call; before it there is none."""
    call = waiting(f"{button} {script}")
    options: dict[str, Any] = {"java_script_enabled": script}
    ada = sit(**options)
    open_question(ada, call.url)
    assert call.repeat() == 403
    ada.button(button).click()
    ada.heading("Approvals")
    assert call.repeat() == status
