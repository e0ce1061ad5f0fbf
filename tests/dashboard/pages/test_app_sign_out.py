"""`/logout`, through the real router and Quart: what a browser sees that an app sends there to sign out."""

import html
import re
from urllib.parse import urlencode

import pytest

from dashboard.browser_sign_in import OWN, cookie_of, open_session, sign_in, text
from herod.identity.parent_credential import session_id
from herod.records import Session
from herod.scopes.principal import Source
from support.herod_in_memory import Answer, Harness
from support.sign_ins import WIKI, id_token_of, register_wiki, sign_in_code

BYE = WIKI.post_logout_uris[0]
CROSS = {"sec-fetch-site": "cross-site"}


async def hint_of(harness: Harness, cookie: dict[str, str], home: str) -> str:
    """The id_token of a browser's session."""
    secret = cookie["cookie"].partition("=")[2] + home.partition("ticket=")[2]
    session = harness.store.get(Session, session_id(harness.runtime, secret))
    assert session is not None
    granted = sign_in_code(session.subject, session=session.id)
    found = await id_token_of(harness, granted)
    assert found is not None
    return found


async def led_on(harness: Harness, cookie: dict[str, str], **params: str) -> Answer:
    """Ask at `/logout` and follow to our own page, as a browser on this site does."""
    first = await harness.request("GET", f"/logout?{urlencode(params)}", headers=cookie)
    assert first.status == 303
    assert first.headers["location"].startswith("/ui/logout?request=")
    return await harness.request("GET", first.headers["location"], headers={**OWN, **cookie})


async def test_at_once(dashboard: Harness) -> None:
    """With the id_token of the session the browser is signed out, forgets it, and goes back with the state."""
    await register_wiki(dashboard)
    cookie, home = await open_session(dashboard)
    hint = await hint_of(dashboard, cookie, home)
    answer = await led_on(dashboard, cookie, id_token_hint=hint, post_logout_redirect_uri=BYE, state="x y")
    assert (answer.status, answer.headers["location"]) == (303, f"{BYE}?state=x+y")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "clear-site-data" in answer.headers
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 401


async def test_asked(dashboard: Harness) -> None:
    """Without it the page asks, naming the app; its form signs out and the browser goes back to the app."""
    await register_wiki(dashboard, name="Wiki <b>")
    cookie, home = await open_session(dashboard)
    page = await led_on(dashboard, cookie, client_id="wiki", post_logout_redirect_uri=BYE)
    assert page.status == 200
    assert "<bdi>Wiki &lt;b&gt;</bdi> asks you to sign out" in text(page)
    assert "Ada" not in text(page)
    assert "set-cookie" not in page.headers
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 200
    (request,) = re.findall(r'name="request" value="([A-Za-z0-9_-]+)"', text(page))
    form = urlencode({"request": request})
    for headers in ({**cookie, "origin": "http://localhost", **CROSS}, {**cookie, "sec-fetch-site": "same-site"}):
        refused = await dashboard.request("POST", "/ui/logout", form=form, headers=headers)
        assert refused.status == 400
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 200
    done = await dashboard.request("POST", "/ui/logout", form=form, headers={**OWN, **cookie})
    assert done.status == 200
    assert f'content="0;url={BYE}"' in html.unescape(text(done))
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 401


async def test_post(dashboard: Harness) -> None:
    """A form does the same (section 2)."""
    await register_wiki(dashboard)
    cookie, home = await open_session(dashboard)
    form = urlencode({"id_token_hint": await hint_of(dashboard, cookie, home), "ui_locales": "de"})
    first = await dashboard.request("POST", "/logout", form=form, headers=cookie)
    assert first.status == 303
    page = await dashboard.request("GET", first.headers["location"], headers={**OWN, **cookie})
    assert "You are signed out" in text(page)
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 401


