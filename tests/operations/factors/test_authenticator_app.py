"""Setting up an authenticator app, and signing in with it."""

from typing import Any

import pytest

from herod.credentials.factors.totp import STEP_SECONDS
from herod.identity.credential_types import SessionCookie
from herod.identity.people.persons import RECENT_SECONDS
from herod.operations.factors.unfinished_sign_ins import SETUP_SECONDS, SIGN_IN_SECONDS
from herod.records import RecoveryCodes, Session, TotpFactor
from herod_client.core.errors import HerodError, SecondFactorNeeded
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person
from support.totp_app import TotpApp


async def login(person: Person, **more: Any) -> Any:
    """Sign in as a program does."""
    return await person.harness.call("login", None, TCP, email=person.email, password=PASSWORD, **more)


async def reason(call: Any) -> str:
    """Why a call is refused."""
    with pytest.raises(HerodError) as error:
        await call
    return error.value.reason


async def pending(person: Person) -> str:
    """The first step of signing a browser in."""
    with pytest.raises(SecondFactorNeeded) as asked:
        await person.sign_in()
    return asked.value.pending


async def confirm(person: Person, otp: str, step: str) -> None:
    """The second step."""
    opened = await person.harness.call("session.confirm", None, TCP, pending=step, otp=otp)
    person.cookie = SessionCookie(opened.cookie)


def wrong(code: str) -> str:
    """Another code."""
    return str((int(code) + 1) % 10**6).zfill(6)


async def test_set_up(harness: Harness) -> None:
    """Nothing changes until the app has shown a right code; the same secret can be shown again."""
    ada = await new_person(harness)
    begun = await ada.call("totp.begin")
    again = await ada.call("totp.begin", setup=begun.setup)
    assert (again.secret, again.address, again.setup) == (begun.secret, begun.address, begun.setup)
    assert (await ada.call("totp.begin")).secret != begun.secret
    app = TotpApp(begun.address)
    assert (app.label, app.issuer) == ("herod:ada%40example.org", "herod")
    code = app.code(harness.clock.now)
    assert await reason(ada.call("totp.enable", setup=begun.setup, otp=wrong(code))) == "wrong_code"
    assert await login(ada)
    assert harness.store.count(TotpFactor) == harness.store.count(RecoveryCodes) == 0
    answer = await ada.call("totp.enable", setup=begun.setup, otp=f" {code[:3]} {code[3:]}")
    assert len(set(answer.recovery_codes)) == 10
    assert await reason(login(ada, otp=code)) == "wrong_code"  # it was used to set up


async def test_signing_in_needs_a_code(harness: Harness) -> None:
    """The password alone signs neither a program nor a browser in; with the code, each does once."""
    ada = await new_person(harness)
    await ada.set_up_app()
    assert await reason(login(ada)) == "second_factor_needed"
    assert await reason(login(ada, otp="")) == "second_factor_needed"
    code = ada.otp()
    assert await reason(login(ada, otp=wrong(code))) == "wrong_code"
    assert (await login(ada, otp=code)).access_token
    assert await reason(login(ada, otp=code)) == "wrong_code"
    step = await pending(ada)
    assert await reason(confirm(ada, wrong(ada.otp()), step)) == "wrong_code"
    await confirm(ada, ada.otp(), step)
    session = harness.store.get(Session, (await ada.call("session.list")).items[-1].id)
    assert session is not None
    assert session.amr == ("pwd", "otp", "mfa")
    assert await ada.call("passkeys.list") is not None


async def test_earlier_codes(harness: Harness) -> None:
    """A code that is still current is refused once a later one was used."""
    ada = await new_person(harness)
    await ada.set_up_app()
    assert ada.app is not None
    harness.clock.now += 10 * STEP_SECONDS
    before, now = ada.app.code(harness.clock.now - STEP_SECONDS), ada.app.code(harness.clock.now)
    assert (await login(ada, otp=now)).access_token
    assert await reason(login(ada, otp=before)) == "wrong_code"
    assert (await login(ada, otp=ada.app.code(harness.clock.now + STEP_SECONDS))).access_token


@pytest.mark.parametrize("otp", ["12345", "1234567", "١٢٣٤٥٦", "abcdef", "x" * 100, "-" * 64, "\ud800", "0" * 60])
async def test_what_is_no_code(harness: Harness, otp: str) -> None:
    """Anything else is a wrong code, and no error."""
    ada = await new_person(harness)
    await ada.set_up_app()
    assert await reason(login(ada, otp=otp)) == "wrong_code"
    assert await reason(confirm(ada, otp, await pending(ada))) == "wrong_code"


async def test_strangers_learn_nothing(harness: Harness) -> None:
    """To a wrong password, and for an unknown email, the answer is the same with a second factor and without."""
    ada = await new_person(harness)
    await harness.user(email="bob@example.org", password=PASSWORD)
    await ada.set_up_app()

    async def answer(email: str, **more: str) -> tuple[int, bytes]:
        sent = {"email": email, "password": "another long password", **more}
        got = (await harness.request("POST", "/login", json=sent)).response
        return got.status, got.body

    bodies = {
        await answer(email, **more)
        for email in ("ada@example.org", "bob@example.org", "nobody@example.org")
        for more in ({}, {"otp": "123456"})
    }
    assert len(bodies) == 1
    assert {status for status, _ in bodies} == {401}


