"""Enrolling passkeys, and signing in with them."""

from typing import Any

import pytest

from herod.credentials.factors.challenges import CHALLENGE_SECONDS
from herod.identity.people.persons import RECENT_SECONDS
from herod.records import Account, Passkey, Session, UsedChallenge
from herod.settings import QuotaSettings
from herod_client.core.errors import BadCredentials, HerodError
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.persons import Person, new_person
from support.soft_authenticator import BE, BS, UP, UV, SoftAuthenticator


def authenticator(**changes: Any) -> SoftAuthenticator:
    """One for the harness's public URL."""
    return SoftAuthenticator(origin="http://localhost", **changes)


async def reason(call: Any) -> str:
    """Why a call is refused."""
    with pytest.raises(HerodError) as error:
        await call
    return error.value.reason


async def answer(harness: Harness, fields: dict[str, str]) -> Any:
    """Sign in with what a browser sent."""
    return await harness.call("session.passkey", None, TCP, **fields)


async def challenge(harness: Harness) -> str:
    """A new challenge for signing in."""
    text: str = (await harness.call("session.passkey_begin", None, TCP)).challenge
    return text


def account(person: Person) -> Account:
    """Their record."""
    found = person.harness.store.get(Account, person.id)
    assert found is not None
    return found


async def test_enrol_and_sign_in(harness: Harness) -> None:
    """A passkey signs in without an email, with the account's scope, and counts as two factors."""
    ada = await new_person(harness, scope="write")
    device = await ada.enrol(authenticator(counter=1))
    assert len(ada.codes) == 10
    await ada.sign_in_with(device)
    who = await ada.call("whoami")
    assert (who.sub, who.scope, who.method) == (ada.id, "write", "session")
    (session,) = (one for one in harness.store.scan(Session) if one.via.startswith("passkey:"))
    assert session.amr == ("hwk", "user", "mfa")
    (passkey,) = (await ada.call("passkeys.list")).items
    assert (passkey.name, passkey.synced, passkey.last_used_from) == ("laptop", False, "127.0.0.1")
    assert session.via == f"passkey:{passkey.id}"
    kept = harness.store.get(Passkey, passkey.id)
    assert kept is not None
    assert kept.counter == device.counter


async def test_a_synced_passkey(harness: Harness) -> None:
    """One that is copied between devices says so, and its backup state follows each use."""
    ada = await new_person(harness)
    device = await ada.enrol(authenticator(flags=UP | UV | BE))
    device.flags = UP | UV | BE | BS
    await ada.sign_in_with(device)
    (passkey,) = harness.store.scan(Passkey)
    assert (passkey.is_synced, passkey.is_backed_up) == (True, True)
    (session,) = (one for one in harness.store.scan(Session) if one.via.startswith("passkey:"))
    assert session.amr == ("swk", "user", "mfa")


async def test_the_password_alone_signs_in_no_more(harness: Harness) -> None:
    """With a passkey, the password needs a recovery code; without it again, not."""
    ada = await new_person(harness)
    device = await ada.enrol()
    login = {"email": ada.email, "password": PASSWORD}
    assert await reason(harness.call("login", None, TCP, **login)) == "second_factor_needed"
    assert await reason(ada.sign_in()) == "second_factor_needed"
    assert (await harness.call("login", None, TCP, **login, otp=ada.codes[0])).access_token
    await ada.sign_in_with(device)
    (passkey,) = (await ada.call("passkeys.list")).items
    assert (await ada.call("factors.get", client_id=ada.id)).recovery_codes == 9
    assert (await harness.call("passkeys.delete", ada.cookie, TCP, id=passkey.id)).passkeys == []
    assert (await harness.call("login", None, TCP, **login)).access_token


async def test_a_challenge_works_once(harness: Harness) -> None:
    """Neither an assertion nor its challenge is accepted a second time, here or by another daemon at the store."""
    ada = await new_person(harness)
    device = await ada.enrol()
    asked = await challenge(harness)
    fields = device.sign_in(asked)
    assert await answer(harness, fields)
    assert await reason(answer(harness, fields)) == "used_challenge"
    assert await reason(answer(harness, device.sign_in(asked))) == "used_challenge"
    assert harness.store.count(UsedChallenge) == 2  # of enrolling, and of signing in
    harness.clock.now += 90_000
    assert await harness.store.purge_expired(harness.clock.now)
    assert harness.store.count(UsedChallenge) == 0
    assert await reason(answer(harness, fields)) == "stale_challenge"


