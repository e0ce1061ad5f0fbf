"""Sign-in from a terminal: a code shows whose session it opens, and opens that one session once."""

import re
from functools import partial

import pytest

from herod.dashboard.quart_app import make_app
from herod.identity.credential_types import Bearer, SessionCookie
from herod.identity.one_time_codes import MAX_CODE_BYTES, MAX_CODES, MAX_CODES_OF_ONE, OneTimeCodes
from herod.operations.operation_table import OPERATIONS
from herod.operations.sessions.terminal_sign_in_codes import CODE_SECONDS
from herod.pipeline.process.deployment_info import Deployment
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import Session
from herod.server.dashboard_requests import PageRequests
from herod_client.core.errors import BadCredentials, CeilingExceeded, ExpiredToken
from herod_client.core.key_format import new_opaque
from support.herod_in_memory import ADMIN_SOURCE, LOCAL_ADMIN, PASSWORD, TCP, Answer, Harness

OWN = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
# The headers with which a file on disk leads a browser to herod.
FROM_FILE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
async def dashboard(harness: Harness) -> Harness:
    """A harness with pages and an admin."""
    harness.router = Router(
        harness.pipeline, OPERATIONS, Guard(), PageRequests(partial(make_app, harness.pipeline, OPERATIONS))
    )
    await harness.service_key("admin", "the admin")
    return harness


def text(answer: Answer) -> str:
    """The page's HTML."""
    return answer.response.body.decode()


async def local_code(harness: Harness) -> str:
    """A code of the local admin."""
    made = await harness.call("session.code", LOCAL_ADMIN, ADMIN_SOURCE)
    return str(made.code)


async def send(harness: Harness, code: str, **headers: str) -> Answer:
    """Send the form of the page."""
    return await harness.request("POST", "/ui/code", form=f"code={code}", headers={**OWN, **headers})


async def test_a_code_leads_into_the_dashboard(dashboard: Harness) -> None:
    """A code's URL asks for confirmation, and its form opens a session with the caller's grant, once."""
    code = await local_code(dashboard)
    asks = await dashboard.request("GET", f"/ui/code?code={code}", headers=FROM_FILE)
    assert asks.status == 200
    assert "Continue as local admin?" in text(asks)
    assert "set-cookie" not in asks.headers
    opened = await send(dashboard, code)
    assert opened.status == 303
    assert code not in opened.headers["location"]
    cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0]}
    page = await dashboard.request("GET", opened.headers["location"], headers=cookie)
    assert ">owner<" in text(page)
    again = await send(dashboard, code)
    assert again.status == 401
    assert "used already" in text(again)
    assert "set-cookie" not in again.headers


async def test_looking_uses_nothing_up(dashboard: Harness) -> None:
    """Opening the URL does not consume the code, so prefetching is harmless."""
    code = await local_code(dashboard)
    for _ in range(3):
        assert (await dashboard.request("GET", f"/ui/code?code={code}", headers=FROM_FILE)).status == 200
    assert dashboard.store.count(Session) == 0
    assert (await send(dashboard, code)).status == 303


async def test_the_page_says_whose_session_it_is(dashboard: Harness) -> None:
    """The page names account and email, so that users notice another person's code, even with a similar name."""
    eve = await dashboard.user(scope="read", email="eve@example.org", name="Ada <b>", password=PASSWORD)
    made = await dashboard.call("session.code", eve.basic, TCP)
    page = text(await dashboard.request("GET", f"/ui/code?code={made.code}", headers=FROM_FILE))
    assert "Continue as Ada &lt;b&gt;?" in page
    assert "eve@example.org" in page
    assert ">read<" in page
    assert not re.search(r"<script(?! src=)|\son[a-z]+=|autosubmit", page)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:9999", "sec-fetch-site": "same-site"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost", "sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin"},
        {},
    ],
)
async def test_only_our_own_page_uses_a_code(dashboard: Harness, headers: dict[str, str]) -> None:
    """A form of another origin, or of a file, opens nothing, and the code stays valid."""
    code = await local_code(dashboard)
    answer = await dashboard.request("POST", "/ui/code", form=f"code={code}", headers=headers)
    assert answer.status in (400, 403)
    assert "set-cookie" not in answer.headers
    assert (await send(dashboard, code)).status == 303


