"""A form that needed a new sign-in first is not lost: its sender sees it again, and sends it with one button."""

import re
from urllib.parse import quote

import pytest

from dashboard.browser_sign_in import EMAIL, GOOD, OWN, cookie_of, open_session, sign_in, text
from herod.dashboard.signing_in.unsent_forms import MAX_KEPT_BYTES, UNSENT_SECONDS
from herod.pipeline.admission import FRESH_SECONDS
from herod.records import ApiKey
from support.herod_in_memory import PASSWORD, Answer, Harness

KEY = "name=mine+%3Cb%3E&scope:read=on&scope:write=on&networks=lab&ends=never"


async def refused(dashboard: Harness, path: str, form: str, page: str = "/ui/keys/new") -> Answer:
    """The sign-in page after sending a form in a session whose sign-in is too old."""
    await dashboard.admin("users.scope", email=EMAIL, scope="admin")
    cookie, home = await open_session(dashboard)
    ticket = home.partition("?")[2]
    dashboard.clock.now += FRESH_SECONDS + 1
    headers = {**OWN, **cookie, "referer": f"http://localhost{page}?{ticket}"}
    answer = await dashboard.request("POST", path, form=f"{ticket}&{form}", headers=headers)
    assert answer.status == 401
    return answer


async def sign_in_on(dashboard: Harness, page: Answer, form: str = GOOD) -> tuple[dict[str, str], str]:
    """Sign in with the form of that page; the cookie, and where it leads."""
    back = re.findall(r'name="back" value="([^"]+)"', text(page))[0]
    answer = await sign_in(dashboard, form=f"{form}&back={back}")
    return cookie_of(answer), answer.headers["location"]


async def test_it_is_sent_after_signing_in(dashboard: Harness) -> None:
    """The page shows what was filled in; its button sends it as it was, and before that nothing happened."""
    before = dashboard.store.count(ApiKey)
    cookie, location = await sign_in_on(dashboard, await refused(dashboard, "/ui/keys", KEY))
    assert location.startswith("/ui/unsent?form=")
    page = text(await dashboard.request("GET", location, headers={**OWN, **cookie}))
    assert "<h1>Create the key?</h1>" in page
    for shown in ("mine &lt;b&gt;", '<dd dir="auto">read, write</dd>', "lab"):
        assert shown in page
    assert dashboard.store.count(ApiKey) == before
    action = re.findall(r'<form method="post" action="([^"]+)">\s*<input type="hidden" name="ticket"', page)[-1]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.partition("</dl>")[2])
    sent = "&".join(f"{name}={quote(value.replace('&lt;', '<').replace('&gt;', '>'))}" for name, value in fields)
    answer = await dashboard.request("POST", action, form=sent, headers={**OWN, **cookie})
    assert answer.status == 200
    (made,) = [key for key in dashboard.store.list(ApiKey).items if key.name == "mine <b>"]
    assert (made.scope, made.networks) == (("write",), ("lab",))


async def test_it_is_for_its_sender_alone(dashboard: Harness) -> None:
    """Whoever else signs in on that page gets the first page."""
    await dashboard.user(scope="admin", email="eve@example.org", password=PASSWORD)
    page = await refused(dashboard, "/ui/keys", KEY)
    cookie, location = await sign_in_on(dashboard, page, GOOD.replace("ada", "eve"))
    answer = await dashboard.request("GET", location, headers={**OWN, **cookie})
    assert answer.headers["location"].startswith("/ui/home?ticket=")


async def test_it_ends(dashboard: Harness) -> None:
    """After ten minutes signing in leads to the first page, and so does what herod did not seal."""
    page = await refused(dashboard, "/ui/keys", KEY)
    dashboard.clock.now += UNSENT_SECONDS
    cookie, location = await sign_in_on(dashboard, page)
    assert (await dashboard.request("GET", location, headers={**OWN, **cookie})).status == 303
    ticket = location.partition("ticket=")[2]
    for form in ("", "x", "%00", "A" * 100, "é"):
        target = f"/ui/unsent?form={quote(form)}&ticket={ticket}"
        assert (await dashboard.request("GET", target, headers={**OWN, **cookie})).status == 303


@pytest.mark.parametrize(
    ("path", "form", "page"),
    [
        ("/ui/users", f"email=bob%40example.org&password={quote(PASSWORD)}&scope:read=on", "/ui/users/new"),
        ("/ui/keys", f"{KEY}&networks2={'x' * MAX_KEPT_BYTES}", "/ui/keys/new"),
        ("/ui/account/secret", "", "/ui/account"),
    ],
)
async def test_what_is_not_kept(dashboard: Harness, path: str, form: str, page: str) -> None:
    """A form with a password, a long one and a plain button lead back to their page."""
    answer = await refused(dashboard, path, form, page)
    assert PASSWORD not in text(answer)
    _, location = await sign_in_on(dashboard, answer)
    assert location.startswith(f"{page}?ticket=")