@pytest.mark.parametrize("origin", ["https://app.example.org", "http://127.0.0.1:9000", "null"])
async def test_a_form_of_another_origin(dashboard: Harness, origin: str) -> None:
    """An app's page may post its request, which signs nobody out by itself; our own form takes only ours."""
    cookie, home = await open_session(dashboard)
    headers = {**cookie, "origin": origin, **CROSS}
    answer = await dashboard.request("POST", "/logout", form="client_id=herod-cli", headers=headers)
    assert answer.status == 200
    assert "Signing out" in text(answer)
    assert answer.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers
    assert (await dashboard.request("POST", "/ui/logout", form="request=AA", headers=headers)).status in {400, 403}
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 200


async def test_from_another_site(dashboard: Harness) -> None:
    """A browser from another site, which keeps our cookie back, is led to our page by a page of ours."""
    for headers in (CROSS, {}):
        page = await dashboard.request("GET", "/logout?client_id=herod-cli", headers=headers)
        assert page.status == 200
        (target,) = re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', text(page))
        assert html.unescape(target).startswith("/ui/logout?request=")
        assert f'href="{target}"' in text(page)


async def test_without_a_session(dashboard: Harness) -> None:
    """Nobody is asked: the browser goes back, or is told that it is signed out."""
    await register_wiki(dashboard)
    back = await led_on(dashboard, OWN, client_id="wiki", post_logout_redirect_uri=BYE)
    assert (back.status, back.headers["location"]) == (303, BYE)
    assert "set-cookie" not in back.headers
    told = await led_on(dashboard, OWN)
    assert "You are signed out" in text(told)


async def test_an_address_that_is_not_registered(dashboard: Harness) -> None:
    """The browser stays here, before and after, and the page says why."""
    await register_wiki(dashboard)
    cookie, _ = await open_session(dashboard)
    page = await led_on(dashboard, cookie, client_id="wiki", post_logout_redirect_uri="https://evil.example/")
    assert "evil.example" not in text(page)
    assert "post_logout_redirect_uri" in text(page)
    (request,) = re.findall(r'name="request" value="([A-Za-z0-9_-]+)"', text(page))
    done = await dashboard.request(
        "POST", "/ui/logout", form=urlencode({"request": request}), headers={**OWN, **cookie}
    )
    assert "post_logout_redirect_uri" in text(done)
    assert "http-equiv" not in text(done)


@pytest.mark.parametrize("query", ["client_id=a&client_id=b", "%ff", "state=" + "s" * 600])
async def test_requests_that_cannot_be_read(dashboard: Harness, query: str) -> None:
    """A parameter sent twice, bad text or too long a state is refused with a page."""
    answer = await dashboard.request("GET", f"/logout?{query}")
    assert answer.status == 400
    assert "<html" in text(answer)


@pytest.mark.parametrize("request_", ["", "AAAA"])
async def test_our_page_without_a_request(dashboard: Harness, request_: str) -> None:
    """Our page does nothing without a request that herod sealed, not even for its own form."""
    cookie, home = await open_session(dashboard)
    answer = await dashboard.request("GET", f"/ui/logout?request={request_}", headers={**OWN, **cookie})
    assert answer.status == 400
    form = urlencode({"request": request_})
    answer = await dashboard.request("POST", "/ui/logout", form=form, headers={**OWN, **cookie})
    assert answer.status == 400
    assert (await dashboard.request("GET", home, headers={**OWN, **cookie})).status == 200


async def test_over_tls(dashboard: Harness) -> None:
    """Over TLS the other cookie's half counts."""
    tls = Source(address="127.0.0.1", secure=True)
    opened = await sign_in(dashboard, source=tls)
    cookie, home = cookie_of(opened), opened.headers["location"]
    own = {**OWN, "origin": "https://localhost", **cookie}
    first = await dashboard.request("GET", "/logout", headers=own, source=tls)
    page = await dashboard.request("GET", first.headers["location"], headers=own, source=tls)
    (request,) = re.findall(r'name="request" value="([A-Za-z0-9_-]+)"', text(page))
    done = await dashboard.request("POST", "/ui/logout", form=urlencode({"request": request}), headers=own, source=tls)
    assert "__Host-herod_session" in done.headers["set-cookie"]
    assert (await dashboard.request("GET", home, headers=own, source=tls)).status == 401
