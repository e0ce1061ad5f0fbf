"""The consent page against attackers: other origins' forms, frames, planted sessions and names that pretend."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from herod.records import Delegation
from support.herod_in_memory import PASSWORD, Answer, Harness
from support.oauth_app import CALLBACK, AppOfTest, dynamic_app, registered_app, send_without_session
from support.page_visitor import OWN, Visitor, open_pages, text, visit

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="admin")


def granted(harness: Harness) -> int:
    """How many delegations there are."""
    return harness.store.count(Delegation)


async def test_the_page_says_what_matters(harness: Harness, ada: Visitor) -> None:
    """Who asks and who says so, where the answer goes, for what, as whom; `read` alone is ticked, denial is first."""
    app = dynamic_app(harness, name="Claude Code")
    page = await ada.read("/ui/consent", request=await app.request_for(scope="admin write read"))
    for said in (
        "“Claude Code”",
        "Nobody has checked it",
        "127.0.0.1",
        "Any program here",
        "http://localhost/mcp",
        "Ada",
    ):
        assert said in page
    boxes = re.findall(r'name="scope:(\w+)" value="on"( checked)?', page)
    assert [name for name, checked in boxes if checked] == ["read"]
    assert {name for name, _ in boxes} == {"read", "write", "admin"}
    assert page.index('value="deny"') < page.index('value="allow"')
    assert "autofocus" not in page
    assert "<script>" not in page


async def test_it_is_never_in_a_frame(harness: Harness, ada: Visitor) -> None:
    """Clickjacking: no origin may frame it, and its form ends at herod alone."""
    answer = await ada.get("/ui/consent", request=await dynamic_app(harness).request_for())
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-frame-options"] == "DENY"
    assert policy["form-action"] == "'self'"
    assert policy["script-src"] == "'self'"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:6274", "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1", "sec-fetch-site": "same-site"},
        {"origin": "null"},
        {},
        {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
    ],
)
async def test_forms_of_other_pages(harness: Harness, ada: Visitor, headers: dict[str, str]) -> None:
    """CSRF: a decision that another page sends is refused, even one that knows the ticket, and grants nothing."""
    request = await dynamic_app(harness).request_for()
    form = urlencode({"request": request, "decision": "allow", "scope:read": "on", "ticket": ada.ticket})
    answer = await harness.request("POST", "/ui/consent", form=form, headers={**headers, **ada.cookie})
    assert answer.status in {400, 403}
    assert granted(harness) == 0


async def test_the_ticket_counts(harness: Harness, ada: Visitor) -> None:
    """The cookie alone decides nothing, nor does another session's ticket or none."""
    request = await dynamic_app(harness).request_for()
    eve = await visit(harness, "eve@example.org")
    for ticket in ("", eve.ticket, ada.ticket[:-1] + "x"):
        form = urlencode({"request": request, "decision": "allow", "scope:read": "on", "ticket": ticket})
        answer = await harness.request("POST", "/ui/consent", form=form, headers={**OWN, **ada.cookie})
        assert "code=" not in answer.headers.get("location", "") + text(answer)
    await send_without_session(harness, request=request, decision="allow", ticket=ada.ticket)
    assert granted(harness) == 0


async def test_a_request_never_decides(harness: Harness, ada: Visitor) -> None:
    """Whatever is sent to `/authorize`, with a session's cookie and ticket too, is only a request."""
    app = dynamic_app(harness)
    more = {"decision": "allow", "scope:read": "on", "ticket": ada.ticket, "approve": "1", "consent": "allow"}
    query = urlencode({**app.asking(), **more})
    for headers in (OWN, {"origin": "https://evil.example"}):
        for answer in (
            await harness.request("POST", "/authorize", form=query, headers={**headers, **ada.cookie}),
            await harness.request("GET", f"/authorize?{query}", headers={**SAME_ORIGIN, **ada.cookie}),
        ):
            assert answer.headers["location"].startswith("/ui/consent?request=")
            assert ada.ticket not in answer.headers["location"]
    assert (await ada.get("/ui/consent", request=await app.request_for(), decision="allow")).status == 200
    assert granted(harness) == 0


async def test_a_planted_session(harness: Harness, ada: Visitor) -> None:
    """Session fixation: a link with an attacker's ticket, or from another site, leads to the sign-in page."""
    request = await dynamic_app(harness).request_for()
    eve = await visit(harness, "eve@example.org")
    target = f"/ui/consent?{urlencode({'request': request, 'ticket': eve.ticket})}"
    for headers in ({**SAME_ORIGIN, **ada.cookie}, {"sec-fetch-site": "cross-site", **eve.cookie}, {**SAME_ORIGIN}):
        answer = await harness.request("GET", target, headers=headers)
        assert "Let <bdi" not in text(answer)
        assert eve.ticket not in answer.headers.get("location", "")


