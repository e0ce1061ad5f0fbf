"""Guesses at the codes of a second factor are limited, wherever they can be tried."""

from typing import Any

import pytest

from herod.identity.credential_types import SessionCookie
from herod.scopes.principal import Source
from herod.throttle.rules import FACTOR, PAIR
from herod_client.core.errors import BadCredentials, HerodError, RateLimited, SecondFactorNeeded
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person

WRONG = "000000"


def other(number: int) -> Source:
    """Another source."""
    return Source(address=f"192.0.2.{number}")


async def login(person: Person, source: Source = TCP, **more: str) -> Any:
    """Sign in as a program does."""
    return await person.harness.call("login", None, source, email=person.email, password=PASSWORD, **more)


async def wrong_code(person: Person, source: Source = TCP) -> str:
    """Guess; why it is refused."""
    with pytest.raises(HerodError) as refused:
        await login(person, source, otp=WRONG)
    return refused.value.reason


async def pending(person: Person) -> str:
    """The first step of signing a browser in."""
    with pytest.raises(SecondFactorNeeded) as asked:
        await person.sign_in()
    return asked.value.pending


@pytest.fixture
async def ada(harness: Harness) -> Person:
    """Somebody with an authenticator app."""
    person = await new_person(harness)
    await person.set_up_app()
    return person


async def test_one_source(ada: Person) -> None:
    """After ten wrong codes a source is locked out of the account, with the right one too; others are not."""
    assert [await wrong_code(ada) for _ in range(PAIR.limit or 0)] == ["wrong_code"] * 10
    assert await wrong_code(ada) == "locked_pair"
    with pytest.raises(RateLimited):
        await login(ada, otp=ada.otp())
    assert await login(ada, other(1), otp=ada.otp())


async def test_in_browsers_too(ada: Person) -> None:
    """Codes tried in the second step of a browser's sign-in count with a program's."""
    step = await pending(ada)
    for _ in range(10):
        with pytest.raises(BadCredentials):
            await ada.harness.call("session.confirm", None, TCP, pending=step, otp=WRONG)
    with pytest.raises(RateLimited):
        await ada.harness.call("session.confirm", None, TCP, pending=step, otp=ada.otp())
    with pytest.raises(RateLimited):
        await login(ada, otp=ada.otp())


async def test_recovery_codes_count_too(ada: Person) -> None:
    """Wrong recovery codes are counted as codes of the app are."""
    for _ in range(10):
        with pytest.raises(BadCredentials):
            await login(ada, otp="aaaa-bbbb-cccc-dddd")
    with pytest.raises(RateLimited):
        await login(ada, otp=ada.codes[0])


async def test_a_right_code_clears_its_pair(ada: Person, autojump_clock: Any) -> None:
    """After a right code, one may mistype again."""
    for _ in range(3):
        assert [await wrong_code(ada) for _ in range(9)] == ["wrong_code"] * 9
        assert await login(ada, otp=ada.otp())


async def test_all_sources_together(ada: Person, autojump_clock: Any) -> None:
    """Thirty wrong codes in an hour, with the right password, lock the account's codes from everywhere."""
    for number in range(FACTOR.limit or 0):
        assert await wrong_code(ada, other(number)) == "wrong_code"
    assert await wrong_code(ada, other(99)) == "locked_factor"
    with pytest.raises(RateLimited):
        await login(ada, other(100), otp=ada.otp())
    ada.harness.clock.now += FACTOR.window
    assert await login(ada, otp=ada.otp())


async def test_a_passkey_is_not_locked(ada: Person, autojump_clock: Any) -> None:
    """Whose codes are locked still signs in with a passkey."""
    device = await ada.enrol()
    for number in range(FACTOR.limit or 0):
        await wrong_code(ada, other(number))
    assert await ada.sign_in_with(device)


async def test_strangers_lock_nothing(ada: Person, autojump_clock: Any) -> None:
    """Codes sent with a wrong password are not counted as guesses at the second factor."""
    for number in range(60):
        with pytest.raises(HerodError) as refused:
            await ada.harness.call(
                "login", None, other(number), email=ada.email, password="another password", otp=WRONG
            )
        assert refused.value.reason == "wrong_password"
    ada.harness.clock.now += 301
    assert await login(ada, otp=ada.otp())


async def test_being_asked_is_no_guess(ada: Person) -> None:
    """The right password without a code is not counted: a browser does so at each sign-in."""
    for _ in range(25):
        with pytest.raises(SecondFactorNeeded):
            await login(ada)
    opened = await ada.harness.call("session.confirm", None, TCP, pending=await pending(ada), otp=ada.otp())
    assert SessionCookie(opened.cookie)


async def test_wrong_codes_are_counted_in_metrics(ada: Person) -> None:
    """A monitor sees wrong codes."""
    before = ada.harness.runtime.counters["wrong_codes"]
    await wrong_code(ada)
    assert ada.harness.runtime.counters["wrong_codes"] == before + 1