async def test_challenges_are_herods(harness: Harness) -> None:
    """A challenge is herod's own, for signing in, for five minutes, and of this generation of the store."""
    ada = await new_person(harness)
    device = await ada.enrol()
    begun = await ada.call("passkeys.begin")
    for made in ("", "AAAA", "A" * 54, begun.challenge):
        assert await reason(answer(harness, device.sign_in(made))) == "stale_challenge"
    asked = await challenge(harness)
    harness.clock.now += CHALLENGE_SECONDS
    assert await reason(answer(harness, device.sign_in(asked))) == "stale_challenge"
    asked = await challenge(harness)
    harness.runtime.store_generation = "after a restore"
    assert await reason(answer(harness, device.sign_in(asked))) == "stale_challenge"
    assert await answer(harness, device.sign_in(await challenge(harness)))


async def test_enrolling_is_of_one_session(harness: Harness) -> None:
    """A challenge for enrolling is for the session that asked for it, once, and signs nobody in."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    device = authenticator()
    begun = await ada.call("passkeys.begin")
    device.learn_handle(begun.user_handle)
    fields = device.enrol(begun.challenge)
    assert await reason(bob.call("passkeys.enrol", name="x", **fields)) == "stale_challenge"
    first = ada.cookie
    await ada.sign_in()
    assert await reason(ada.call("passkeys.enrol", name="x", **fields)) == "stale_challenge"
    ada.cookie = first
    harness.clock.now += CHALLENGE_SECONDS
    assert await reason(ada.call("passkeys.enrol", name="x", **fields)) == "stale_challenge"
    assert harness.store.count(Passkey) == 0
    sign_in = await challenge(harness)
    assert await reason(ada.call("passkeys.enrol", name="x", **device.enrol(sign_in))) == "stale_challenge"


async def test_two_first_enrolments_at_once(harness: Harness) -> None:
    """Two pages that began before the account had a user handle do not enrol under two of them."""
    ada = await new_person(harness)
    one, two = authenticator(), authenticator()
    begun = [await ada.call("passkeys.begin") for _ in range(2)]
    for device, options in zip((one, two), begun, strict=True):
        device.learn_handle(options.user_handle)
    await ada.call("passkeys.enrol", name="one", **one.enrol(begun[0].challenge))
    assert await reason(ada.call("passkeys.enrol", name="two", **two.enrol(begun[1].challenge))) == "stale_challenge"
    assert account(ada).user_handle == one.user_handle
    await ada.enrol(two, "two")
    assert two.user_handle == one.user_handle
    for device in (one, two):
        assert await answer(harness, device.sign_in(await challenge(harness)))


async def test_options(harness: Harness) -> None:
    """A browser is told what it has already, whose passkey it will be, and which algorithms herod takes."""
    ada = await new_person(harness)
    device = await ada.enrol()
    begun = await ada.call("passkeys.begin")
    assert (begun.rp_id, begun.user_name, begun.algorithms) == ("localhost", "ada@example.org", (-8, -7, -257))
    assert begun.exclude == [device.sign_in("AAAA")["credential"]]
    assert len(account(ada).user_handle) == 64
    asked = await harness.call("session.passkey_begin", None, TCP)
    assert asked.rp_id == "localhost"


async def test_the_user_handle(harness: Harness) -> None:
    """A passkey that names another account, or none, is refused, though its signature is right."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    device, other = await ada.enrol(), await bob.enrol()
    for handle in (other.user_handle, b"", device.user_handle[:-1]):
        device.user_handle = handle
        assert await reason(answer(harness, device.sign_in(await challenge(harness)))) == "unknown_passkey"
    assert account(ada).user_handle != account(bob).user_handle


