"""Signing out at an app's request: when it happens at once, when the person is asked, and where the browser goes."""

from typing import Any

import pytest

from herod.identity.credential_types import SessionCookie
from herod.identity.parent_credential import session_id
from herod.operations.openid.app_sign_out import LOGOUT_SECONDS
from herod.records import Session
from herod_client.core.errors import InvalidRequest, Unavailable
from support.herod_in_memory import TCP, Harness, User
from support.sign_ins import WIKI, id_token_of, register_wiki, sign_in_code

BYE = WIKI.post_logout_uris[0]


class Browser:
    """A browser in which somebody is signed in."""

    def __init__(self, harness: Harness, user: User, cookie: SessionCookie) -> None:
        self.user = user
        self.half = cookie.text[:22]
        self.session = session_id(harness.runtime, cookie.text)
        self._harness = harness

    @property
    def is_signed_in(self) -> bool:
        """Whether its session is there."""
        return self._harness.store.get(Session, self.session) is not None

    async def hint(self, **changes: Any) -> str:
        """The id_token of its sign-in to the app."""
        granted = sign_in_code(self.user.client_id, **{"session": self.session, **changes})
        text = await id_token_of(self._harness, granted)
        assert text is not None
        return text


async def open_browser(harness: Harness) -> Browser:
    """Sign somebody in."""
    user = await harness.user("read")
    return Browser(harness, user, await user.session())


async def asked(harness: Harness, **params: Any) -> str:
    """The sealed request of an app."""
    found = await harness.call("openid.logout", None, TCP, **params)
    request: str = found.request
    return request


async def signed_out(harness: Harness, request: str, half: str | None, **params: Any) -> Any:
    """What the page is told."""
    return await harness.call("openid.sign_out", None, TCP, request=request, half=half, **params)


