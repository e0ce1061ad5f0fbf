"""Browser sign-in and sign-out, through the real router, Hypercorn and Quart, without sockets."""

import re
from urllib.parse import quote

import pytest

from dashboard.browser_sign_in import (
    EMAIL,
    GOOD,
    OWN,
    cookie_of,
    open_session,
    page_after,
    sign_in,
    sign_in_by_key,
    text,
)
from herod.dashboard.signing_in.sign_in_outcome import family
from herod.pipeline.admission import FRESH_SECONDS
from herod.records import ApiKey, Session
from herod.scopes.principal import Source
from herod_client.core.errors import Unavailable
from support.herod_in_memory import LEGACY, PASSWORD, Harness


async def test_signing_in_and_out(dashboard: Harness) -> None:
    """A session holds what its account holds, the page shows it, and after signing out neither half is accepted."""
    answer = await sign_in(dashboard)
    assert answer.status == 303
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    flags = {flag.strip() for flag in answer.headers["set-cookie"].split(";")[1:]}
    assert flags == {"HttpOnly", "SameSite=Strict", "Path=/"}
    cookie, home = cookie_of(answer), answer.headers["location"]
    assert cookie["cookie"].startswith("herod_session=")
    page = await dashboard.request("GET", home, headers=cookie)
    assert page.status == 200
    for word in ("Ada &lt;b&gt;", ">write<", ">lab<", "Sign out"):
        assert word in text(page)
    ticket = home.partition("ticket=")[2]
    assert f'name="ticket" value="{ticket}"' in text(page)
    out = await dashboard.request("POST", "/ui/sign-out", form=f"ticket={ticket}", headers={**OWN, **cookie})
    assert (out.status, out.headers["location"]) == (303, "/ui/signed-out")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert out.headers["clear-site-data"] == '"cache", "storage"'
    assert "You are signed out" in text(await dashboard.request("GET", "/ui/signed-out"))
    again = await dashboard.request("GET", home, headers=cookie)
    assert again.status == 401
    assert "session has ended" in text(again)
    twice = await dashboard.request("POST", "/ui/sign-out", form=f"ticket={ticket}", headers={**OWN, **cookie})
    assert twice.status == 303


async def test_tls(dashboard: Harness) -> None:
    """Over TLS the cookie is Secure, with the __Host- prefix."""
    tls = Source(address="127.0.0.1", secure=True)
    answer = await sign_in(dashboard, source=tls)
    name, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
    assert name.startswith("__Host-herod_session=")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/", "Secure"}
    home = answer.headers["location"]
    assert (await dashboard.request("GET", home, headers=cookie_of(answer), source=tls)).status == 200
    plain = {"cookie": name.removeprefix("__Host-")}
    assert (await dashboard.request("GET", home, headers=plain, source=tls)).status == 303


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (f"email={EMAIL}&password=wrong+password", 401),
        (f"email=nobody@example.org&password={PASSWORD.replace(' ', '+')}", 401),
        ("email=%22%3E%3Cscript%3E&password=x", 401),
        (f"email={EMAIL}", 400),
        (f"{GOOD}&email=eve@example.org", 400),
        (f"{GOOD}&scope=admin", 400),
        ("%ff", 400),
        ("", 400),
    ],
)
async def test_what_does_not_sign_in(dashboard: Harness, form: str, status: int) -> None:
    """A refused sign-in returns the form with the error and the email, without the password or a cookie."""
    answer = await sign_in(dashboard, form=form)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in text(answer)
    assert "<title>Error: " in text(answer)
    assert "<script>" not in text(answer)
    assert "wrong password" not in re.sub("Unknown email or wrong password", "", text(answer))
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="herod"'


async def test_unknown_and_known_emails_get_the_same_page(dashboard: Harness) -> None:
    """Unknown and known emails get identical pages, except for the email."""
    pages = {
        text(await sign_in(dashboard, form=f"email={email}&password=wrong")).replace(email, "")
        for email in (EMAIL, "nobody@example.org")
    }
    assert len(pages) == 1


