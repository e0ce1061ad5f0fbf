"""Secrets that people choose have one Unicode form, and secrets hashed as they were typed go on matching."""

import hashlib
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.imported_secret_hashes import import_sha256
from herod.credentials.ownership_secrets import hash_ownership_secret, ownership_hashes
from herod.credentials.secret_hashes import hash_secret
from herod.credentials.secret_normal_form import MAX_CHARS_BEFORE_NFKC, normal_secret
from herod.identity.credential_types import Basic, Bearer, SecretHeader
from herod.identity.legacy_secrets import LegacySecrets
from herod.records import Account, Resource
from herod.store.resource_tallies import count_in
from herod_client.core.errors import BadCredentials, NotFound
from herod_client.core.key_format import new_id
from herod_client.core.signing_keys import hs256_key
from support.herod_in_memory import NOW, TCP, Harness

SECRET = "café ﬁne Å 世界 ｓｅｃｒｅｔ"
FORMS = {form: unicodedata.normalize(form, SECRET) for form in ("NFC", "NFD", "NFKC", "NFKD")} | {"typed": SECRET}
OTHER = "cafe fine A 世界 secret"
every_form = pytest.mark.parametrize("kept", FORMS.values(), ids=FORMS)


@given(st.text(max_size=200))
def test_every_unicode_form_is_one_secret(text: str) -> None:
    """The normal form is a fixed point, and the same for every canonical and compatible form of a text."""
    normal = normal_secret(text)
    assert normal_secret(normal) == normal
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normal_secret(unicodedata.normalize(form, text)) == normal


def test_far_too_long_a_secret_stays_as_it_is() -> None:
    """Normalizing a long run of combining marks takes quadratic time, so a long text is not normalized."""
    text = "e" + "\u0301\u0323" * MAX_CHARS_BEFORE_NFKC
    assert normal_secret(text) == text


@every_form
async def test_resources_open_with_every_form(harness: Harness, kept: str) -> None:
    """A resource is opened, listed, changed and released with any form of the secret that it was claimed with."""
    service = Bearer(await harness.service_key("user"))
    for form in FORMS.values():
        made = await harness.call("resources.claim", service, TCP, kind="vm", name="web", secret=kept)
        listed = await harness.call("resources.list", service, TCP, kind="vm", secret=form)
        assert [one.sid for one in listed.items] == [made.sid]
        for name in ("get", "check", "update", "release"):
            params: dict[str, Any] = {"name": "web 2"} if name == "update" else {}
            await harness.call(f"resources.{name}", service, TCP, sid=made.sid, secret=form, **params)
    made = await harness.call("resources.claim", service, TCP, kind="vm", name="web", secret=kept)
    with pytest.raises(NotFound):
        await harness.call("resources.get", service, TCP, sid=made.sid, secret=OTHER)


async def _old_resource(harness: Harness, claimant: str, secret: str, at: int) -> str:
    """A resource as an earlier version stored it, with a hash of the secret as it was typed; its sid."""
    exact = ownership_hashes(harness.runtime.keyring, claimant, secret)[1]
    resource = Resource(
        id=new_id(), created_at=at, claimant=claimant, type="vm", secret=exact, name="old", attributes=b"{}"
    )
    await harness.store.write(lambda tx: tx.put(count_in(tx, resource)))
    return resource.id


async def _put(harness: Harness, account: Account) -> None:
    await harness.store.write(lambda tx: tx.put(account))


@every_form
async def test_old_resources_open_as_before(harness: Harness, kept: str) -> None:
    """A resource whose secret was hashed as it was typed opens with that text, and is listed beside newer ones."""
    user = await harness.user("user")
    sids = []
    for at in range(4):
        sids.append(await _old_resource(harness, user.client_id, kept, NOW - 100 + 2 * at))
        harness.clock.now = NOW - 100 + 2 * at + 1
        made = await harness.call("resources.claim", user.basic, TCP, kind="vm", name="new", secret=SECRET)
        sids.append(made.sid)
    harness.clock.now = NOW
    for sid in sids:
        assert (await harness.call("resources.check", user.basic, TCP, sid=sid, secret=kept)).allowed
    for limit in (1, 2, 3, 8, 200):
        listed, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            page = await harness.call(
                "resources.list", user.basic, TCP, kind="vm", secret=kept, limit=limit, cursor=cursor
            )
            listed += [one.sid for one in page.items]
            cursor, pages = page.next_cursor, pages + 1
        assert listed == sids
        assert pages <= 8 // limit + 2
    assert (await harness.call("resources.release", user.basic, TCP, sid=sids[0], secret=kept)).released


