"""Passkeys in real Chromium, with its virtual authenticator: enrolled, used, suggested, copied and relayed."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Route

from support.chromium import ADMIN, PASSWORD, Person, Sit, ask, chromium
from support.real_daemon import Daemon, running
from support.virtual_authenticator import by_password, enrolled, open_account

# A page that has a passkey answer a challenge for herod's RP ID, and keeps what it answers.
RELAY = """<!doctype html><title>relay</title><script>
const plain = (text) => atob(text.replaceAll("-", "+").replaceAll("_", "/"));
const bytes = (text) => Uint8Array.from(plain(text), (one) => one.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
window.relay = async (challenge) => {
  const { rawId, response } = await navigator.credentials.get({
    publicKey: { challenge: bytes(challenge), rpId: "localhost", userVerification: "required" },
  });
  return { credential: text(rawId), client_data: text(response.clientDataJSON), signature: text(response.signature),
    authenticator_data: text(response.authenticatorData), user_handle: text(response.userHandle) };
};
</script>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Daemon]:
    """A daemon; each test adds its own users."""
    with running(tmp_path_factory.mktemp("daemon")) as started:
        ask(started, ("users.add", {"email": ADMIN, "name": "Boss", "scope": "admin", "password": PASSWORD}))
        yield started


@pytest.fixture
def ada(sit: Sit, daemon: Daemon, request: pytest.FixtureRequest) -> Person:
    """Somebody with an account of the test's own, signed in at herod's own origin."""
    person = sit()
    email = f"{request.node.name.replace('_', '-')[:40]}@example.org"
    ask(daemon, ("users.add", {"email": email, "name": "Ada", "scope": "read", "password": PASSWORD}))
    person.email = email
    by_password(person)
    return person


def is_refused(person: Person, words: str) -> None:
    """Wait for the sign-in page to say that, and forgive the complaint about its status."""
    person.page.locator("#problem").get_by_text(words).wait_for()
    person.forgive("401")


def wait_for_denial(daemon: Daemon, reason: str) -> None:
    """Wait until the audit log has a denial for that reason: it is written within a second."""
    end = time.monotonic() + 10
    while reason not in {row["reason"] for row in ask(daemon, ("audit.list", {"outcome": "denied"}))[0]["items"]}:
        assert time.monotonic() < end, reason
        time.sleep(0.1)


def test_one_touch(ada: Person) -> None:
    """A passkey is enrolled with a name, and signs in by one button and one touch, without an email."""
    device = enrolled(ada)
    (passkey,) = device.passkeys
    assert (passkey["rpId"], passkey["isResidentCredential"], passkey["userName"]) == ("localhost", True, ada.email)
    device.touch()
    ada.button("Sign in with a passkey").click()
    ada.heading("Overview")
    open_account(ada)
    ada.page.get_by_text(re.compile("last used .* from 127.0.0.1|last used .* from ::1")).wait_for()


def test_suggested_in_the_email_field(ada: Person) -> None:
    """The browser suggests it by itself: who picks it is signed in, and lands on the page that was asked for."""
    device = enrolled(ada, is_suggested=True)
    ada.page.goto("about:blank")
    device.touch()
    ada.page.goto(ada.daemon.public_url + "/ui/sessions", wait_until="commit")
    ada.heading("Sessions")
    ada.page.get_by_text("passkey").first.wait_for()


def test_pressed_before_it_is_suggested(ada: Person) -> None:
    """Who presses the button while the suggestion's challenge is on its way is asked once, by the button alone."""
    device = enrolled(ada, is_suggested=True)
    held: list[Route] = []
    hold = lambda route: held.append(route)  # noqa: E731, PLW0108 - Playwright sets attributes on it
    ada.page.route("**/ui/sign-in/passkey/options", hold)
    with ada.page.expect_request("**/options"):
        ada.page.goto(ada.daemon.public_url + "/")
    with ada.page.expect_request("**/options"):
        ada.button("Sign in with a passkey").click()
    suggestion, button = held
    with ada.page.expect_response("**/options"):
        suggestion.continue_()
    device.touch()
    button.continue_()
    ada.heading("Overview")


def test_nobody_is_verified(ada: Person) -> None:
    """A device that does not recognize the person signs nobody in, and the page says that another way is there."""
    device = enrolled(ada)
    device.verify(is_verified=False)
    device.touch()
    ada.button("Sign in with a passkey").click()
    ada.page.get_by_text("No passkey was used").wait_for()
    device.verify(is_verified=True)
    ada.button("Sign in with a passkey").click()
    ada.heading("Overview")