async def test_guessing_is_limited_here_too(dashboard: Harness) -> None:
    """The eleventh attempt is refused with the time to wait, even with the right password, and opens no session."""
    answers = [await sign_in(dashboard, form=f"email={EMAIL}&password=wrong+{number}") for number in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    locked = await sign_in(dashboard)
    assert locked.status == 429
    assert int(locked.headers["retry-after"]) > 0
    assert "set-cookie" not in locked.headers
    assert 'role="alert"' in text(locked)


async def test_json_is_no_form(dashboard: Harness) -> None:
    """JSON is refused, because a form cannot be sent as JSON."""
    answer = await dashboard.request("POST", "/ui/sign-in", json={"email": EMAIL, "password": PASSWORD}, headers=OWN)
    assert answer.status == 400


async def test_a_session_shrinks_and_ends(dashboard: Harness) -> None:
    """A session shrinks with its account's scope, and ends with the account and after its time."""
    cookie, home = await open_session(dashboard)
    ada = next(user for user in (await dashboard.admin("users.list")).items if user.email == EMAIL)
    await dashboard.admin("users.scope", client_id=ada.client_id, scope="read")
    page = text(await dashboard.request("GET", home, headers=cookie))
    assert ">read<" in page
    assert ">write<" not in page
    dashboard.clock.now += 12 * 3600
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401
    cookie, home = await open_session(dashboard)
    await dashboard.admin("users.disable", client_id=ada.client_id)
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401


async def test_a_browser_that_nobody_uses_is_signed_out(dashboard: Harness) -> None:
    """A session ends an hour after its last use; a page that refreshes itself does not keep it."""
    cookie, home = await open_session(dashboard)
    idle = dashboard.runtime.config.session_idle
    for _ in range(3):
        dashboard.clock.now += idle
        assert (await dashboard.request("GET", home, headers=cookie)).status == 200
    for _ in range(2):
        dashboard.clock.now += idle // 2
        assert (await dashboard.request("GET", home, headers={**cookie, "hx-request": "true"})).status == 200
    dashboard.clock.now += 1
    keys = f"/ui/keys?{home.partition('?')[2]}"
    answer = await dashboard.request("GET", keys, headers={**OWN, **cookie})
    assert answer.status == 401
    assert "session has ended" in text(answer)
    assert await page_after(dashboard, text(answer)) == "/ui/keys"


async def test_an_old_session_signs_in_again(dashboard: Harness) -> None:
    """A form that gives lasting access leads an old session to the sign-in page, and from there back to its page.

    So does the page of a form, before anybody has filled it in.
    """
    (cookie, home), keys = await open_session(dashboard), dashboard.store.count(ApiKey)
    ticket = home.partition("?")[2]
    dashboard.clock.now += FRESH_SECONDS + 1
    assert (await dashboard.request("GET", f"/ui/keys?{ticket}", headers={**OWN, **cookie})).status == 200
    page = "http://localhost/ui/keys/new"
    form = f"{ticket}&name=mine&scope:read=on&networks=&ends=never"
    headers = {**OWN, **cookie, "referer": f"{page}?{ticket}"}
    answer = await dashboard.request("POST", "/ui/keys", form=form, headers=headers)
    assert answer.status == 401
    looked = await dashboard.request("GET", f"/ui/keys/new?{ticket}", headers={**OWN, **cookie})
    for asked, leads_to in ((answer, "/ui/unsent?form="), (looked, "/ui/keys/new")):
        assert asked.status == 401
        assert "signed in within the last 15 minutes: sign in again" in text(asked)
        assert (await page_after(dashboard, text(asked))).startswith(leads_to)
        assert "No account yet?" not in text(asked)
    assert dashboard.store.count(ApiKey) == keys


async def test_what_the_store_cannot_take_is_said(dashboard: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-out that the store could not take is reported as an error, and the session has ended all the same."""
    cookie, home = await open_session(dashboard)

    async def write(change: object) -> None:
        raise Unavailable("The store is read-only.")

    monkeypatch.setattr(dashboard.store, "write", write)
    answer = await dashboard.request("POST", "/ui/sign-out", form=home.partition("?")[2], headers={**OWN, **cookie})
    assert answer.status == 503
    assert "The store is read-only." in text(answer)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401


async def test_an_api_key_signs_in(dashboard: Harness) -> None:
    """A session of an API key holds what the key holds; no page shows the key, and the menu has what it may see."""
    key = await dashboard.service_key("read", "a reader")
    answer = await sign_in_by_key(dashboard, f"  {key} ")
    assert answer.status == 303
    page = text(await dashboard.request("GET", answer.headers["location"], headers=cookie_of(answer)))
    assert "a reader" in page
    assert ">read<" in page
    assert ">admin<" not in page
    assert ">Users<" not in page
    assert key not in page


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 400), ("herod_s_nothing", 401), (f"herod_s_{'0' * 12}_{'0' * 49}", 401), ("any words", 401), ("é" * 9, 401)],
)
async def test_what_is_no_key(dashboard: Harness, key: str, status: int) -> None:
    """An invalid key returns the open form with the error, without the input."""
    answer = await sign_in_by_key(dashboard, key)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    page = text(answer)
    assert 'role="alert"' in page
    assert '<details class="aside" open>' in page
    assert not key or quote(key) not in page
    assert re.findall(r'<input id="([a-z]+)"[^>]* autofocus', page) == ["key"]


async def test_a_token_opens_no_session(dashboard: Harness) -> None:
    """A token opens no session, which would outlive it."""
    user = await dashboard.user(scope="write")
    answer = await sign_in_by_key(dashboard, await user.token())
    assert answer.status == 400
    assert "paste an API key" in text(answer)


async def test_legacy_secrets_are_guessed_at_no_more_often_here(dashboard: Harness) -> None:
    """After ten wrong legacy secrets the source has to wait, even with the right one."""
    answers = [await sign_in_by_key(dashboard, f"guess {number}") for number in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    assert (await sign_in_by_key(dashboard, LEGACY["user"])).status == 429


async def test_signing_in_again_ends_the_session_before(dashboard: Harness) -> None:
    """Signing in again ends this browser's earlier session, of any user; other browsers' stay."""
    cookie, home = await open_session(dashboard)
    other, elsewhere = await open_session(dashboard)
    again = await sign_in(dashboard, cookie=cookie["cookie"])
    assert again.status == 303
    assert (await dashboard.request("GET", home, headers=cookie)).status == 401
    assert (await dashboard.request("GET", elsewhere, headers=other)).status == 200
    assert (await dashboard.request("GET", again.headers["location"], headers=cookie_of(again))).status == 200
    assert dashboard.store.count(Session) == 2


async def test_a_wrong_password_ends_nothing(dashboard: Harness) -> None:
    """A failed sign-in does not end the earlier session."""
    cookie, home = await open_session(dashboard)
    assert (await sign_in(dashboard, form=f"email={EMAIL}&password=wrong", cookie=cookie["cookie"])).status == 401
    assert (await dashboard.request("GET", home, headers=cookie)).status == 200


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 OPR/120.0", "Opera"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15", "Safari"),
        ("curl/8.0", "another"),
        ("", "another"),
    ],
)
def test_the_browsers_family(user_agent: str, name: str) -> None:
    """Of the User-Agent only the browser family is stored."""
    assert family(user_agent) == name
