"""Going on with a session in a new tab: only a window of herod's own page gets there, with cookie and proof."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from urllib.parse import urlencode

import pytest
from quart_trio import QuartTrio

from dashboard.browser_sign_in import EMAIL, OWN, cookie_of, open_session, sign_in, text
from herod.credentials.keyring import Keyring
from herod.dashboard.csrf import cut
from herod.dashboard.pages.signing_in.resume import resume_or
from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.quart_app import make_app
from herod.identity.people.session_secrets import new_session_secret, resume_proof, resumed_secret
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.scopes.principal import Peer, Source
from herod.server.dashboard_requests import PageRequests
from support.herod_in_memory import TCP, Answer, Harness

# What a browser says of a form that a window sends and shows the answer of.
WINDOW = {**OWN, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
ADA = Source(address="127.0.0.1", tcp_uid=1000)
TLS = Source(address="192.0.2.7", secure=True)


def proof_in(page: Answer) -> str:
    """What the script of a page keeps in the browser."""
    (proof,) = re.findall(r'data-resume="([0-9A-Za-z]+)"', text(page))
    return str(proof)


async def signed_in(dashboard: Harness, source: Source = TCP) -> tuple[dict[str, str], str, str]:
    """The cookie, the first page's address and the proof of a new session."""
    answer = await sign_in(dashboard, source=source)
    cookie, home = cookie_of(answer), answer.headers["location"]
    page = await dashboard.request("GET", home, headers=cookie, source=source)
    return cookie, home, proof_in(page)


