"""A person signs in to an app and out again in a real browser, on the app's site and on another one."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from playwright.sync_api import Browser, Request
from werkzeug.serving import make_server

from openid.conftest import Place
from openid.flask_wiki import flask_wiki
from support.chromium import Person, chromium, person
from support.person_at_forms import EMAIL, PASSWORD
from support.real_daemon import Daemon, free_port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@contextmanager
def served(daemon: Daemon, host: str) -> Iterator[str]:
    """The app on a port of this machine; its origin."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    base = f"http://{host}:{port}"
    server = make_server("127.0.0.1", port, flask_wiki(daemon, base), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def signed_in(ada: Person, base: str, *, is_asked: bool = True) -> dict[str, object]:
    """Let the person sign in to the app: what it learned."""
    ada.page.goto(f"{base}/login")
    ada.page.get_by_label("Email").fill(EMAIL)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Sign in", exact=True).first.click()
    if is_asked:
        ada.page.get_by_role("button", name="Allow", exact=True).click()
    ada.page.wait_for_url(f"{base}/callback?*")
    told: dict[str, object] = json.loads(ada.page.inner_text("body"))["user"]
    return told


# `localhost` on another port is herod's own site for a browser; 127.0.0.1 is another one.
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_in_and_out(place: Place, browser: Browser, host: str) -> None:
    """The person is asked for what they must know, and not whether to sign out, since the app shows whose session."""
    with served(place.daemon, host) as base, person(browser, place.daemon) as ada:
        told = signed_in(ada, base)
        assert (told["sub"], told["email"]) == (place.person, EMAIL)
        ada.page.goto(f"{base}/me")
        assert ada.page.inner_text("body") == EMAIL
        ada.page.goto(f"{base}/logout")
        ada.page.wait_for_url(f"{base}/bye?state=s1")
        ada.page.goto(f"{base}/login")
        assert ada.page.get_by_label("Password").is_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_again(place: Place, browser: Browser, script: bool) -> None:
    """Who allowed the app before is not asked again: signing in leads straight back, and a session does by itself."""
    with (
        served(place.daemon, "localhost") as base,
        person(browser, place.daemon, java_script_enabled=script) as ada,
    ):
        first = signed_in(ada, base)
        ada.context.clear_cookies()
        assert signed_in(ada, base, is_asked=False)["sub"] == first["sub"]
        if script:  # without it a new page needs a new sign-in
            ada.page.goto(f"{base}/login")
            ada.page.wait_for_url(f"{base}/callback?*")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_what_is_left_in_the_browser(place: Place, browser: Browser, host: str) -> None:
    """The app's site gets no referrer of herod's, no address holds a password, and only the app's own holds a code."""
    with served(place.daemon, host) as base, person(browser, place.daemon) as ada:
        sent: list[Request] = []
        ada.page.on("request", lambda request: sent.append(request))  # noqa: PLW0108 - Playwright sets attributes on it
        signed_in(ada, base)
        ada.context.clear_cookies()
        signed_in(ada, base, is_asked=False)
        elsewhere = [one for one in sent if not one.url.startswith(place.daemon.public_url)]
        assert {one.url.partition("?")[0] for one in elsewhere} >= {f"{base}/login", f"{base}/callback"}
        for request in elsewhere:
            assert "/ui/" not in request.all_headers().get("referer", ""), request.url
        history = ada.context.new_cdp_session(ada.page).send("Page.getNavigationHistory")["entries"]
        addresses = [one["url"] for one in history] + [one.url for one in sent]
        assert any(address.startswith(place.daemon.public_url) for address in addresses)
        for address in addresses:
            assert "horse" not in address
            assert "code=" not in address or address.startswith(f"{base}/callback?"), address