async def test_with_the_id_token_of_the_session(harness: Harness) -> None:
    """The session ends at once, long after the id_token has expired too, and the browser goes back with the state."""
    await register_wiki(harness)
    browser = await open_browser(harness)
    hint = await browser.hint()
    harness.clock.now += 3000
    request = await asked(harness, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a b&c=d")
    answer = await signed_out(harness, request, browser.half)
    assert (answer.asks, answer.signed_out, answer.app) == (False, True, "Wiki")
    assert answer.location == f"{BYE}?state=a+b%26c%3Dd"
    assert not browser.is_signed_in
    (event,) = [row.event for row in harness.store.audit_rows() if row.event.operation == "openid.sign_out"]
    assert (event.actor, event.target) == (browser.user.client_id, browser.session)


async def test_without_one_the_person_is_asked(harness: Harness) -> None:
    """Nothing happens until they agree; then the browser goes back to where the app registered."""
    await register_wiki(harness)
    browser = await open_browser(harness)
    request = await asked(harness, client_id="wiki", post_logout_redirect_uri=BYE)
    for _ in range(2):
        answer = await signed_out(harness, request, browser.half)
        assert (answer.asks, answer.signed_out, answer.location) == (True, False, BYE)
        assert browser.is_signed_in
    answer = await signed_out(harness, request, browser.half, is_confirmed=True)
    assert (answer.asks, answer.signed_out, answer.location) == (False, True, BYE)
    assert not browser.is_signed_in


async def test_the_id_token_of_another_session(harness: Harness) -> None:
    """An id_token of somebody else, of another browser or of an earlier sign-in signs nobody out unasked."""
    await register_wiki(harness)
    browser, other = await open_browser(harness), await open_browser(harness)
    earlier = await browser.hint(session="e" * 64)
    for hint in (await other.hint(), earlier, "", "no.id.token"):
        request = await asked(harness, id_token_hint=hint or None)
        answer = await signed_out(harness, request, browser.half)
        assert (answer.asks, answer.signed_out) == (True, False)
    assert browser.is_signed_in
    assert other.is_signed_in


async def test_the_id_token_of_another_app(harness: Harness) -> None:
    """If client_id and id_token are of two apps, neither counts: the person is asked, and the browser stays."""
    await register_wiki(harness)
    await register_wiki(harness, id="forum", name="Forum")
    browser = await open_browser(harness)
    request = await asked(harness, id_token_hint=await browser.hint(), client_id="forum", post_logout_redirect_uri=BYE)
    answer = await signed_out(harness, request, browser.half)
    assert (answer.asks, answer.location, answer.app, answer.is_refused) == (True, None, None, True)


@pytest.mark.parametrize("half", [None, "", "x", "a" * 22])
async def test_nobody_is_signed_in(harness: Harness, half: str | None) -> None:
    """A browser without a session goes back at once."""
    await register_wiki(harness)
    request = await asked(harness, client_id="wiki", post_logout_redirect_uri=BYE, state="s")
    for is_confirmed in (False, True):
        answer = await signed_out(harness, request, half, is_confirmed=is_confirmed)
        assert (answer.asks, answer.signed_out, answer.location) == (False, False, f"{BYE}?state=s")


@pytest.mark.parametrize(
    ("uri", "is_taken"),
    [
        (BYE, True),
        ("http://127.0.0.1:8400/bye", True),
        ("org.example.wiki:/bye", True),
        (BYE + "/", False),
        (BYE + "?next=https://evil.example", False),
        (BYE.upper(), False),
        ("https://wiki.example.org/cb", False),
        ("https://wiki.example.org.evil.example/bye", False),
        ("https://wiki.example.org@evil.example/bye", False),
        ("https://wiki.example.org:8443/bye", False),
        ("http://wiki.example.org/bye", False),
        ("http://localhost:8400/bye", False),
        ("//wiki.example.org/bye", False),
        ("/ui/sign-out", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
async def test_only_to_a_registered_address(harness: Harness, uri: str, is_taken: bool) -> None:
    """The address must be one that the app registered; only the port of a loopback one may differ."""
    await register_wiki(harness)
    request = await asked(harness, client_id="wiki", post_logout_redirect_uri=uri)
    answer = await signed_out(harness, request, None)
    assert (answer.location, answer.is_refused) == ((uri, False) if is_taken else (None, True))


async def test_no_address_without_an_app(harness: Harness) -> None:
    """Without an app, or with one that is unknown, the browser stays."""
    await register_wiki(harness)
    for params in ({}, {"client_id": "nobody"}, {"client_id": "herod_app_AAAA"}):
        request = await asked(harness, post_logout_redirect_uri=BYE, **params)
        assert (await signed_out(harness, request, None)).location is None


async def test_never_to_herod_itself(harness: Harness) -> None:
    """An address of herod's own is refused, though an app registered it."""
    own = "http://localhost:3350/ui/overview"
    object.__setattr__(harness.runtime.config, "own_origins", frozenset({"http://localhost:3350"}))
    await register_wiki(harness, post_logout_uris=(own,))
    request = await asked(harness, client_id="wiki", post_logout_redirect_uri=own)
    answer = await signed_out(harness, request, None)
    assert (answer.location, answer.is_refused) == (None, True)


async def test_requests_that_herod_did_not_seal(harness: Harness) -> None:
    """A request that is changed, too old or from the future is refused, and signs nobody out."""
    browser = await open_browser(harness)
    request = await asked(harness)
    for wrong in ("", "x", request[:-1], request[:-2] + "AA", "A" * 5000, "é"):
        with pytest.raises(InvalidRequest, match="sign out in the app again"):
            await signed_out(harness, wrong, browser.half, is_confirmed=True)
    for now in (harness.clock.now + LOGOUT_SECONDS, harness.clock.now - 1):
        before, harness.clock.now = harness.clock.now, now
        with pytest.raises(InvalidRequest, match="sign out in the app again"):
            await signed_out(harness, request, browser.half, is_confirmed=True)
        harness.clock.now = before
    with pytest.raises(InvalidRequest, match="512"):
        await asked(harness, state="s" * 513)
    assert browser.is_signed_in


async def test_a_session_that_has_ended(harness: Harness) -> None:
    """A session of a disabled account, or an idle one, is none: nobody is asked."""
    browser = await open_browser(harness)
    await harness.admin("users.disable", client_id=browser.user.client_id)
    answer = await signed_out(harness, await asked(harness), browser.half)
    assert (answer.asks, answer.signed_out) == (False, False)


async def test_while_the_store_cannot_be_written(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session ends in memory at once, if the person agreed or the id_token is of it."""
    await register_wiki(harness)
    browser, other = await open_browser(harness), await open_browser(harness)
    hint = await browser.hint()

    async def refuse(_: object) -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(harness.store, "write", refuse)
    plain = await asked(harness)
    with pytest.raises(Unavailable):
        await signed_out(harness, plain, other.half)
    assert other.session not in harness.runtime.switched_off
    for request, one, is_confirmed in (
        (plain, other, True),
        (await asked(harness, id_token_hint=hint), browser, False),
    ):
        with pytest.raises(Unavailable):
            await signed_out(harness, request, one.half, is_confirmed=is_confirmed)
        assert one.session in harness.runtime.switched_off
