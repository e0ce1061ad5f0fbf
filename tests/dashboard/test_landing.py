"""Landing where one wanted to go: every sign-in page carries it, sealed, and nothing leads elsewhere."""

import base64
import re
from html import unescape
from urllib.parse import quote

import pytest

from dashboard.browser_sign_in import EMAIL, GOOD, OWN, open_session, page_after, sign_in, text
from herod.credentials.keyring import Purpose
from herod.credentials.sealing import seal
from herod.dashboard.signing_in.landing import LANDING_SECONDS, MAX_LANDING_CHARACTERS
from support.herod_in_memory import NOW, Answer, Harness
from support.totp_app import TotpApp

# A pasted or typed address has this, and so has one that another page on this host redirects to.
TYPED = {"sec-fetch-site": "none"}


async def front(dashboard: Harness, target: str, **headers: str) -> Answer:
    """The front page to which the request for a page leads somebody without a session."""
    answer = await dashboard.request("GET", target, headers={**TYPED, **headers})
    assert answer.status == 303
    assert answer.headers["location"].partition("?")[0] == "/"
    return await dashboard.request("GET", answer.headers["location"], headers=OWN)


@pytest.mark.parametrize(
    "target", ["/ui/keys", "/ui/keys/new", "/ui/audit?operation=login&actor=a%26b", "/ui/explain?q="]
)
async def test_a_pasted_address_is_where_one_lands(dashboard: Harness, target: str) -> None:
    """Signing in leads to the page that was asked for, with its query."""
    await dashboard.admin("users.scope", email=EMAIL, scope="admin")
    assert await page_after(dashboard, text(await front(dashboard, target))) == target


async def test_the_former_ticket_is_left_behind(dashboard: Harness) -> None:
    """A bookmarked address has the ticket of a session that has ended: only the rest of it is carried."""
    cookie, home = await open_session(dashboard)
    ticket = home.partition("?")[2]
    pasted = f"/ui/sessions?said=session-ended&{ticket}&cursor="
    shown = text(await front(dashboard, pasted, **cookie))
    assert await page_after(dashboard, shown) == "/ui/sessions?cursor="


@pytest.mark.parametrize("target", ["/", "/ui", "/ui/home", "/ui/home?ticket=x"])
async def test_the_first_page_needs_no_seal(dashboard: Harness, target: str) -> None:
    """Whoever wants the first page, or none, gets it after signing in."""
    answer = await dashboard.request("GET", target, headers=TYPED)
    assert answer.status == 200 or answer.headers["location"] == "/"
    assert await page_after(dashboard, text(await dashboard.request("GET", "/"))) == "/ui/home"


async def test_a_wrong_password_loses_nothing(dashboard: Harness) -> None:
    """The sign-in page after an error, with a password or a key, still leads to the page."""
    location = (await dashboard.request("GET", "/ui/keys", headers=TYPED)).headers["location"]
    back = location.partition("=")[2]
    assert (
        await page_after(dashboard, text(await sign_in(dashboard, form=f"email=x&password=y&back={back}")))
        == "/ui/keys"
    )
    by_key = await dashboard.request("POST", "/ui/sign-in/key", form=f"key=wrong&back={back}", headers=OWN)
    assert by_key.status == 401
    assert await page_after(dashboard, text(by_key)) == "/ui/keys"


async def test_a_second_step_loses_nothing(dashboard: Harness) -> None:
    """Who starts again at the page for a code still gets to the page that they wanted."""
    cookie, home = await open_session(dashboard)
    ticket = home.partition("?")[2]
    page = text(await dashboard.request("GET", f"/ui/account/app?{ticket}", headers={**OWN, **cookie}))
    (address,) = re.findall(r'href="(otpauth:[^"]+)"', page)
    (setup,) = re.findall(r'name="setup" value="([^"]+)"', page)
    form = f"{ticket}&setup={setup}&otp={TotpApp(unescape(address)).code(NOW)}"
    assert (await dashboard.request("POST", "/ui/account/app", form=form, headers={**OWN, **cookie})).status == 200
    back = (await dashboard.request("GET", "/ui/keys", headers=TYPED)).headers["location"].partition("=")[2]
    second = text(await sign_in(dashboard, form=f"{GOOD}&back={back}"))
    assert f'name="back" value="{back}"' in second
    assert f'<a href="/ui/sign-in?back={back}">Start again</a>' in second


@pytest.mark.parametrize(
    "back",
    [
        *("https://evil.example/ui/keys", "//evil.example/ui", "/ui//evil.example", "/ui/keys", "/ui/keys?x=1"),
        *("/ui/../login", "/ui/sign-out", "javascript:alert(1)", "", "AAAA", "A" * 20_000, "é", "\x00"),
    ],
)
async def test_what_herod_did_not_seal_leads_nowhere(dashboard: Harness, back: str) -> None:
    """Signing in then leads to the first page."""
    answer = await sign_in(dashboard, form=f"{GOOD}&back={quote(back)}")
    assert answer.headers["location"].startswith("/ui/home?ticket=")


def sealed(
    dashboard: Harness, path: str, *, purpose: Purpose = Purpose.LANDINGS, label: str = "landing path v1"
) -> str:
    """What herod would seal if it did not check the path."""
    plain = (NOW + LANDING_SECONDS).to_bytes(8, "big") + path.encode()
    envelope = seal(dashboard.runtime.keyring.key(purpose), plain, f"herod {label}".encode())
    return base64.urlsafe_b64encode(envelope).rstrip(b"=").decode()


async def landed(dashboard: Harness, back: str) -> str:
    """The page that signing in leads to."""
    answer = await sign_in(dashboard, form=f"{GOOD}&back={back}")
    return answer.headers["location"].partition("?")[0]


async def test_a_seal_is_for_this_alone(dashboard: Harness) -> None:
    """An envelope made under another key or for another purpose does not open."""
    assert await landed(dashboard, sealed(dashboard, "/ui/keys")) == "/ui/keys"
    assert await landed(dashboard, sealed(dashboard, "/ui/keys", purpose=Purpose.SESSIONS)) == "/ui/home"
    assert await landed(dashboard, sealed(dashboard, "/ui/keys", label="another")) == "/ui/home"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example/", "/ui/sign-out", "/users/add", "/ui/none"])
async def test_even_a_sealed_path_is_checked(dashboard: Harness, path: str) -> None:
    """A path that is no page of ours leads to the first page."""
    assert await landed(dashboard, sealed(dashboard, path)) == "/ui/home"


async def test_a_seal_ends(dashboard: Harness) -> None:
    """After an hour the sign-in page leads to the first page, and a clock that was ahead extends nothing."""
    shown = text(await front(dashboard, "/ui/keys"))
    dashboard.clock.now += LANDING_SECONDS
    assert await page_after(dashboard, shown) == "/ui/home"
    shown = text(await front(dashboard, "/ui/keys"))
    dashboard.clock.now -= 60
    assert await page_after(dashboard, shown) == "/ui/home"


async def test_a_long_address_is_carried_up_to_its_limit(dashboard: Harness) -> None:
    """An app's request fits; beyond the limit signing in leads to the first page."""
    fits = "/ui/keys?cursor=" + "x" * (MAX_LANDING_CHARACTERS - len("/ui/keys?cursor="))
    assert (await dashboard.request("GET", fits, headers=TYPED)).headers["location"].startswith("/?back=")
    assert (await dashboard.request("GET", fits + "x", headers=TYPED)).headers["location"] == "/"
