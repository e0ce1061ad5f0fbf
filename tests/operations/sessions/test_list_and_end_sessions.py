"""Sessions of browsers: opened with a credential, never more than it, seen and ended by who may."""

from typing import Any

import pytest

from herod.identity.credential_types import Bearer, SessionCookie
from herod.operations.sessions import COOKIE_CHARACTERS
from herod.records import Session
from herod_client.core.errors import NotFound, PermissionDenied, Unauthenticated
from support.herod_in_memory import House, User


async def signed_in(user: User, **opening: Any) -> SessionCookie:
    """A browser's cookie."""
    opened = await user.house.call("session.create", user.basic, **opening)
    return SessionCookie(opened.cookie)


async def test_a_session_is_what_opened_it(house: House) -> None:
    """A key of scope read opens a session of scope read, whatever its owner holds."""
    user = await house.user("write")
    by_key = await user.session(Bearer(await user.key("read")))
    assert (await house.call("whoami", by_key)).scope == "read"
    assert (await house.call("whoami", await user.session())).scope == "write"


async def test_neither_token_nor_session_opens_one(house: House) -> None:
    """It would outlive what it was made with."""
    user = await house.user()
    for presented in (await user.bearer(), await user.session()):
        with pytest.raises(PermissionDenied):
            await house.call("session.create", presented)


async def test_signing_in_again_ends_the_former(house: House) -> None:
    """A browser has one session at a time."""
    user = await house.user()
    first = await house.call("session.create", user.basic)
    await house.call("session.create", user.basic, former=first.cookie[:COOKIE_CHARACTERS])
    with pytest.raises(Unauthenticated):
        await house.call("whoami", SessionCookie(first.cookie))
    assert house.store.count(Session) == 1


async def test_twelve_hours(house: House) -> None:
    """Then sign in again."""
    cookie = await (await house.user()).session()
    house.clock.now += 12 * 3600 - 1
    await house.call("whoami", cookie)
    house.clock.now += 1
    with pytest.raises(Unauthenticated):
        await house.call("whoami", cookie)


async def test_list(house: House) -> None:
    """One's own, with the browser and which of them asks; admins see everybody's."""
    ada, eve = await house.user(), await house.user()
    here = await signed_in(ada, browser="Firefox")
    await signed_in(eve, browser="Safari")
    own = (await house.call("session.list", here)).items
    assert [session.browser for session in own] == ["Firefox"]
    admin = await signed_in(await house.user("admin"))
    every = (await house.call("session.list", admin)).items
    assert {session.browser for session in every} >= {"Firefox", "Safari"}


async def test_end(house: House) -> None:
    """One's own anywhere else, and nobody else's."""
    ada, eve = await house.user(), await house.user()
    here, there = await signed_in(ada), await signed_in(ada, browser="Chrome")
    [other] = [one for one in (await house.call("session.list", here)).items if one.browser == "Chrome"]
    with pytest.raises(NotFound):
        await house.call("session.end", await signed_in(eve), id=other.id)
    await house.call("whoami", there)
    await house.call("session.end", here, id=other.id)
    with pytest.raises(Unauthenticated):
        await house.call("whoami", there)


async def test_sign_out(house: House) -> None:
    """The session that asks is over."""
    cookie = await (await house.user()).session()
    await house.call("session.delete", cookie)
    with pytest.raises(Unauthenticated):
        await house.call("whoami", cookie)
    assert house.store.count(Session) == 0