async def test_unknown(harness: Harness) -> None:
    """A passkey that herod does not know, or of a disabled or deleted account, is refused."""
    ada = await new_person(harness)
    device = await ada.enrol()
    stranger = authenticator(user_handle=device.user_handle)
    assert await reason(answer(harness, stranger.sign_in(await challenge(harness)))) == "unknown_passkey"
    await harness.admin("users.disable", client_id=ada.id)
    assert await reason(answer(harness, device.sign_in(await challenge(harness)))) == "disabled"
    await harness.admin("users.delete", client_id=ada.id)
    assert await reason(answer(harness, device.sign_in(await challenge(harness)))) == "unknown_passkey"
    assert harness.store.count(Passkey) == 0


async def test_one_passkey_one_account(harness: Harness) -> None:
    """A credential id is enrolled once, by whoever."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org")
    device = await ada.enrol()
    for person in (ada, bob):
        begun = await person.call("passkeys.begin")
        twin = authenticator(credential=device.credential)
        fields = twin.enrol(begun.challenge)
        assert await reason(person.call("passkeys.enrol", name="again", **fields)) == "passkey_exists"


async def test_a_copied_passkey(harness: Harness) -> None:
    """A counter that does not advance is refused and audited, and what is kept of it stays."""
    ada = await new_person(harness)
    device = await ada.enrol(authenticator(counter=10))
    copy = authenticator(counter=10, credential=device.credential, user_handle=device.user_handle)
    copy.key = device.key
    await ada.sign_in_with(device)
    assert await reason(answer(harness, copy.sign_in(await challenge(harness)))) == "passkey_copied"
    (passkey,) = harness.store.scan(Passkey)
    assert passkey.counter == device.counter
    await harness.pipeline.flush(is_last=True)
    denied = [row.event for row in harness.store.audit_rows() if row.event.reason == "passkey_copied"]
    assert [(row.operation, row.target) for row in denied] == [("session.passkey", ada.id)]


async def test_a_page_on_another_port(harness: Harness) -> None:
    """A page on another port that has herod's passkey answer herod's challenge relays nothing, nor does a frame."""
    ada = await new_person(harness)
    device = await ada.enrol()
    device.origin = "http://localhost:8080"
    assert await reason(answer(harness, device.sign_in(await challenge(harness)))) == "origin"
    begun = await ada.call("passkeys.begin")
    fields = device.enrol(begun.challenge)
    assert await reason(ada.call("passkeys.enrol", name="x", **fields)) == "origin"
    device.origin = "http://localhost"
    framed = device.sign_in(await challenge(harness), crossOrigin=True, topOrigin="http://evil.example")
    assert await reason(answer(harness, framed)) == "cross_origin"
    harness.configure(public_url="http://localhost:3350")
    asked = await challenge(harness)
    assert await reason(answer(harness, device.sign_in(asked))) == "origin"
    device.origin = "http://localhost:3350"
    assert await answer(harness, device.sign_in(asked))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"has_browser_origin": False}, "herod alone must answer"),
        ({"public_url": "http://127.0.0.1:3350"}, "belong to a name"),
        ({"public_url": "http://[::1]:3350"}, "belong to a name"),
        ({"public_url": "https://10.0.0.1"}, "belong to a name"),
        ({"public_url": "http://auth.example.org"}, "over https alone"),
    ],
)
async def test_where_there_are_none(harness: Harness, changes: dict[str, Any], says: str) -> None:
    """Where browsers cannot have passkeys for herod, or others could use them, nobody enrols or signs in with one."""
    ada = await new_person(harness)
    device = await ada.enrol()
    asked = await challenge(harness)
    harness.configure(**changes)
    calls: list[Any] = [
        ada.call("passkeys.begin"),
        harness.call("session.passkey_begin", None, TCP),
        answer(harness, device.sign_in(asked)),
        ada.call("passkeys.enrol", name="x", **device.enrol(asked)),
    ]
    for call in calls[:3]:
        with pytest.raises(HerodError, match=says) as refused:
            await call
        assert refused.value.reason == "passkeys_off"
    assert await reason(calls[3]) in {"passkeys_off", "stale_challenge"}
    assert len((await ada.call("passkeys.list")).items) == 1


async def test_a_public_name(harness: Harness) -> None:
    """Over https, the relying party is the public URL's host, and the origin has no default port."""
    harness.configure(public_url="https://auth.example.org:443/herod")
    ada = await new_person(harness)
    device = SoftAuthenticator(origin="https://auth.example.org", rp_id="auth.example.org")
    await ada.enrol(device)
    assert await answer(harness, device.sign_in(await challenge(harness)))


