"""Whatever was made from an account shrinks, rests and dies with it, from the very next use on."""

from datetime import UTC, datetime

import msgspec
import pytest

from herod.identity.credential_types import ApiKeyHeader, Bearer, PeerClaim, Presented, SecretHeader, SessionCookie
from herod.identity.legacy_secrets import LegacySecrets
from herod.records import ApiKey, Revocation, Session
from herod_client.core.access_tokens import issue
from herod_client.core.errors import (
    BadCredentials,
    Disabled,
    ExpiredToken,
    InvalidRequest,
    MissingScope,
    RevokedToken,
    Unauthenticated,
)
from support.herod_in_memory import LEGACY, LOCAL_ADMIN, STRANGER, House


async def credentials_of(house: House, scope: str) -> dict[str, Presented]:
    """An account's every kind of credential, each with all it can hold."""
    user = await house.user(scope=scope, email="ada@example.org", password="a long enough password")
    login = await house.call("login", email="ada@example.org", password="a long enough password")
    return {
        "client_secret": user.basic,
        "token": await user.bearer(),
        "login token": Bearer(login.access_token),
        "key": ApiKeyHeader(await user.key(scope=scope)),
        "session": await user.session(),
        "session of a key": await user.session(Bearer(await user.key(scope=scope, name="for a session"))),
    }


async def client_id(house: House) -> str:
    """The one account there is."""
    page = await house.admin("users.list")
    found: str = page.items[0].client_id
    return found


async def test_demotion_narrows_everything_at_once(house: House) -> None:
    """After users.scope the next use of each credential carries the new scope."""
    made = await credentials_of(house, "write")
    for presented in made.values():
        assert (await house.call("whoami", presented)).scope == "write"
    await house.admin("users.scope", client_id=await client_id(house), scope="read")
    for name, presented in made.items():
        assert (await house.call("whoami", presented)).scope == "read", name


async def test_demotion_reaches_validate_and_verify(house: House) -> None:
    """Services that ask see the narrower scope as well."""
    made = await credentials_of(house, "write")
    await house.admin("users.scope", client_id=await client_id(house), scope="read")
    token, key = made["token"], made["key"]
    assert isinstance(token, Bearer)
    assert isinstance(key, ApiKeyHeader)
    assert (await house.call("token.validate", token=token.text)).scope == "read"
    assert (await house.call("auth.verify", key=key.text)).scope == "read"
    assert (await house.call("token.validate", token=token.text, scope="write")).reason == "scope"


async def test_narrower_networks_reach_everything(house: House) -> None:
    """A network taken from an account is gone from all its credentials."""
    made = await credentials_of(house, "read")
    await house.admin("users.update", client_id=await client_id(house), networks=["lab"])
    for name, presented in made.items():
        assert (await house.call("whoami", presented)).networks == ["lab"], name


@pytest.mark.parametrize("how", ["users.delete", "users.disable"])
async def test_the_end_of_an_account_ends_everything(house: House, how: str) -> None:
    """Deleted or disabled, no credential of the account is good for anything."""
    made = await credentials_of(house, "write")
    await house.admin(how, client_id=await client_id(house))
    for name, presented in made.items():
        with pytest.raises(Unauthenticated):
            await house.call("whoami", presented)
        if isinstance(presented, Bearer | ApiKeyHeader):
            assert (await house.call("token.validate", token=presented.text)).valid is False, name


async def test_deleting_an_account_deletes_its_keys_and_sessions(house: House) -> None:
    """Nothing of it stays in the store."""
    await credentials_of(house, "read")
    deleted = await house.admin("users.delete", client_id=await client_id(house))
    assert len(deleted.keys) == 2
    assert house.store.count(ApiKey) == house.store.count(Session) == 0


async def test_service_keys_of_a_deleted_admin_are_named(house: House) -> None:
    """A service key stands for itself, so it lives on and the answer says so."""
    await house.service_key("admin", name="other admin")
    admin = await house.user(scope="admin")
    issued = await house.call("keys.create", admin.basic, name="robot", kind="service")
    deleted = await house.admin("users.delete", client_id=admin.client_id)
    assert deleted.service_keys == [issued.id]
    assert (await house.call("auth.verify", key=issued.key)).valid