async def test_the_answer_of_login(harness: Harness) -> None:
    """A program is told by a code of the error what is missing; the sign-in so far is not in it."""
    ada = await new_person(harness)
    await ada.set_up_app()
    answer = await harness.request("POST", "/login", json={"email": ada.email, "password": PASSWORD})
    assert answer.status == 401
    assert answer.json["error"]["code"] == "second_factor_needed"
    assert set(answer.json["error"]) == {"code", "message"}
    rpc = await harness.rpc("login", {"email": ada.email, "password": PASSWORD})
    assert rpc["error"]["data"]["code"] == "second_factor_needed"
    good = {"email": ada.email, "password": PASSWORD, "otp": ada.otp()}
    assert (await harness.request("POST", "/login", json=good)).status == 200


async def test_without_a_second_factor(harness: Harness) -> None:
    """A code that nobody asked for is ignored."""
    ada = await new_person(harness)
    assert (await login(ada, otp="123456")).access_token


async def test_between_the_steps(harness: Harness) -> None:
    """The second step is the first one's, for five minutes, until a new password, a restore or the account's end."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    await ada.set_up_app()
    await bob.set_up_app()
    step = await pending(ada)
    assert await reason(confirm(bob, bob.otp(), step)) == "wrong_code"
    harness.clock.now += SIGN_IN_SECONDS
    assert await reason(confirm(ada, ada.otp(), step)) == "sign_in_over"
    step = await pending(ada)
    harness.runtime.store_generation = "another"
    assert await reason(confirm(ada, ada.otp(), step)) == "sign_in_over"
    step = await pending(ada)
    await harness.admin("users.password", client_id=ada.id, password=PASSWORD)
    assert await reason(confirm(ada, ada.otp(), step)) == "sign_in_over"
    step = await pending(ada)
    await harness.admin("users.disable", client_id=ada.id)
    assert await reason(confirm(ada, ada.otp(), step)) == "sign_in_over"
    for garbage in ("", "A" * 64, "A" * 5000, "é", step[:-4], step + "AAAA", "=" * 8):
        assert await reason(confirm(ada, "123456", garbage)) == "sign_in_over"


async def test_setting_up_is_ones_own(harness: Harness) -> None:
    """A secret that is being set up is for its account and for ten minutes; a sign-in's envelope is none."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    begun = await ada.call("totp.begin")
    code = TotpApp(begun.address).code
    now = harness.clock.now
    assert await reason(bob.call("totp.enable", setup=begun.setup, otp=code(now))) == "setup_over"
    assert (await bob.call("totp.begin", setup=begun.setup)).secret != begun.secret
    await bob.set_up_app()
    assert await reason(ada.call("totp.enable", setup=await pending(bob), otp=code(now))) == "setup_over"
    harness.clock.now += SETUP_SECONDS
    await ada.sign_in()
    assert await reason(ada.call("totp.enable", setup=begun.setup, otp=code(harness.clock.now))) == "setup_over"


async def test_another_app(harness: Harness) -> None:
    """A new app replaces the former one, and its codes; recovery codes and other browsers stay."""
    ada = await new_person(harness)
    await ada.set_up_app()
    former, codes = ada.app, ada.codes
    assert former is not None
    harness.clock.now += 60
    assert (await ada.set_up_app()).recovery_codes is None
    harness.clock.now += 60
    assert await reason(login(ada, otp=former.code(harness.clock.now))) == "wrong_code"
    assert (await login(ada, otp=ada.otp())).access_token
    assert (await login(ada, otp=codes[0])).access_token


async def test_the_first_signs_others_out(harness: Harness) -> None:
    """With the first second factor, other browsers are signed out, and this session has shown two factors."""
    ada = await new_person(harness)
    other = ada.cookie
    await ada.sign_in()
    key = await ada.user.key()
    await ada.set_up_app()
    assert await reason(harness.call("whoami", other, TCP)) == "session_over"
    (session,) = (session for session in harness.store.scan(Session) if session.amr)
    assert session.amr == ("pwd", "otp", "mfa")
    assert await ada.call("whoami")
    assert (await harness.request("GET", "/api/v1/whoami", headers={"x-api-key": key})).status == 200


async def test_disable(harness: Harness) -> None:
    """Without an app, the password signs in again, and the recovery codes are gone."""
    ada = await new_person(harness)
    await ada.set_up_app()
    factors = await ada.call("totp.disable")
    assert (factors.totp_since, factors.recovery_codes, factors.passkeys) == (None, 0, [])
    assert (await login(ada)).access_token
    assert harness.store.count(RecoveryCodes) == 0
    assert await reason(ada.call("totp.disable")) == "no_totp"


@pytest.mark.parametrize("name", ["totp.begin", "totp.disable", "recovery.renew"])
async def test_needs_a_recent_sign_in(harness: Harness, name: str) -> None:
    """Five minutes after signing in, one must sign in again."""
    ada = await new_person(harness)
    await ada.set_up_app()
    harness.clock.now += RECENT_SECONDS + 1
    assert await reason(ada.call(name)) == "sign_in_again"


async def test_deleted_with_the_account(harness: Harness) -> None:
    """Nothing of a second factor outlives its account."""
    ada = await new_person(harness)
    await ada.set_up_app()
    await harness.admin("users.delete", client_id=ada.id)
    assert harness.store.count(TotpFactor) == harness.store.count(RecoveryCodes) == 0