async def test_a_code_is_over_after_a_minute(dashboard: Harness) -> None:
    """An unused code expires after a minute."""
    code = await local_code(dashboard)
    dashboard.clock.now += CODE_SECONDS
    assert (await dashboard.request("GET", f"/ui/code?code={code}")).status == 401
    assert (await send(dashboard, code)).status == 401


@pytest.mark.parametrize("code", ["", "x", "4fZ0" * 10 + "4fZ", "%22%3E%3Cscript%3E", "%ff", "a&code=b"])
async def test_what_is_no_code(dashboard: Harness, code: str) -> None:
    """An invalid code leads to the sign-in page with an error that does not repeat it."""
    for answer in (await dashboard.request("GET", f"/ui/code?code={code}"), await send(dashboard, code)):
        assert answer.status in (400, 401)
        assert "<h1>Sign in</h1>" in text(answer)
        assert "<script>" not in text(answer)
        assert "set-cookie" not in answer.headers


async def test_a_code_shrinks_and_ends_with_who_made_it(dashboard: Harness) -> None:
    """A code has the grant that its creator holds at its use, and ends with the creator."""
    ada = await dashboard.user(scope="write", email="ada@example.org", password=PASSWORD)
    codes = [(await dashboard.call("session.code", ada.basic, TCP)).code for _ in range(2)]
    await dashboard.admin("users.scope", client_id=ada.client_id, scope="read")
    opened = await dashboard.call("session.redeem", None, TCP, code=codes[0])
    assert (await dashboard.call("whoami", SessionCookie(opened.cookie), TCP)).scope == "read"
    await dashboard.admin("users.disable", client_id=ada.client_id)
    assert (await send(dashboard, codes[1])).status == 401


async def test_a_code_of_a_key_is_worth_the_key(dashboard: Harness) -> None:
    """A code of a key has the key's grant, and ends with it."""
    ada = await dashboard.user(scope="write", email="ada@example.org", password=PASSWORD)
    key = await ada.key(scope="read")
    made = await dashboard.call("session.code", Bearer(key), TCP)
    opened = await dashboard.call("session.redeem", None, TCP, code=made.code)
    session = SessionCookie(opened.cookie)
    assert (await dashboard.call("whoami", session, TCP)).scope == "read"
    await dashboard.admin("keys.disable", id=key.split("_")[2])
    with pytest.raises(ExpiredToken):
        await dashboard.call("whoami", session, TCP)


async def test_tokens_and_sessions_make_no_codes(dashboard: Harness) -> None:
    """Tokens and sessions create no codes, because a session would outlive them."""
    ada = await dashboard.user(scope="write", email="ada@example.org", password=PASSWORD)
    for presented in (await ada.bearer(), await ada.session()):
        with pytest.raises(CeilingExceeded):
            await dashboard.call("session.code", presented, TCP)
    with pytest.raises(BadCredentials):
        await dashboard.call("session.code", None, TCP)


async def test_a_code_ends_the_browsers_earlier_session(dashboard: Harness) -> None:
    """A code ends the browser's earlier session, as every sign-in does."""
    first = await send(dashboard, await local_code(dashboard))
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert (await send(dashboard, await local_code(dashboard), cookie=cookie)).status == 303
    assert dashboard.store.count(Session) == 1


LOCAL = ("http://localhost:3350", "http://127.0.0.1:3350", "http://[::1]:3350")


@pytest.mark.parametrize(
    ("binds", "names", "url"),
    [
        ((), (), None),
        (("unix:/run/herod/herod.sock", "fd://3 (unix:/run/x)"), (), None),
        (("unix:/run/x", "127.0.0.1:3350", "[::1]:3350"), ("http://localhost:3350", *LOCAL), "http://localhost:3350"),
        (("fd://3 (127.0.0.1:3350)",), ("http://127.0.0.1:3350", *LOCAL), "http://127.0.0.1:3350"),
        (("0.0.0.0:3350",), ("https://auth.example.org", *LOCAL), "http://localhost:3350"),
        (("fd://3 (10.0.0.7:80)",), ("http://10.0.0.7",), "http://10.0.0.7:80"),
    ],
)
async def test_where_browsers_find_the_pages(
    harness: Harness, binds: tuple[str, ...], names: tuple[str, ...], url: str | None
) -> None:
    """Pages are at the public URL if that is on this machine, else at `localhost` if that is herod's."""
    harness.pipeline.process.deployment = Deployment(binds=binds)
    harness.configure(public_url=(names or ("http://herod.invalid",))[0], aliases=frozenset(names[1:]))
    assert (await harness.call("session.code", LOCAL_ADMIN, ADMIN_SOURCE)).page_url == url