async def test_enabling_again_revives_keys_but_no_tokens(house: House) -> None:
    """A disabled account's tokens and sessions are dead for good, its keys only rest."""
    made = await credentials_of(house, "read")
    account = await client_id(house)
    await house.admin("users.disable", client_id=account)
    await house.admin("users.enable", client_id=account)
    assert (await house.call("whoami", made["key"])).sub == account
    for name in ("token", "login token", "session"):
        with pytest.raises(RevokedToken):
            await house.call("whoami", made[name])


@pytest.mark.parametrize("change", ["users.password", "users.rotate_secret"])
async def test_changing_a_secret_ends_tokens_and_sessions(house: House, change: str) -> None:
    """Whoever stole a token loses it when its owner changes the password or client secret."""
    made = await credentials_of(house, "read")
    params = {"password": "another long password"} if change == "users.password" else {}
    await house.admin(change, client_id=await client_id(house), **params)
    for name in ("token", "login token", "session"):
        with pytest.raises(Unauthenticated):
            await house.call("whoami", made[name])


async def test_a_revoked_token_is_dead_and_others_live(house: House) -> None:
    """Revocation is by (sub, jti)."""
    user = await house.user()
    one, two = await user.bearer(), await user.bearer()
    await house.call("token.revoke", user.basic, token=one.text)
    with pytest.raises(RevokedToken):
        await house.call("whoami", one)
    assert (await house.call("token.validate", token=one.text)).reason == "revoked"
    assert (await house.call("whoami", two)).sub == user.client_id


async def test_a_revocation_is_kept_by_the_store(house: House) -> None:
    """Not only in the memory of this process, so that a restart brings nothing back; and audited with its target."""
    user = await house.user()
    token = await user.token()
    await house.call("token.revoke", user.basic, token=token)
    house.runtime.revoked.clear()  # as a restart does
    assert (await house.call("token.validate", token=token)).reason == "revoked"
    claims = house.runtime.claims(token, house.clock.now)
    assert house.store.audit_rows()[-1].event.target == claims.jti
    record = house.store.get(Revocation, f"{user.client_id}/{claims.jti}")
    assert record is not None
    assert record.expires_at == claims.exp


async def test_revoking_what_is_no_good_is_done_already(house: House) -> None:
    """RFC 7009, section 2.2; a key is told where it belongs."""
    user = await house.user()
    token = await user.token()
    for _ in range(2):
        assert (await house.call("token.revoke", user.basic, token=token)).revoked
    for bad in ("nonsense", "a.b.c"):
        assert (await house.call("token.revoke", user.basic, token=bad)).revoked
    assert house.store.count(Revocation) == 1
    with pytest.raises(InvalidRequest) as refused:
        await house.call("token.revoke", user.basic, token=await user.key())
    assert refused.value.hint == "herod key delete ID"


async def test_a_token_revokes_itself(house: House) -> None:
    """Signing out takes no other credential, and the store remembers it."""
    user = await house.user()
    token = await user.bearer()
    await house.call("token.revoke", token, token=token.text)
    assert house.store.count(Revocation) == 1
    with pytest.raises(RevokedToken):
        await house.call("token.revoke", token, token=token.text)


async def test_a_session_ends_with_the_key_that_signed_in(house: House) -> None:
    """Deleting the key signs out what it signed in."""
    user = await house.user()
    session = await user.session(Bearer(await user.key()))
    key = (await house.call("keys.list", user.basic)).items[0]
    await house.call("keys.delete", user.basic, id=key.id)
    with pytest.raises(RevokedToken):
        await house.call("whoami", session)


async def test_a_session_and_a_token_end_with_time(house: House) -> None:
    """Both have an end of their own."""
    user = await house.user()
    session, token = await user.session(), await user.bearer()
    house.clock.now += 3600
    with pytest.raises(ExpiredToken):
        await house.call("whoami", token)
    assert (await house.call("token.validate", token=token.text)).reason == "expired"
    house.clock.now += 12 * 3600
    with pytest.raises(ExpiredToken):
        await house.call("whoami", session)


async def test_an_expired_key_is_refused_and_so_is_its_session(house: House) -> None:
    """expires_at is the first moment at which a key is no good."""
    user = await house.user()
    key = await user.key(expires_at=datetime.fromtimestamp(house.clock.now + 60, UTC))
    session = await user.session(Bearer(key))
    house.clock.now += 59
    await house.call("whoami", Bearer(key))
    house.clock.now += 1
    with pytest.raises(BadCredentials):
        await house.call("whoami", Bearer(key))
    with pytest.raises(Unauthenticated):
        await house.call("whoami", session)
    assert (await house.call("token.validate", token=key)).reason == "invalid"