async def resume(
    dashboard: Harness,
    cookie: dict[str, str],
    proof: str,
    back: str = "",
    source: Source = TCP,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Send the form of the front page, as its script does."""
    scheme = "https" if source.secure else "http"
    sent = {**WINDOW, "origin": f"{scheme}://localhost", **cookie, **headers}
    form = urlencode({"proof": proof, "back": back})
    return await dashboard.request("POST", "/ui/resume", form=form, headers=sent, source=source)


@pytest.mark.parametrize("source", [TCP, ADA, TLS, Source(peer=Peer(uid=1000, gid=1000))], ids=lambda one: one.label)
async def test_a_new_tab_goes_on(dashboard: Harness, source: Source) -> None:
    """A pasted address leads through the front page to that page, signed in as before and at the same time."""
    cookie, home, proof = await signed_in(dashboard, source)
    dashboard.clock.now += 600
    pasted = await dashboard.request("GET", "/ui/sessions?cursor=", headers=cookie, source=source)
    front = await dashboard.request("GET", pasted.headers["location"], headers={**cookie}, source=source)
    assert "clear-site-data" not in front.headers
    (back,) = re.findall(r'id="resume" hidden>.*?name="back" value="([^"]+)"', text(front), re.DOTALL)
    answer = await resume(dashboard, cookie, proof, back, source)
    assert (answer.status, answer.headers.get("set-cookie")) == (303, None)
    assert answer.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert answer.headers["location"] == f"/ui/sessions?cursor=&{home.partition('?')[2]}"
    page = await dashboard.request("GET", answer.headers["location"], headers=cookie, source=source)
    assert page.status == 200
    assert "this browser" in text(page)
    assert proof_in(page) == proof
    assert page.headers["cross-origin-opener-policy"] == "same-origin"


async def test_without_an_address_it_is_the_first_page(dashboard: Harness) -> None:
    """The front page itself leads to the overview."""
    cookie, home, proof = await signed_in(dashboard)
    assert (await resume(dashboard, cookie, proof)).headers["location"] == home


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},  # a script's, of a page that was open before
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-dest": "iframe"},
        {"sec-fetch-dest": "frame"},
        {"sec-fetch-dest": "embed"},
        {"sec-fetch-dest": ""},
        {"sec-fetch-mode": ""},
        {"sec-fetch-site": "same-site", "origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://friend.example"},
        {"origin": "null"},
        {"origin": "https://localhost"},
    ],
)
async def test_only_a_window_of_our_own_page(dashboard: Harness, headers: dict[str, str]) -> None:
    """A script, a frame, another origin and another port are refused, which is noted; the proof stays good."""
    cookie, home, proof = await signed_in(dashboard)
    answer = await resume(dashboard, cookie, proof, headers=headers)
    assert answer.status in (200, 303, 403)
    assert "ticket" not in answer.headers.get("location", "") + answer.response.body.decode()
    assert "clear-site-data" not in answer.headers
    assert {event.reason for event in dashboard.pipeline.denials.take(None)} <= {
        "not_a_window",
        "foreign_form",
        "origin",
    }
    assert (await resume(dashboard, cookie, proof)).headers["location"] == home


async def test_a_browser_that_says_nothing_signs_in(dashboard: Harness) -> None:
    """Without fetch metadata nobody can tell a window from a script: the sign-in page is shown."""
    cookie, _, proof = await signed_in(dashboard)
    form = urlencode({"proof": proof})
    answer = await dashboard.request("POST", "/ui/resume", form=form, headers={"origin": OWN["origin"], **cookie})
    assert answer.status == 200
    assert "<h1>Sign in</h1>" in text(answer)


@pytest.mark.parametrize("proof", ["", "0" * 43, "é", "ticket", "another"])
async def test_a_wrong_proof(dashboard: Harness, proof: str) -> None:
    """Without the right proof the cookie resumes nothing, also not with the ticket or another session's proof."""
    await dashboard.user(scope="read", email="eve@example.org", password="correct horse battery")
    _, _, eves = await signed_in_as_eve(dashboard)
    cookie, home, _ = await signed_in(dashboard)
    given = {"ticket": home.partition("ticket=")[2], "another": eves}.get(proof, proof)
    answer = await resume(dashboard, cookie, given)
    assert answer.status == 200
    assert "<h1>Sign in</h1>" in text(answer)
    assert answer.headers["clear-site-data"] == '"storage"'
    assert (await resume(dashboard, {}, given)).status == 200


async def signed_in_as_eve(dashboard: Harness) -> tuple[dict[str, str], str, str]:
    """The session of another account."""
    answer = await sign_in(dashboard, form="email=eve%40example.org&password=correct+horse+battery")
    page = await dashboard.request("GET", answer.headers["location"], headers={**OWN, **cookie_of(answer)})
    return cookie_of(answer), answer.headers["location"], proof_in(page)


async def test_another_ports_cookie_fixes_no_session(dashboard: Harness) -> None:
    """Eve's cookie over the victim's fits the victim's proof as little as hers fits the victim's cookie."""
    await dashboard.user(scope="read", email="eve@example.org", password="correct horse battery")
    eves_cookie, _, eves_proof = await signed_in_as_eve(dashboard)
    cookie, home, proof = await signed_in(dashboard)
    for over, kept in ((eves_cookie, proof), (cookie, eves_proof)):
        answer = await resume(dashboard, over, kept)
        assert answer.status == 200
        assert "location" not in answer.headers
    tossed = {"cookie": f"{eves_cookie['cookie']}; {cookie['cookie']}"}  # hers has a narrower path, so it comes first
    assert (await resume(dashboard, tossed, proof)).headers["location"] == home


@pytest.mark.parametrize(
    "thief",
    [
        Source(address="127.0.0.1", tcp_uid=1001),
        Source(address="127.0.0.1"),
        Source(address="127.0.0.1", tcp_uid=0, may_relay=True),
        Source(peer=Peer(uid=1001, gid=1001)),
        Source(address="127.0.0.1", tcp_uid=1000, may_relay=True, client="127.0.0.1"),
    ],
    ids=lambda one: one.label,
)
async def test_another_local_user_with_both_halves(dashboard: Harness, thief: Source) -> None:
    """Who learned the cookie's half and the proof gains no ticket from a process of their own, which is noted."""
    cookie, home, proof = await signed_in(dashboard, ADA)
    answer = await resume(dashboard, cookie, proof, source=thief)
    assert answer.status == 200
    assert "location" not in answer.headers
    assert [event.reason for event in dashboard.pipeline.denials.take(None)] == ["another_user"]
    on_the_other_loopback = replace(ADA, address="::1")
    assert (await resume(dashboard, cookie, proof, source=on_the_other_loopback)).headers["location"] == home


async def test_ended_sessions(dashboard: Harness) -> None:
    """After signing out, disabling, idling or a restart there is nothing to resume; the browser forgets its proof."""
    ada = (await dashboard.admin("users.get", email=EMAIL)).client_id

    async def ended(cookie: dict[str, str], proof: str, said: str) -> None:
        answer = await resume(dashboard, cookie, proof)
        assert answer.status in (200, 401)
        assert said in text(answer)
        assert answer.headers["clear-site-data"] == '"storage"'
        front = await dashboard.request("GET", "/", headers=cookie)
        assert front.headers["clear-site-data"] == '"storage"'
        assert 'id="resume"' not in text(front)

    cookie, home, proof = await signed_in(dashboard)
    await dashboard.request("POST", "/ui/sign-out", form=home.partition("?")[2], headers={**OWN, **cookie})
    await ended(cookie, proof, "session has ended")
    cookie, _, proof = await signed_in(dashboard)
    dashboard.clock.now += dashboard.runtime.config.session_idle + 1
    await ended(cookie, proof, "session has ended")
    cookie, _, proof = await signed_in(dashboard)
    dashboard.runtime.boot_epoch += 1
    await ended(cookie, proof, "session has ended")
    cookie, _, proof = await signed_in(dashboard)
    await dashboard.admin("users.disable", client_id=ada)
    await ended(cookie, proof, "Sign in")


async def test_an_ended_session_is_forgotten_by_its_browser(dashboard: Harness) -> None:
    """The page that says so clears the proof; one that only asks for a new sign-in does not."""
    cookie, home = await open_session(dashboard)
    ticket = home.partition("?")[2]
    dashboard.clock.now += 1200
    fresh = await dashboard.request("GET", f"/ui/keys/new?{ticket}", headers={**OWN, **cookie})
    assert fresh.status == 401
    assert "clear-site-data" not in fresh.headers
    dashboard.clock.now += dashboard.runtime.config.session_idle + 1
    over = await dashboard.request("GET", home, headers={**OWN, **cookie})
    assert over.status == 401
    assert over.headers["clear-site-data"] == '"storage"'


async def test_the_front_page_clears_what_was_left(dashboard: Harness) -> None:
    """Where nobody is signed in, it clears service workers of before; not over TLS, nor if the cookie was kept back."""
    for headers, source, is_cleared in (
        ({}, TCP, True),
        ({"sec-fetch-site": "none"}, TCP, True),
        ({"sec-fetch-site": "same-site"}, TCP, True),
        ({"cookie": "herod_session=unknown", "sec-fetch-site": "none"}, TCP, True),
        ({"sec-fetch-site": "cross-site"}, TCP, False),  # SameSite=Strict keeps the cookie back
        ({}, replace(TCP, secure=True), False),
    ):
        front = await dashboard.request("GET", "/", headers=headers, source=source)
        assert ("clear-site-data" in front.headers) is is_cleared, headers
    assert 'id="resume"' in text(await dashboard.request("GET", "/", headers={"sec-fetch-site": "cross-site"}))


@pytest.mark.parametrize("path", ["/sw.js", "/ui/static/shell.js", "/", "/ui/home", "/health", "/rpc"])
async def test_no_service_worker_lives_here(dashboard: Harness, path: str) -> None:
    """The browser's request for a service worker's script ends all of this origin, whatever its path."""
    answer = await dashboard.request("GET", path, headers={"service-worker": "script"})
    assert (answer.status, answer.headers["clear-site-data"]) == (404, '"storage"')


def test_parts_of_a_secret() -> None:
    """Ticket and proof follow from the half and herod's key, each by itself; halves have over 120 bits."""
    keyring, other = Keyring(bytes(32)), Keyring(b"\1" * 32)
    secret = new_session_secret(keyring)
    half, ticket = cut(secret)
    proof = resume_proof(keyring, half)
    assert resumed_secret(keyring, half, proof) == secret
    assert resumed_secret(other, half, proof) is None
    assert resumed_secret(keyring, half[:-1] + "é", proof) is None
    assert new_session_secret(keyring) != secret
    assert len({ticket, proof[: len(ticket)], resume_proof(other, half)[: len(ticket)]}) == 3
    assert min(len(half), len(ticket), len(proof)) * 5.95 > 120


@pytest.fixture
def quiet(dashboard: Harness) -> Harness:
    """The dashboard with a page that asks nobody anything, as `prompt=none` needs."""

    def make() -> QuartTrio:
        app, gateway = make_app(dashboard.pipeline, OPERATIONS), Gateway(dashboard.pipeline, OPERATIONS)
        wait = partial(resume_or, gateway, back="/ui/keys?kind=user", otherwise="/ui/sign-in?for=app")
        app.add_url_rule("/ui/quiet", "quiet", wait)
        return app

    dashboard.router = Router(dashboard.pipeline, OPERATIONS, Guard(), PageRequests(make))
    return dashboard


async def test_a_page_that_asks_nobody(quiet: Harness) -> None:
    """With a session it leads to the one page, with a ticket; without one to the other; by a link without script."""
    cookie, home, proof = await signed_in(quiet)
    page = await quiet.request("GET", "/ui/quiet", headers={"sec-fetch-site": "cross-site"})
    assert page.headers["x-frame-options"] == "DENY"
    assert 'data-otherwise="/ui/sign-in?for=app"' in text(page)
    assert '<a href="/ui/sign-in?for=app">' in text(page)
    fields = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]+)">', text(page)))

    async def send(proof: str) -> Answer:
        form = urlencode({**fields, "proof": proof})
        return await quiet.request("POST", "/ui/resume", form=form, headers={**WINDOW, **cookie})

    assert (await send(proof)).headers["location"] == f"/ui/keys?kind=user&{home.partition('?')[2]}"
    refused = await send("0" * 43)
    assert (refused.status, refused.headers["location"]) == (303, "/ui/sign-in?for=app")
    quiet.runtime.boot_epoch += 1
    ended = await send(proof)
    assert (ended.status, ended.headers["location"]) == (303, "/ui/sign-in?for=app")
    assert ended.headers["clear-site-data"] == '"storage"'
