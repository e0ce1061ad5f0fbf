"""Where answers go: never to a place that an app did not register, and errors not by themselves to all of those."""

import html
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from support.herod_in_memory import Answer, Harness
from support.oauth_app import CALLBACK, ISSUER, AppOfTest, dynamic_app, led_on, registered_app
from support.page_visitor import open_pages, text, visit

HTTPS = "https://app.example.org/callback"


def is_page(answer: Answer) -> bool:
    """Whether it is a page that says why, and leads nowhere."""
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert answer.headers["x-frame-options"] == "DENY"
    return answer.status == 400 and "cannot be connected" in text(answer)


@pytest.mark.parametrize(
    "redirect",
    [
        "https://evil.example/callback",
        "http://127.0.0.1:54545/callback/",
        "http://127.0.0.1:54545/callback/../evil",
        "http://127.0.0.1:54545/callback?x=1",
        "http://127.0.0.1:54545/callback#x",
        "http://127.0.0.1:54545/Callback",
        "http://127.0.0.1:54545/%63allback",
        "http://127.0.0.1:54545\\@evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://localhost:54545/callback",
        "http://[::1]:54545/callback",
        "http://127.1:54545/callback",
        "http://0x7f000001:54545/callback",
        "http://127.0.0.1:99999/callback",
        "https://127.0.0.1:54545/callback",
        "//127.0.0.1/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://localhost/ui/home",
        "http://localhost/",
        "http://127.0.0.1:54545/callback\r\nSet-Cookie: x=y",
        "",
        None,
    ],
)
async def test_another_redirect(harness: Harness, redirect: str | None) -> None:
    """A redirect that is not the app's own gets a page: nobody is ever redirected there, with an error neither."""
    open_pages(harness)
    app = dynamic_app(harness, "http://127.0.0.1/callback", "http://127.0.0.1/other", redirect=CALLBACK)
    for more in ({}, {"response_type": "token"}, {"prompt": "none"}):
        assert is_page(await app.ask(**{**more, "redirect_uri": redirect}))


async def test_herods_own_origin(harness: Harness) -> None:
    """What comes from herod's origin counts as herod's page, so no app gets a redirect there, however it registered."""
    open_pages(harness)
    for own in ("http://localhost/ui/callback", "http://127.0.0.1/ui", "http://[::1]/"):
        for app in (dynamic_app(harness, own), await registered_app(harness, redirect_uris=(own,))):
            assert is_page(await app.ask(redirect_uri=own))


@pytest.mark.parametrize("client_id", [None, "", "unknown", "herod_app_AAAA", "https://nowhere.example/app"])
async def test_another_app(harness: Harness, client_id: str | None) -> None:
    """Who herod does not know gets a page that says how to register again."""
    open_pages(harness)
    harness.configure(client_documents="off")
    app = dynamic_app(harness)
    assert is_page(await app.ask(client_id=client_id))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_who_asks_is_said_once(harness: Harness, name: str) -> None:
    """Two apps or two redirects in one request are nobody's."""
    open_pages(harness)
    app = dynamic_app(harness)
    query = urlencode([*app.asking().items(), (name, app.asking()[name])])
    assert is_page(await harness.request("GET", f"/authorize?{query}"))
    assert is_page(await harness.request("POST", "/authorize", form=query))


async def test_what_cannot_be_read(harness: Harness) -> None:
    """A query that is not UTF-8, and a body that is no form, get a page too."""
    open_pages(harness)
    assert is_page(await harness.request("GET", "/authorize?client_id=%ff"))
    assert is_page(await harness.request("POST", "/authorize", json={"client_id": "x"}))
    assert is_page(await harness.request("GET", "/authorize"))


@pytest.mark.parametrize(
    ("kind", "redirect", "is_automatic"),
    [
        ("dynamic", CALLBACK, True),
        ("dynamic", "http://localhost:1234/callback", True),
        ("dynamic", "http://[::1]:1234/callback", True),
        ("dynamic", HTTPS, False),
        ("registered", CALLBACK, True),
        ("registered", HTTPS, True),
        ("registered", "org.example.app:/callback", True),
    ],
)
async def test_errors_go_by_themselves(harness: Harness, kind: str, redirect: str, is_automatic: bool) -> None:
    """An error goes back at once to an app that an admin vouches for, or to this machine; elsewhere after a click."""
    open_pages(harness)
    app = (
        dynamic_app(harness, redirect)
        if kind == "dynamic"
        else await registered_app(harness, secret=None, redirect_uris=(redirect,))
    )
    answer = await app.ask(redirect_uri=redirect, response_type="token")
    if is_automatic:
        assert answer.status == 303
        location = answer.headers["location"]
    else:
        assert (answer.status, "location" in answer.headers) == (200, False)
        (location,) = re.findall(r'<a class="button"[^>]* href="([^"]*)"', text(answer))
        location = html.unescape(location)
    assert location.startswith(redirect)
    fields = dict(parse_qsl(location.partition("?")[2]))
    assert (fields["error"], fields["state"], fields["iss"]) == ("unsupported_response_type", "s t/a+te", ISSUER)


async def test_a_redirect_with_a_query_of_its_own(harness: Harness) -> None:
    """What the app registered stays, and the answer is added."""
    open_pages(harness)
    app = dynamic_app(harness, "http://127.0.0.1/callback?tenant=7", redirect="http://127.0.0.1:5/callback?tenant=7")
    back = await app.connect(await visit(harness))
    assert (back["tenant"], back["iss"]) == ("7", ISSUER)
    assert (await app.exchange(back["code"])).status == 200


async def test_the_only_redirect_may_be_left_out(harness: Harness) -> None:
    """An app with one redirect need not name it, and then names none at `/token` either."""
    open_pages(harness)
    app = dynamic_app(harness, CALLBACK)
    back = await app.connect(await visit(harness), redirect_uri=None)
    assert (await app.exchange(back["code"], redirect_uri=None)).status == 200


async def test_mix_up(harness: Harness) -> None:
    """Each answer, success or error, says once which server it is from (RFC 9207), and the metadata says so."""
    open_pages(harness)
    app = dynamic_app(harness)
    ada = await visit(harness)
    request = await app.request_for()
    denied = app.came_back(await ada.send("/ui/consent", request=request, decision="deny"))
    assert denied == {
        "error": "access_denied",
        "error_description": denied["error_description"],
        "state": "s t/a+te",
        "iss": ISSUER,
    }
    allowed = await app.allow(ada, request)
    assert set(allowed) == {"code", "state", "iss"}
    metadata = (await harness.request("GET", "/.well-known/oauth-authorization-server")).json
    assert metadata["issuer"] == allowed["iss"] == denied["iss"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


async def test_nothing_is_cached_or_referred(harness: Harness) -> None:
    """Neither the answer nor the pages before it are kept by a cache, or told to the app's site as a referrer."""
    open_pages(harness)
    app: AppOfTest = dynamic_app(harness)
    ada = await visit(harness)
    request = await app.request_for()
    answers = [await app.ask(), await ada.get("/ui/consent", request=request)]
    answers.append(await ada.send("/ui/consent", request=request, decision="allow", scope_read="on"))
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert urlsplit(led_on(answers[-1])).fragment == ""
