"""Creating the first admin: the page, the setup code, and no advantage for whoever comes first."""

import re
from functools import partial
from urllib.parse import quote_plus

import pytest

from herod.dashboard.quart_app import make_app
from herod.operations.accounts.first_admin import FIRST_CODE_SECONDS, make_first_code
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Account
from herod.server.dashboard_requests import PageRequests
from herod_client.core.errors import BadCredentials, Conflict, HerodError
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, PASSWORD, Answer, Harness

OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
EMAIL = "ada@example.org"


@pytest.fixture
async def fresh(harness: Harness) -> Harness:
    """A harness with pages and no account."""
    harness.router = Router(
        harness.pipeline, OPERATIONS, Guard(), PageRequests(partial(make_app, harness.pipeline, OPERATIONS))
    )
    return harness


def text(answer: Answer) -> str:
    """The page's HTML."""
    return answer.response.body.decode()


def new_code(harness: Harness) -> str:
    """The code that the daemon would write to its file."""
    return make_first_code(harness.runtime, now=harness.clock.now)


async def send(harness: Harness, code: str, **changes: str) -> Answer:
    """Send the form, as a browser does."""
    fields = {"code": code, "email": EMAIL, "name": "Ada", "password": PASSWORD, "again": PASSWORD, **changes}
    form = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    return await harness.request("POST", "/ui/first-run", form=form, headers=OWN)


async def test_the_page_says_both_ways(fresh: Harness) -> None:
    """The page shows the command and the path of the code, with a link to the sign-in page."""
    page = text(await fresh.request("GET", "/"))
    for word in ("<h1>Create the first admin</h1>", "herod user add EMAIL", "first-admin.code", 'href="/ui/sign-in"'):
        assert word in page
    assert new_code(fresh) not in page
    assert "<h1>Sign in</h1>" in text(await fresh.request("GET", "/ui/sign-in"))


async def test_where_one_wanted_to_go(fresh: Harness) -> None:
    """Whoever came to an empty herod for a page or an app gets there as the new admin, also after a typing error."""
    pasted = await fresh.request("GET", "/ui/keys?kind=user", headers={"sec-fetch-site": "none"})
    page = text(await fresh.request("GET", pasted.headers["location"]))
    (back,) = re.findall(r'<input type="hidden" name="back" value="([A-Za-z0-9_-]+)">', page)
    assert f'href="/ui/sign-in?back={back}"' in page
    assert f'name="back" value="{back}"' in text(await send(fresh, new_code(fresh), again="another", back=back))
    answer = await send(fresh, new_code(fresh), back=back)
    assert answer.headers["location"].startswith("/ui/keys?kind=user&ticket=")


async def test_the_code_makes_an_admin_and_signs_them_in(fresh: Harness) -> None:
    """The code creates an admin and signs in once; then the front page is the sign-in, and the code is invalid."""
    code, second = new_code(fresh), new_code(fresh)
    answer = await send(fresh, f" {code} ")
    assert answer.status == 303
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    page = text(await fresh.request("GET", answer.headers["location"], headers=cookie))
    assert ">admin<" in page
    assert "<h1>Sign in</h1>" in text(await fresh.request("GET", "/"))
    for old in (code, second):
        again = await send(fresh, old, email="eve@example.org")
        assert again.status in (401, 409)
        assert "set-cookie" not in again.headers
    assert [account.email for account in fresh.store.scan(Account)] == [EMAIL]
    signed = await fresh.request(
        "POST", "/ui/sign-in", form=f"email={EMAIL}&password={quote_plus(PASSWORD)}", headers=OWN
    )
    assert signed.status == 303


async def test_they_have_no_client_secret(fresh: Harness) -> None:
    """The first admin has no client secret, because nobody has seen one."""
    await send(fresh, new_code(fresh))
    (account,) = fresh.store.scan(Account)
    assert account.secret_hash == b""
    assert account.scope == ("admin",)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"code": ""}, 401),
        ({"code": "4fZ0" * 10 + "4fZ"}, 401),
        ({"password": "short", "again": "short"}, 400),
        ({"again": "another password"}, 400),
        ({"email": "no address"}, 400),
        ({"name": "a\x00b"}, 400),
        ({"scope": "owner"}, 400),
    ],
)
async def test_what_makes_no_admin(fresh: Harness, changes: dict[str, str], status: int) -> None:
    """Invalid input returns the form with email and name, without code and password; a right code stays valid."""
    code = new_code(fresh)
    answer = await send(fresh, **{"code": code, **changes})
    assert answer.status == status
    page = text(answer)
    assert "<title>Error: " in page
    assert 'role="alert"' in page
    assert PASSWORD not in page
    assert code not in page
    assert "set-cookie" not in answer.headers
    assert not list(fresh.store.scan(Account))
    assert (await send(fresh, code)).status == 303


async def test_a_code_is_over_after_its_time(fresh: Harness) -> None:
    """A code expires after 15 minutes."""
    code = new_code(fresh)
    fresh.clock.now += FIRST_CODE_SECONDS
    assert (await send(fresh, code)).status == 401
    assert not list(fresh.store.scan(Account))


