"""Apps that ask without a page (`prompt=none`), in a browser: a session that goes on in a new tab counts, unseen."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Page

from support.chromium import Person, Sit, ask
from support.real_daemon import Daemon

CALLBACK = "http://127.0.0.1:9/callback"  # nobody listens there: the address is enough
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture(scope="module")
def asking(daemon: Daemon) -> str:
    """The address at which an app that an admin registered asks to see nothing."""
    (app,) = ask(daemon, ("apps.add", {"name": "Silent", "redirect_uris": [CALLBACK]}))
    query = {
        "client_id": app["client_id"],
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid read",
        "resource": daemon.url,
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{daemon.url}/authorize?{urlencode(query)}"


def answer_to(ada: Person, page: Page, address: str) -> dict[str, str]:
    """What the app is told when a page that nobody clicks on goes there."""
    with page.expect_request(lambda request: request.url.startswith(CALLBACK)) as asked:
        page.evaluate("address => { location = address }", address)
    told = dict(parse_qsl(urlsplit(asked.value.url).query))
    assert (told["state"], told["iss"]) == ("s", ada.daemon.public_url)
    return told


def test_a_new_tab(sit: Sit, asking: str) -> None:
    """Without a session, without an answer of before, and with both: the app is told, and nobody sees a page."""
    ada = sit()
    silent = f"{asking}&prompt=none"
    assert answer_to(ada, ada.page, silent)["error"] == "login_required"
    ada.page = ada.context.new_page()
    ada.sign_in()
    assert answer_to(ada, ada.context.new_page(), silent)["error"] == "consent_required"
    page = ada.context.new_page()
    page.goto(asking)
    with page.expect_request(lambda request: request.url.startswith(CALLBACK)):
        page.get_by_role("button", name="Allow", exact=True).click()
    assert set(answer_to(ada, ada.context.new_page(), silent)) == {"code", "state", "iss"}
    assert answer_to(ada, ada.context.new_page(), f"{silent}&max_age=0")["error"] == "login_required"
    ada.page.reload()
    ada.button("Sign out").click()
    ada.page.get_by_text("You are signed out").wait_for()
    assert answer_to(ada, ada.context.new_page(), silent)["error"] == "login_required"
    ada.forgive("")  # Chromium complains that nobody listens there


def test_in_a_frame(sit: Sit, asking: str) -> None:
    """A hidden frame of a page learns nothing: herod's pages are not shown there, and no answer goes back."""
    ada = sit()
    ada.sign_in()
    page = ada.context.new_page()
    page.route("http://app.example/", lambda route: route.fulfill(content_type="text/html", body="<title>App</title>"))
    page.goto("http://app.example/")
    gone: list[str] = []
    page.on("request", lambda request: gone.append(request.url))
    with page.expect_event("requestfailed"):
        page.evaluate(
            "address => { const frame = document.createElement('iframe'); frame.src = address;"
            " document.body.append(frame); }",
            f"{asking}&prompt=none",
        )
    page.wait_for_load_state("networkidle")
    assert not [url for url in gone if url.startswith(CALLBACK)]
