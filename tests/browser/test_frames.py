"""Herod in a frame of another page: only for listed origins, with the theme that the page sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser

from support.chromium import ADMIN, PASSWORD, ask, person
from support.real_daemon import running

SAY = "theme => document.querySelector('iframe').contentWindow.postMessage({type: 'theme', theme}, '*')"


class Host(BaseHTTPRequestHandler):
    """A page that frames the address in its query."""

    def do_GET(self) -> None:
        """The page."""
        body = f'<!doctype html><link rel="icon" href="data:,"><iframe src="{self.path[2:]}" width=900 height=800>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Do not log."""


@contextmanager
def hosting() -> Iterator[str]:
    """An origin that frames other pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_theme(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A listed origin frames herod and sets a theme that persists over pages; another origin gets nothing."""
    with (
        hosting() as listed,
        hosting() as foreign,
        running(tmp_path_factory.mktemp("framed"), HEROD_FRAME_ORIGINS=listed) as daemon,
    ):
        ask(daemon, ("users.add", {"email": ADMIN, "scope": "admin", "password": PASSWORD}))
        with person(browser, daemon) as ada:
            ada.page.goto(f"{listed}/?{daemon.url}/")
            frame = ada.page.frame_locator("iframe")
            html = frame.locator("html")
            frame.get_by_role("heading", name="Open herod in a tab of its own").wait_for()
            for theme in ("light", "dark", "light"):
                ada.page.evaluate(SAY, theme)
                frame.locator(f"html[data-theme={theme}]").wait_for()
            ada.page.frames[1].goto(f"{daemon.url}/ui/keys")
            assert html.get_attribute("data-theme") == "light"
            ada.page.evaluate(SAY, "no theme")
            frame.locator("html:not([data-theme])").wait_for()
        with person(browser, daemon) as ada:
            ada.page.goto(f"{foreign}/?{daemon.url}/")
            ada.page.wait_for_load_state("networkidle")
            shown = ada.page.frame_locator("iframe").get_by_role("heading", name="Open herod in a tab of its own")
            assert shown.count() == 0
            assert any("frame-ancestors" in line for line in ada.seen.complaints)
            ada.forgive("frame-ancestors")