@pytest.mark.parametrize("is_held", [True, False])
async def test_where_browsers_find_the_pages_with_tls(harness: Harness, is_held: bool) -> None:
    """With TLS, pages are under the name of the certificate, while herod holds it."""
    harness.pipeline.process.deployment = Deployment(binds=("0.0.0.0:443",), has_tls=True)
    harness.configure(public_url="https://localhost", aliases=frozenset(), has_browser_origin=is_held)
    url = (await harness.call("session.code", LOCAL_ADMIN, ADMIN_SOURCE)).page_url
    assert url == ("https://localhost" if is_held else None)


async def test_codes_are_bounded(harness: Harness) -> None:
    """Codes are bounded for each holder and in total, evicting expired ones first, then the oldest."""
    codes: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "test")
    first = codes.make("mine", holder="me", now=0, expires_at=60)
    for _ in range(MAX_CODES_OF_ONE):
        codes.make("theirs", holder="them", now=0, expires_at=60)
    kept = codes.make("more", holder="them", now=0, expires_at=60)
    assert codes.look(first, now=0) == "mine"
    for number in range(MAX_CODES):
        codes.make("others", holder=f"other {number}", now=0, expires_at=60)
    assert codes.look(first, now=0) is None
    assert codes.take(kept, now=0) is None
    last = codes.make("last", holder="me", now=60, expires_at=120)
    assert codes.take(last, now=60) == "last"
    assert codes.take(last, now=60) is None
    assert codes.take(new_opaque(), now=60) is None


async def test_many_holders_of_a_source_evict_their_own_codes(harness: Harness) -> None:
    """However many accounts of one source ask for codes, by number or by size, a code of another source stays."""
    codes: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "test")
    mine = codes.make("mine", holder="me", now=0, expires_at=60, sources=("uid:7",))
    for number in range(MAX_CODES + 100):
        codes.make("theirs", holder=f"other {number}", now=0, expires_at=60, sources=("uid:8",))
    assert codes.look(mine, now=0) == "mine"
    for number in range(6):
        codes.make("theirs", holder=f"{number}", now=0, expires_at=60, size=MAX_CODE_BYTES // 4, sources=("uid:8",))
    assert codes.take(mine, now=0) == "mine"


async def test_many_sources_of_a_range_evict_their_own_codes(harness: Harness) -> None:
    """However many sources one person has, a code of another stays."""
    codes: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "test")
    mine = codes.make("mine", holder="me", now=0, expires_at=60, sources=("uid:7", "uid:7"))
    for number in range(MAX_CODES + 100):
        sources = ("uids:100000-165535", f"uid:{100_000 + number}")
        codes.make("theirs", holder=f"other {number}", now=0, expires_at=60, sources=sources)
    assert codes.take(mine, now=0) == "mine"


async def test_codes_are_bounded_in_bytes(harness: Harness) -> None:
    """Codes are bounded in bytes, evicting the oldest; a single larger one is kept alone."""
    codes: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "test")
    made = [codes.make("x", holder=f"{n}", now=0, expires_at=60, size=MAX_CODE_BYTES // 4) for n in range(6)]
    assert [codes.look(code, now=0) is not None for code in made] == [False, False, True, True, True, True]
    large = codes.make("x", holder="me", now=0, expires_at=60, size=2 * MAX_CODE_BYTES)
    assert [code for code in (*made, large) if codes.look(code, now=0)] == [large]
    assert codes.look(codes.make("y", holder="me", now=0, expires_at=60), now=0) == "y"
    assert codes.look(large, now=0) is None


async def test_codes_of_one_kind_are_none_of_another(harness: Harness) -> None:
    """A code of one kind is not accepted as another, and codes are refused after `clear`."""
    ones: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "one")
    others: OneTimeCodes[str] = OneTimeCodes(harness.store.keyring, "other")
    code = ones.make("x", holder="me", now=0, expires_at=60)
    assert others.take(code, now=0) is None
    ones.clear()
    assert ones.take(code, now=0) is None
