"""The appearance follows the user's preferences: dark or light, and reduced motion."""

import pytest
from playwright.sync_api import Browser

from support.chromium import Person, Sit, Theme, person
from support.real_daemon import Daemon

GROUND = {"dark": "rgb(20, 17, 15)", "light": "rgb(247, 242, 236)"}


def ground(ada: Person) -> str:
    """The background color."""
    colour: str = ada.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


@pytest.mark.parametrize(("theme", "other"), [("dark", "light"), ("light", "dark")])
def test_theme(sit: Sit, theme: Theme, other: Theme) -> None:
    """The system's theme applies first; the button switches it, also for the next page and after a reload."""
    ada = sit(theme=theme)
    ada.sign_in()
    assert ground(ada) == GROUND[theme]
    ada.button("Theme").click()
    assert ground(ada) == GROUND[other]
    ada.go("Peers")
    assert ground(ada) == GROUND[other]
    ada.button("Sign out").click()
    ada.heading("Sign in")
    assert ground(ada) == GROUND[other]


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion(browser: Browser, daemon: Daemon, motion: str) -> None:
    """Toasts slide in, except with reduced motion."""
    with person(browser, daemon, reduced_motion=motion) as ada:
        ada.sign_in()
        ada.page.evaluate(
            "document.getElementById('toasts').append("
            "Object.assign(document.createElement('p'), {className: 'toast good', textContent: 'Hello'}))"
        )
        ada.said("Hello")
        name = ada.page.evaluate("getComputedStyle(document.querySelector('.toast')).animationName")
        assert name == ("none" if motion == "reduce" else "rise")
