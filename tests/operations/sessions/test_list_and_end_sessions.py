"""Browser sessions: bounded by the credential that opened them, listed and ended by their owner or an admin."""

from typing import Any

import pytest

from herod.identity.credential_types import Bearer, SessionCookie
from herod.identity.people.session_secrets import COOKIE_CHARACTERS
from herod.records import Session
from herod_client.core.errors import NotFound, PermissionDenied, Unauthenticated
from support.herod_in_memory import Harness, User


async def signed_in(user: User, **opening: Any) -> SessionCookie:
    """A browser's cookie."""
    opened = await user.harness.call("session.create", user.basic, **opening)
    return SessionCookie(opened.cookie)


async def test_a_session_is_what_opened_it(harness: Harness) -> None:
    """A key of scope read opens a session of scope read, whatever its owner holds."""
    user = await harness.user("write")
    by_key = await user.session(Bearer(await user.key("read")))
    assert (await harness.call("whoami", by_key)).scope == "read"
    assert (await harness.call("whoami", await user.session())).scope == "write"


async def test_neither_token_nor_session_opens_one(harness: Harness) -> None:
    """Neither a token nor a session opens a session, which would outlive it."""
    user = await harness.user()
    for presented in (await user.bearer(), await user.session()):
        with pytest.raises(PermissionDenied):
            await harness.call("session.create", presented)


async def test_signing_in_again_ends_the_former(harness: Harness) -> None:
    """Signing in again ends the browser's former session."""
    user = await harness.user()
    first = await harness.call("session.create", user.basic)
    await harness.call("session.create", user.basic, former=first.cookie[:COOKIE_CHARACTERS])
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", SessionCookie(first.cookie))
    assert harness.store.count(Session) == 1


async def test_twelve_hours(harness: Harness) -> None:
    """A session expires after twelve hours, however often it is used."""
    cookie = await (await harness.user()).session()
    harness.clock.now -= 1
    for _ in range(12):
        harness.clock.now += 3600
        await harness.call("whoami", cookie)
    harness.clock.now += 1
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", cookie)


async def test_list(harness: Harness) -> None:
    """Users list their own sessions, with browser and the current one marked; admins list all."""
    ada, eve = await harness.user(), await harness.user()
    here = await signed_in(ada, browser="Firefox")
    await signed_in(eve, browser="Safari")
    own = (await harness.call("session.list", here)).items
    assert [session.browser for session in own] == ["Firefox"]
    admin = await signed_in(await harness.user("admin"))
    every = (await harness.call("session.list", admin)).items
    assert {session.browser for session in every} >= {"Firefox", "Safari"}


async def test_end(harness: Harness) -> None:
    """Users end their own sessions elsewhere, and no others."""
    ada, eve = await harness.user(), await harness.user()
    here, there = await signed_in(ada), await signed_in(ada, browser="Chrome")
    [other] = [one for one in (await harness.call("session.list", here)).items if one.browser == "Chrome"]
    with pytest.raises(NotFound):
        await harness.call("session.end", await signed_in(eve), id=other.id)
    await harness.call("whoami", there)
    await harness.call("session.end", here, id=other.id)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", there)


async def test_sign_out(harness: Harness) -> None:
    """Signing out ends the current session."""
    cookie = await (await harness.user()).session()
    await harness.call("session.delete", cookie)
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", cookie)
    assert harness.store.count(Session) == 0


async def test_codes_end_too(harness: Harness) -> None:
    """A sign-in code that was created before all sessions were ended opens none; a later one does."""
    user, other = await harness.user(), await harness.user()
    codes = [(await harness.call("session.code", one.basic)).code for one in (user, user, other)]
    await harness.call("session.end_all", user.basic)
    with pytest.raises(Unauthenticated):
        await harness.call("session.offer", code=codes[0])
    with pytest.raises(Unauthenticated):
        await harness.call("session.redeem", code=codes[1])
    later = (await harness.call("session.code", user.basic)).code
    for code in (codes[2], later):
        opened = await harness.call("session.redeem", code=code)
        assert (await harness.call("whoami", SessionCookie(opened.cookie))).scope == "read"