@pytest.mark.parametrize("stored", ["cafe\u0301 au lait", "café au lait"])
@pytest.mark.parametrize("typed", ["cafe\u0301 au lait", "café au lait"])
async def test_old_resources_open_from_other_keyboards(harness: Harness, stored: str, typed: str) -> None:
    """An accent may be a character of its own in the text that was hashed, or in the one that is typed today."""
    user = await harness.user("user")
    sid = await _old_resource(harness, user.client_id, stored, NOW)
    listed = await harness.call("resources.list", user.basic, TCP, kind="vm", secret=typed)
    assert [one.sid for one in listed.items] == [sid]
    assert (await harness.call("resources.check", user.basic, TCP, sid=sid, secret=typed)).allowed


async def test_a_hash_is_of_the_normal_form(harness: Harness) -> None:
    """What is stored from now on is a hash of the normal form; the one of the typed text is only looked up."""
    keyring = harness.runtime.keyring
    assert len({hash_ownership_secret(keyring, "c", form) for form in FORMS.values()}) == 1
    assert len({ownership_hashes(keyring, "c", form)[1] for form in FORMS.values()}) == len(set(FORMS.values()))
    assert ownership_hashes(keyring, "c", "") == ("", "", "", "")


@every_form
async def test_legacy_secrets_match_in_every_form(harness: Harness, kept: str) -> None:
    """A legacy secret is recognized in any form, wherever it can be presented, under its one id."""
    legacy = LegacySecrets(harness.runtime.keyring, [("user", kept)])
    harness.configure(legacy=legacy)
    [secret] = legacy.all()
    for form in FORMS.values():
        assert legacy.match(form) == secret
        for presented in (Bearer(form), SecretHeader(form)):
            assert (await harness.call("whoami", presented, TCP)).sub == secret.id
        assert (await harness.call("auth.verify", None, TCP, key=form)).valid
        assert (await harness.call("token.validate", None, TCP, token=form)).sub == secret.id
    assert legacy.match(OTHER) is None


async def test_legacy_secrets_with_one_normal_form(harness: Harness) -> None:
    """Secrets of two scopes that differ in form only go on matching exactly, and no third form grants either."""
    pairs = [("admin", FORMS["NFC"]), ("user", FORMS["NFD"])]
    for secrets in (pairs, pairs[::-1]):
        legacy = LegacySecrets(harness.runtime.keyring, secrets)
        for scope, text in secrets:
            found = legacy.match(text)
            assert found is not None
            assert found.scope == scope
        assert legacy.match(FORMS["NFKC"]) is None
    alike = LegacySecrets(harness.runtime.keyring, [("user", FORMS["NFC"]), ("user", FORMS["NFD"])])
    assert alike.match(FORMS["NFKC"]) is not None


@every_form
async def test_imported_client_secrets_match_in_every_form(harness: Harness, kept: str) -> None:
    """A client secret that somebody chose matches as it was hashed, and in every form if its normal form was."""
    user = await harness.user()
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    keyring = harness.runtime.keyring
    hashes = {
        "as typed": hash_secret(keyring, "client_secret", account.id, kept),
        "in normal form": hash_secret(keyring, "client_secret", account.id, normal_secret(kept)),
        "of Hero Auth": import_sha256(keyring, "client_secret", account.id, hashlib.sha256(kept.encode()).hexdigest()),
    }
    for what, secret_hash in hashes.items():
        await _put(harness, msgspec.structs.replace(account, secret_hash=secret_hash))
        for form in FORMS.values() if what == "in normal form" else (kept,):
            assert (await harness.call("whoami", Basic(account.id, form), TCP)).sub == account.id
        with pytest.raises(BadCredentials):
            await harness.call("whoami", Basic(account.id, OTHER), TCP)


def test_key_material_has_no_normal_form() -> None:
    """HERO_SECRET is bytes that other programs sign with too: another form of the same text is another key."""
    for text in FORMS.values():
        assert hs256_key(text * 4).verifier == (text * 4).encode()