async def test_with_an_admin_the_code_is_worth_nothing(fresh: Harness) -> None:
    """With an admin the code is invalid, whether the admin is an account or a service key."""
    code = new_code(fresh)
    await fresh.service_key("admin", "the admin")
    answer = await send(fresh, code)
    assert answer.status == 409
    assert "An admin exists already" in text(answer)
    assert "<h1>Sign in</h1>" in text(answer)
    assert not list(fresh.store.scan(Account))


async def test_who_counts_as_an_admin(fresh: Harness) -> None:
    """An enabled account or service key with admin counts; an expired one or a user key does not."""

    async def is_needed() -> bool:
        status = await fresh.call("first_admin.status")
        return bool(status.is_needed)

    assert await is_needed()
    user = await fresh.user(scope="write", email=EMAIL)
    assert await is_needed()
    await fresh.admin("users.scope", client_id=user.client_id, scope="admin")
    assert not await is_needed()
    await user.key(scope="admin")
    await fresh.service_key("admin", "another")
    await fresh.admin("users.disable", client_id=user.client_id)
    assert not await is_needed()
    (key,) = (key for key in (await fresh.admin("keys.list")).items if key.kind == "service")
    await fresh.admin("users.enable", client_id=user.client_id)
    await fresh.admin("keys.delete", id=key.id)
    assert not await is_needed()


async def test_with_accounts_but_no_admin(fresh: Harness) -> None:
    """Who has an account signs in, and lands where they wanted to go; the page to create an admin is a link away."""
    back = {"back": "sealed"}
    first = text(await fresh.request("GET", "/?back=sealed"))
    assert '<input type="hidden" name="back" value="sealed">' in first
    assert 'href="/ui/sign-in?back=sealed"' in first
    await fresh.user(scope="read", email=EMAIL, password=PASSWORD)
    page = text(await fresh.request("GET", "/?back=sealed"))
    assert "<h1>Sign in</h1>" in page
    assert page.count('<input type="hidden" name="back" value="sealed">') >= 2
    (link,) = re.findall(r'herod has no admin now. Its owner can <a href="([^"]+)">', page)
    form = text(await fresh.request("GET", link))
    assert "<h1>Create the first admin</h1>" in form
    assert '<input type="hidden" name="back" value="sealed">' in form
    refused = text(await send(fresh, "wrong", **back))
    assert '<input type="hidden" name="back" value="sealed">' in refused
    assert (await send(fresh, new_code(fresh), email="admin@example.org")).status == 303
    assert "no admin" not in text(await fresh.request("GET", "/"))
    assert (await fresh.request("GET", link)).headers["location"] == "/"


async def test_a_taken_email_is_said_before_the_code_is_used(fresh: Harness) -> None:
    """An email in use is reported before the code is consumed."""
    await fresh.user(scope="read", email=EMAIL)
    code = new_code(fresh)
    assert (await send(fresh, code)).status == 409
    assert (await send(fresh, code, email="other@example.org")).status == 303


async def test_forms_of_other_origins(fresh: Harness) -> None:
    """Forms of other origins are refused, even with the right code."""
    code = new_code(fresh)
    form = f"code={code}&email={EMAIL}&password={quote_plus(PASSWORD)}&again={quote_plus(PASSWORD)}"
    for headers in ({}, {"origin": "http://localhost", "sec-fetch-site": "same-site"}, {"origin": "http://x.test"}):
        answer = await fresh.request("POST", "/ui/first-run", form=form, headers=headers)
        assert answer.status in (400, 403)
    assert not list(fresh.store.scan(Account))


async def test_guesses_are_slowed_down_and_lock_nobody_out(fresh: Harness) -> None:
    """Guesses are delayed without a lockout: the code is too long to guess, and all local users are one source."""
    for number in range(15):
        assert (await send(fresh, f"guess{number}")).status == 401
    assert (await send(fresh, new_code(fresh))).status == 303


async def test_it_is_audited(fresh: Harness) -> None:
    """Refusals and the created admin are audited."""
    await send(fresh, "wrong")
    await send(fresh, new_code(fresh))
    await fresh.pipeline.flush(is_last=True)
    rows = (await fresh.call("audit.list", LOCAL_ADMIN, ADMIN_SOURCE)).items
    found = {(row.operation, row.outcome, row.reason) for row in rows}
    assert ("first_admin.create", "ok", None) in found
    assert ("first_admin.create", "denied", "wrong_code") in found


async def test_two_at_once(fresh: Harness) -> None:
    """Of two concurrent requests with the code one creates the admin."""
    code = new_code(fresh)
    ended: list[type[HerodError] | None] = []
    for email in (EMAIL, "eve@example.org"):
        try:
            await fresh.call("first_admin.create", code=code, email=email, password=PASSWORD)
            ended.append(None)
        except (BadCredentials, Conflict) as error:
            ended.append(type(error))
    assert ended == [None, BadCredentials]


async def test_nothing_stands_in_the_page(fresh: Harness) -> None:
    """The page has no inline script, style or handler."""
    page = text(await fresh.request("GET", "/"))
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)