async def test_rename_and_delete(harness: Harness) -> None:
    """One's own passkeys are renamed and deleted; the sessions that a deleted one opened end."""
    ada, bob = await new_person(harness), await new_person(harness, "bob@example.org", scope="admin")
    device = await ada.enrol()
    (passkey,) = (await ada.call("passkeys.list")).items
    assert (await ada.call("passkeys.rename", id=passkey.id, name="  old   laptop ")).name == "old laptop"
    for name, more in (("passkeys.rename", {"name": "mine"}), ("passkeys.delete", {})):
        assert await reason(bob.call(name, id=passkey.id, **more)) == "not_found"
    here = ada.cookie
    there = await ada.sign_in_with(device)
    ada.cookie = here
    await ada.set_up_app()
    await ada.call("passkeys.delete", id=passkey.id)
    assert await reason(harness.call("whoami", there, TCP)) == "revoked"
    assert await ada.call("whoami")
    factors = await ada.call("factors.get", client_id=ada.id)
    assert (factors.passkeys, factors.recovery_codes) == ([], 10)


async def test_quota(harness: Harness) -> None:
    """An account has at most as many passkeys as the settings say."""
    harness.configure(quotas=QuotaSettings(passkeys=2))
    ada = await new_person(harness)
    await ada.enrol()
    await ada.enrol(name="phone")
    assert await reason(ada.enrol(name="key")) == "quota_passkeys"


@pytest.mark.parametrize("name", ["passkeys.begin", "passkeys.enrol", "passkeys.rename", "passkeys.delete"])
async def test_needs_a_recent_sign_in(harness: Harness, name: str) -> None:
    """Five minutes after signing in, one must sign in again; only listing needs no recent sign-in."""
    ada = await new_person(harness)
    await ada.enrol()
    harness.clock.now += RECENT_SECONDS + 1
    given = {
        "passkeys.enrol": {"name": "x", "client_data": "", "attestation": ""},
        "passkeys.rename": {"id": "x", "name": "y"},
        "passkeys.delete": {"id": "x"},
    }
    assert await reason(ada.call(name, **given.get(name, {}))) == "sign_in_again"
    assert (await ada.call("passkeys.list")).items


async def test_the_epoch(harness: Harness) -> None:
    """A new password ends the sessions that a passkey opened, and the passkey stays."""
    ada = await new_person(harness)
    device = await ada.enrol()
    await ada.sign_in_with(device)
    await harness.admin("users.password", client_id=ada.id, password=PASSWORD + "!")
    assert await reason(ada.call("whoami")) == "session_over"
    await ada.sign_in_with(device)
    assert await ada.call("whoami")


async def test_transports(harness: Harness) -> None:
    """What a browser says about transports is kept if it is a word of the specification."""
    ada = await new_person(harness)
    device = authenticator()
    begun = await ada.call("passkeys.begin")
    device.learn_handle(begun.user_handle)
    fields = device.enrol(begun.challenge)
    await ada.call("passkeys.enrol", name="x", transports="usb,internal,<script>,usb", **fields)
    (passkey,) = harness.store.scan(Passkey)
    assert passkey.transports == ("internal", "usb")


async def test_noise(harness: Harness, autojump_clock: Any) -> None:
    """Whatever a browser sends is refused in words."""
    ada = await new_person(harness)
    device = await ada.enrol()
    good = device.sign_in(await challenge(harness))
    for field in good:
        for value in ("", "A", "é", "=" * 40, "A" * 40_000, "\ud800"):
            with pytest.raises(BadCredentials):
                await answer(harness, {**good, field: value})
    assert await answer(harness, good)