async def test_a_service_key_is_itself(house: House) -> None:
    """It has no owner to be narrowed by, and its sub is its id."""
    key = await house.service_key("registrar", name="runner")
    who = await house.call("whoami", Bearer(key))
    assert (who.kind, who.scope, who.name) == ("service", "registrar", "runner")
    assert who.sub == key.split("_")[2]


async def test_a_local_admins_token_dies_with_the_process(house: House) -> None:
    """The cookie is new at each start, and what was made with the old one is over."""
    answer = await house.call("token.create", LOCAL_ADMIN)
    assert (await house.call("token.validate", token=answer.access_token)).scope == "owner"
    house.runtime.boot_epoch += 1
    assert (await house.call("token.validate", token=answer.access_token)).reason == "revoked"


async def test_disabled_accounts_are_told_so(house: House) -> None:
    """Whoever proves to be the account learns why it does not work."""
    user = await house.user()
    await house.admin("users.disable", client_id=user.client_id)
    with pytest.raises(Disabled):
        await house.call("token.create", user.basic)


async def test_a_read_token_of_an_admin_cannot_act_as_admin(house: House) -> None:
    """A token asked for with less holds less."""
    admin = await house.user(scope="admin")
    token = await admin.bearer("read")
    with pytest.raises(MissingScope) as refused:
        await house.call("users.list", token)
    assert refused.value.missing == "admin"


async def test_the_demoted_can_still_take_back_their_keys(house: House) -> None:
    """A key holds what its owner holds now, so whoever was demoted can delete one made before."""
    user = await house.user(scope="write", networks=["lab", "prod"])
    key = await user.key(scope="write")
    await house.admin("users.scope", client_id=user.client_id, scope="read")
    await house.admin("users.update", client_id=user.client_id, networks=["lab"])
    assert (await house.call("keys.delete", user.basic, id=key.split("_")[2])).deleted
    assert not (await house.call("auth.verify", key=key)).valid


async def test_no_networks_are_none_and_not_all(house: House) -> None:
    """Only a token without the claim reaches every network; an empty list reaches nothing."""
    user = await house.user()
    claims = house.runtime.claims(await user.token(), house.clock.now)
    token = issue(msgspec.structs.replace(claims, networks=()), house.runtime.signing.current)
    assert (await house.call("token.validate", token=token)).networks == []
    assert (await house.call("token.validate", token=token, network="lab")).reason == "network"


async def test_a_token_dies_with_the_peer_rule_or_the_secret_that_made_it(house: House) -> None:
    """What is gone from the rules or the settings admits nobody any more."""
    rule = await house.admin("peers.allow", uid=1234, scope="read")
    token = await house.call("token.create", PeerClaim(), STRANGER)
    opened = await house.call("session.create", SecretHeader(LEGACY["admin"]))
    session = SessionCookie(opened.cookie)
    assert (await house.call("whoami", Bearer(token.access_token))).sub == rule.id
    assert (await house.call("whoami", session)).scope == "admin"
    await house.admin("peers.remove", id=rule.id)
    house.configure(legacy=LegacySecrets(house.runtime.keyring, []))
    for presented in (Bearer(token.access_token), session):
        with pytest.raises(RevokedToken):
            await house.call("whoami", presented)


async def test_a_legacy_secret_may_look_like_a_token(house: House) -> None:
    """Any string is one, two dots in it or not."""
    house.configure(legacy=LegacySecrets(house.runtime.keyring, [("registrar", "a.b.c")]))
    assert (await house.call("whoami", Bearer("a.b.c"))).scope == "registrar"
    assert house.runtime.config.legacy.match("a.b.d") is None


async def test_a_key_whose_kind_was_rewritten_is_none(house: House) -> None:
    """The letter in the key and the record must agree about whose it is."""
    user = await house.user()
    text = await user.key()
    record = house.store.get(ApiKey, text.split("_")[2])
    assert record is not None
    await house.store.write(lambda tx: tx.put(msgspec.structs.replace(record, owner=None)))
    with pytest.raises(BadCredentials):
        await house.call("whoami", Bearer(text))