async def test_signing_in_leads_back(harness: Harness, ada: Visitor) -> None:
    """Who is not signed in signs in first, and lands at the question."""
    app = dynamic_app(harness)
    request = await app.request_for()
    answer = await harness.request("GET", f"/ui/consent?request={request}", headers={"sec-fetch-site": "none"})
    shown = text(await harness.request("GET", answer.headers["location"], headers=SAME_ORIGIN))
    assert "An app sent you here" in shown
    assert "API key" not in shown  # with one nobody consents
    back = re.findall(r'name="back" value="([^"]+)"', shown)[0]
    form = urlencode({"email": "ada@example.org", "password": PASSWORD, "back": back})
    signed_in = await harness.request("POST", "/ui/sign-in", form=form, headers=OWN)
    location = urlsplit(signed_in.headers["location"])
    assert location.path == "/ui/consent"
    assert dict(parse_qsl(location.query))["request"] == request
    ada.cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    ada.ticket = dict(parse_qsl(location.query))["ticket"]
    assert "code" in await app.allow(ada, request)


async def test_a_session_of_no_person(harness: Harness, ada: Visitor) -> None:
    """Who signed in with an API key is led to sign in as a person, and sees no question."""
    user = await harness.user("write")
    form = urlencode({"key": await user.key("write")})
    signed_in = await harness.request("POST", "/ui/sign-in/key", form=form, headers=OWN)
    cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    by_key = Visitor(harness, user.client_id, cookie, signed_in.headers["location"].partition("ticket=")[2])
    request = await dynamic_app(harness).request_for()
    page = text(await by_key.get("/ui/consent", request=request))
    assert "Let <bdi" not in page
    assert 'name="password"' in page
    answer = await by_key.send("/ui/consent", request=request, decision="allow", scope_read="on")
    assert "code=" not in answer.headers.get("location", "") + text(answer)
    assert granted(harness) == 0


async def test_nothing_ticked_asks_again(harness: Harness, ada: Visitor) -> None:
    """Allowing without a tick shows the page again, and says what to do."""
    answer = await ada.send("/ui/consent", request=await dynamic_app(harness).request_for(), decision="allow")
    assert "Tick what the app may do" in text(answer)
    assert granted(harness) == 0


async def test_without_a_decision_it_is_denied(harness: Harness, ada: Visitor) -> None:
    """A form without the button, as a stray Enter might send, denies."""
    app: AppOfTest = dynamic_app(harness)
    answer: Answer = await ada.send("/ui/consent", request=await app.request_for(), scope_read="on")
    assert app.came_back(answer)["error"] == "access_denied"


async def test_without_a_page(harness: Harness, ada: Visitor) -> None:
    """With `prompt=none` nobody sees a page: who is not signed in, or not asked yet, the app is told."""
    app = await registered_app(harness, redirect_uris=(CALLBACK,))
    shown = await app.ask(prompt="none")
    assert (shown.status, "location" in shown.headers) == (200, False)
    nobody = re.findall(r'href="(/ui/consent/nobody[^"]*)"', text(shown))[0]
    told = app.came_back(await harness.request("GET", nobody.replace("&amp;", "&")))
    assert (told["error"], told["state"]) == ("login_required", "s t/a+te")
    request = dict(parse_qsl(urlsplit(nobody.replace("&amp;", "&")).query))["request"]
    assert app.came_back(await ada.get("/ui/consent", request=request))["error"] == "consent_required"
    await app.connect(ada)
    answer = await ada.get("/ui/consent", request=request)
    assert "code" in app.came_back(answer)
    # No redirect, to which a browser would apply the policy of the form before, and no window looks into the page.
    assert (answer.status, answer.headers["x-frame-options"]) == (200, "DENY")
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("name", "shown", "warned"),
    [
        ("Claude Code ✔ verified", "Claude Code verified", "verified nothing"),
        ("\u202eedoC", "edoC", ""),
        ("<b>x</b>", "bx/b", ""),
        ("Сlaude", "Сlaude", "imitate"),
    ],
)
async def test_names_that_pretend(harness: Harness, ada: Visitor, name: str, shown: str, warned: str) -> None:
    """Marks, bidi controls and markup are not shown; look-alike letters and claims are pointed out."""
    page = await ada.read("/ui/consent", request=await dynamic_app(harness, name=name).request_for())
    assert f"“{shown}”" in page
    assert warned in page
    assert name not in page or name == shown


async def test_a_broken_request(harness: Harness, ada: Visitor) -> None:
    """A request that herod did not seal gets a page, signed in or not, and nobody is redirected."""
    for request in ("x", "A" * 60, ""):
        for answer in (
            await ada.get("/ui/consent", request=request),
            await ada.send("/ui/consent", request=request, decision="allow"),
            await harness.request("GET", f"/ui/consent?request={request}"),
            await harness.request("GET", f"/ui/consent/nobody?request={request}"),
        ):
            assert (answer.status, "location" in answer.headers) == (400, False)