def test_a_copy(ada: Person) -> None:
    """A device whose counter is behind is refused, as a copy would be, and the other ways are open."""
    device = enrolled(ada)
    (passkey,) = device.passkeys
    device.put({**passkey, "signCount": 1000})
    device.touch()
    ada.button("Sign in with a passkey").click()
    ada.heading("Overview")
    device.touch(is_touched=False)
    ada.button("Sign out").click()
    ada.heading("Sign in")
    device.put({**passkey, "signCount": 0})
    device.touch()
    ada.button("Sign in with a passkey").click()
    is_refused(ada, "there may be a copy of it")
    wait_for_denial(ada.daemon, "passkey_copied")


def test_a_deleted_passkey(ada: Person) -> None:
    """A passkey that its account has deleted is unknown, and what it signed in has ended."""
    device = enrolled(ada)
    device.touch()
    ada.button("Sign in with a passkey").click()
    ada.heading("Overview")
    device.touch(is_touched=False)
    open_account(ada)
    ada.button("Delete").click()
    ada.sure("Delete")
    ada.heading("Sign in again")  # the session was the passkey's
    ada.forgive("401")
    device.touch()
    ada.button("Sign in with a passkey").click()
    is_refused(ada, "herod does not know this passkey")
    device.touch(is_touched=False)
    by_password(ada)


@pytest.fixture
def neighbour() -> Iterator[str]:
    """The address of another local user's page: another port of localhost."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            frame = f'<iframe allow="publickey-credentials-get *" src="{self.path[1:]}"></iframe>'
            body = (RELAY if self.path == "/" else frame).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def forged(daemon: Daemon, path: str, fields: dict[str, Any]) -> tuple[int, str]:
    """Send a form as no browser would: with herod's own Origin, from a process of this machine."""
    headers = {"Origin": daemon.public_url, "Content-Type": "application/x-www-form-urlencoded"}
    request = Request(daemon.public_url + path, urlencode(fields).encode(), headers)  # noqa: S310 - herod's address
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except OSError as error:
        return getattr(error, "code", 0), error.read().decode()  # type: ignore[attr-defined]


def test_relayed_from_another_port(ada: Person, neighbour: str) -> None:
    """A page on another port gets a passkey to answer herod's challenge, and what it relays is refused."""
    device = enrolled(ada)
    status, body = forged(ada.daemon, "/ui/sign-in/passkey/options", {})
    assert status == 200
    device.touch()
    ada.page.goto(neighbour)
    answer = ada.page.evaluate("challenge => relay(challenge)", json.loads(body)["challenge"])
    status, body = forged(ada.daemon, "/ui/sign-in/passkey", answer)
    assert status == 401
    assert "A passkey answers on herod" in body
    wait_for_denial(ada.daemon, "origin")
    ada.forgive("favicon")


def test_relayed_from_a_frame(ada: Person, neighbour: str) -> None:
    """The same from a frame inside another origin's page."""
    device = enrolled(ada)
    _, body = forged(ada.daemon, "/ui/sign-in/passkey/options", {})
    device.touch()
    ada.page.goto(f"{neighbour.replace('localhost', '127.0.0.1')}/{neighbour}/")
    frame = ada.page.frame_locator("iframe").owner.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_function("window.relay !== undefined")
    answer = frame.evaluate("challenge => relay(challenge)", json.loads(body)["challenge"])
    assert '"crossOrigin":true' in base64.urlsafe_b64decode(answer["client_data"] + "==").decode()
    status, _ = forged(ada.daemon, "/ui/sign-in/passkey", answer)
    assert status == 401
    ada.forgive("favicon")


def test_on_an_address(sit: Sit) -> None:
    """At the address of the loopback, the page leads to localhost with the same port, where passkeys are."""
    visitor = sit()
    visitor.page.goto(visitor.daemon.url + "/")
    link = visitor.page.get_by_role("link", name="Sign in with a passkey")
    assert link.get_attribute("href") == visitor.daemon.public_url + "/"
    assert not visitor.button("Sign in with a passkey").is_visible()
    link.click()
    visitor.button("Sign in with a passkey").wait_for()
    assert visitor.page.url.startswith(visitor.daemon.public_url)


def test_without_script(sit: Sit) -> None:
    """Without JavaScript nothing is offered that would not work."""
    visitor = sit(java_script_enabled=False)
    visitor.page.goto(visitor.daemon.public_url + "/")
    assert visitor.page.get_by_text("Sign in with a passkey").count() > 0
    assert not visitor.page.get_by_text("Sign in with a passkey").first.is_visible()
    assert not visitor.page.locator("[data-passkey-or]").is_visible()
