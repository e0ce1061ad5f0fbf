"""The pages of `/logout` in a real browser: what they look like, and that they lead where they should."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

import pytest

from support.chromium import PHONE, WIDE, Person, Sit, ask

BODY = b"<!doctype html><title>Wiki</title><h1>Bye</h1>"


@pytest.fixture(scope="module")
def wiki() -> Iterator[str]:
    """An app on another port of this machine; its address after signing out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/bye"
    server.shutdown()
    server.server_close()


def registered(ada: Person, uri: str, name: str) -> str:
    """Register an app; its client_id."""
    fields = {"name": name, "redirect_uris": [uri], "post_logout_uris": [uri], "scope": "read"}
    [made] = ask(ada.daemon, ("apps.add", fields))
    client_id: str = made["client_id"]
    return client_id


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_asked_and_back(sit: Sit, wiki: str, size: tuple[int, int]) -> None:
    """The page asks, fits and is accessible; its button signs out and the browser is at the app, also from its page."""
    ada = sit(size=size)
    ada.sign_in()
    client_id = registered(ada, wiki, f"Wiki {size[0]}")
    request = urlencode({"client_id": client_id, "post_logout_redirect_uri": wiki, "state": "x"})
    ada.page.goto(wiki)
    ada.page.evaluate("url => { location.href = url }", f"{ada.daemon.url}/logout?{request}")
    ada.heading("Sign out of herod?")
    assert ada.violations() == []
    assert not ada.is_too_wide()
    ada.button("Sign out").click()
    ada.page.wait_for_url(f"{wiki}?state=x")
    [audit] = ask(ada.daemon, ("audit.list", {"operation": "openid.sign_out"}))
    assert audit["items"][0]["outcome"] == "ok"


def test_the_app_did_not_register_it(sit: Sit, wiki: str) -> None:
    """The browser stays at herod, and the page says so."""
    ada = sit(size=PHONE, theme="light")
    ada.sign_in()
    request = urlencode({"client_id": "herod-cli", "post_logout_redirect_uri": wiki})
    ada.page.goto(wiki)
    ada.page.evaluate("url => { location.href = url }", f"{ada.daemon.url}/logout?{request}")
    ada.heading("Sign out of herod?")
    ada.button("Sign out").click()
    ada.heading("You are signed out")
    assert ada.violations() == []
    assert not ada.is_too_wide()
