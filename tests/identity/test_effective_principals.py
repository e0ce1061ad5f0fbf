"""All credentials of an account follow its demotion, disabling and deletion from the next use on."""

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
from support.herod_in_memory import LEGACY, LOCAL_ADMIN, STRANGER, Harness


async def credentials_of(harness: Harness, scope: str) -> dict[str, Presented]:
    """One credential of each kind of an account, each with all it can hold."""
    user = await harness.user(scope=scope, email="ada@example.org", password="a long enough password")
    login = await harness.call("login", email="ada@example.org", password="a long enough password")
    return {
        "client_secret": user.basic,
        "token": await user.bearer(),
        "login token": Bearer(login.access_token),
        "key": ApiKeyHeader(await user.key(scope=scope)),
        "session": await user.session(),
        "session of a key": await user.session(Bearer(await user.key(scope=scope, name="for a session"))),
    }


async def client_id(harness: Harness) -> str:
    """The id of the only account."""
    page = await harness.admin("users.list")
    found: str = page.items[0].client_id
    return found


async def test_demotion_narrows_everything_at_once(harness: Harness) -> None:
    """After users.scope the next use of each credential has the new scope."""
    made = await credentials_of(harness, "write")
    for presented in made.values():
        assert (await harness.call("whoami", presented)).scope == "write"
    await harness.admin("users.scope", client_id=await client_id(harness), scope="read")
    for name, presented in made.items():
        assert (await harness.call("whoami", presented)).scope == "read", name


async def test_demotion_reaches_validate_and_verify(harness: Harness) -> None:
    """Services see the narrower scope in validation and verification as well."""
    made = await credentials_of(harness, "write")
    await harness.admin("users.scope", client_id=await client_id(harness), scope="read")
    token, key = made["token"], made["key"]
    assert isinstance(token, Bearer)
    assert isinstance(key, ApiKeyHeader)
    assert (await harness.call("token.validate", token=token.text)).scope == "read"
    assert (await harness.call("auth.verify", key=key.text)).scope == "read"
    assert (await harness.call("token.validate", token=token.text, scope="write")).reason == "scope"


async def test_narrower_networks_reach_everything(harness: Harness) -> None:
    """A network removed from an account is removed from all its credentials."""
    made = await credentials_of(harness, "read")
    await harness.admin("users.update", client_id=await client_id(harness), networks=["lab"])
    for name, presented in made.items():
        assert (await harness.call("whoami", presented)).networks == ["lab"], name


@pytest.mark.parametrize("how", ["users.delete", "users.disable"])
async def test_the_end_of_an_account_ends_everything(harness: Harness, how: str) -> None:
    """All credentials of a deleted or disabled account are refused."""
    made = await credentials_of(harness, "write")
    await harness.admin(how, client_id=await client_id(harness))
    for name, presented in made.items():
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)
        if isinstance(presented, Bearer | ApiKeyHeader):
            assert (await harness.call("token.validate", token=presented.text)).valid is False, name


async def test_deleting_an_account_deletes_its_keys_and_sessions(harness: Harness) -> None:
    """Deleting an account removes its keys and sessions from the store."""
    await credentials_of(harness, "read")
    deleted = await harness.admin("users.delete", client_id=await client_id(harness))
    assert len(deleted.keys) == 2
    assert harness.store.count(ApiKey) == harness.store.count(Session) == 0


async def test_service_keys_of_a_deleted_admin_are_named(harness: Harness) -> None:
    """Service keys of a deleted admin stay valid, and the answer lists them."""
    await harness.service_key("admin", name="other admin")
    admin = await harness.user(scope="admin")
    issued = await harness.call("keys.create", admin.basic, name="robot", kind="service")
    deleted = await harness.admin("users.delete", client_id=admin.client_id)
    assert deleted.service_keys == [issued.id]
    assert (await harness.call("auth.verify", key=issued.key)).valid


async def test_enabling_again_revives_keys_but_no_tokens(harness: Harness) -> None:
    """Enabling an account again revives its keys, but not its tokens and sessions."""
    made = await credentials_of(harness, "read")
    account = await client_id(harness)
    await harness.admin("users.disable", client_id=account)
    await harness.admin("users.enable", client_id=account)
    assert (await harness.call("whoami", made["key"])).sub == account
    for name in ("token", "login token", "session"):
        with pytest.raises(RevokedToken):
            await harness.call("whoami", made[name])


@pytest.mark.parametrize("change", ["users.password", "users.rotate_secret"])
async def test_changing_a_secret_ends_tokens_and_sessions(harness: Harness, change: str) -> None:
    """Changing the password or client secret revokes tokens and sessions, including stolen ones."""
    made = await credentials_of(harness, "read")
    params = {"password": "another long password"} if change == "users.password" else {}
    await harness.admin(change, client_id=await client_id(harness), **params)
    for name in ("token", "login token", "session"):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", made[name])


async def test_a_revoked_token_is_dead_and_others_live(harness: Harness) -> None:
    """Revocation is by (sub, jti), so other tokens stay valid."""
    user = await harness.user()
    one, two = await user.bearer(), await user.bearer()
    await harness.call("token.revoke", user.basic, token=one.text)
    with pytest.raises(RevokedToken):
        await harness.call("whoami", one)
    assert (await harness.call("token.validate", token=one.text)).reason == "revoked"
    assert (await harness.call("whoami", two)).sub == user.client_id


async def test_a_revocation_is_kept_by_the_store(harness: Harness) -> None:
    """A revocation is stored, so that it survives a restart, and is audited with its target."""
    user = await harness.user()
    token = await user.token()
    await harness.call("token.revoke", user.basic, token=token)
    harness.runtime.revoked.clear()  # as a restart does
    assert (await harness.call("token.validate", token=token)).reason == "revoked"
    claims = harness.runtime.claims(token, harness.clock.now)
    assert harness.store.audit_rows()[-1].event.target == claims.jti
    record = harness.store.get(Revocation, f"{user.client_id}/{claims.jti}")
    assert record is not None
    assert record.expires_at == claims.exp


async def test_revoking_what_is_no_good_is_done_already(harness: Harness) -> None:
    """Revoking an invalid token succeeds (RFC 7009, section 2.2); for a key the error names the right operation."""
    user = await harness.user()
    token = await user.token()
    for _ in range(2):
        assert (await harness.call("token.revoke", user.basic, token=token)).revoked
    for bad in ("nonsense", "a.b.c"):
        assert (await harness.call("token.revoke", user.basic, token=bad)).revoked
    assert harness.store.count(Revocation) == 1
    with pytest.raises(InvalidRequest) as refused:
        await harness.call("token.revoke", user.basic, token=await user.key())
    assert refused.value.hint == "herod key delete ID"


async def test_a_token_revokes_itself(harness: Harness) -> None:
    """A token can revoke itself without another credential, and the store keeps the revocation."""
    user = await harness.user()
    token = await user.bearer()
    await harness.call("token.revoke", token, token=token.text)
    assert harness.store.count(Revocation) == 1
    with pytest.raises(RevokedToken):
        await harness.call("token.revoke", token, token=token.text)


async def test_a_session_ends_with_the_key_that_signed_in(harness: Harness) -> None:
    """Deleting a key ends the sessions that it opened."""
    user = await harness.user()
    session = await user.session(Bearer(await user.key()))
    key = (await harness.call("keys.list", user.basic)).items[0]
    await harness.call("keys.delete", user.basic, id=key.id)
    with pytest.raises(RevokedToken):
        await harness.call("whoami", session)


async def test_a_session_and_a_token_end_with_time(harness: Harness) -> None:
    """Sessions and tokens expire."""
    user = await harness.user()
    session, token = await user.session(), await user.bearer()
    harness.clock.now += 3600
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", token)
    assert (await harness.call("token.validate", token=token.text)).reason == "expired"
    harness.clock.now += 12 * 3600
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", session)


async def test_an_expired_key_is_refused_and_so_is_its_session(harness: Harness) -> None:
    """A key and its session are refused from the second of expires_at on."""
    user = await harness.user()
    key = await user.key(expires_at=datetime.fromtimestamp(harness.clock.now + 60, UTC))
    session = await user.session(Bearer(key))
    harness.clock.now += 59
    await harness.call("whoami", Bearer(key))
    harness.clock.now += 1
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", Bearer(key))
    with pytest.raises(ExpiredToken):
        await harness.call("whoami", session)
    assert (await harness.call("token.validate", token=key)).reason == "expired"


async def test_a_service_key_is_itself(harness: Harness) -> None:
    """A service key has no owner to narrow it, and its sub is its id."""
    key = await harness.service_key("registrar", name="runner")
    who = await harness.call("whoami", Bearer(key))
    assert (who.kind, who.scope, who.name) == ("service", "registrar", "runner")
    assert who.sub == key.split("_")[2]


async def test_a_local_admins_token_dies_with_the_process(harness: Harness) -> None:
    """A restart creates a new cookie and ends tokens made with the old one."""
    answer = await harness.call("token.create", LOCAL_ADMIN)
    assert (await harness.call("token.validate", token=answer.access_token)).scope == "owner"
    harness.runtime.boot_epoch += 1
    assert (await harness.call("token.validate", token=answer.access_token)).reason == "revoked"


async def test_disabled_accounts_are_told_so(harness: Harness) -> None:
    """A caller that proves its identity learns that its account is disabled."""
    user = await harness.user()
    await harness.admin("users.disable", client_id=user.client_id)
    with pytest.raises(Disabled):
        await harness.call("token.create", user.basic)


async def test_a_read_token_of_an_admin_cannot_act_as_admin(harness: Harness) -> None:
    """A token requested with less scope than the account's is limited to it."""
    admin = await harness.user(scope="admin")
    token = await admin.bearer("read")
    with pytest.raises(MissingScope) as refused:
        await harness.call("users.list", token)
    assert refused.value.missing == "admin"


async def test_the_demoted_can_still_take_back_their_keys(harness: Harness) -> None:
    """A demoted account can still delete a key created earlier, because the key's grant shrank with the account's."""
    user = await harness.user(scope="write", networks=["lab", "prod"])
    key = await user.key(scope="write")
    await harness.admin("users.scope", client_id=user.client_id, scope="read")
    await harness.admin("users.update", client_id=user.client_id, networks=["lab"])
    assert (await harness.call("keys.delete", user.basic, id=key.split("_")[2])).deleted
    assert not (await harness.call("auth.verify", key=key)).valid


async def test_no_networks_are_none_and_not_all(harness: Harness) -> None:
    """An empty list of networks reaches none; only a token without the claim reaches all."""
    user = await harness.user()
    claims = harness.runtime.claims(await user.token(), harness.clock.now)
    token = issue(msgspec.structs.replace(claims, networks=()), harness.runtime.signing.current)
    assert (await harness.call("token.validate", token=token)).networks == []
    assert (await harness.call("token.validate", token=token, network="lab")).reason == "network"


async def test_a_token_dies_with_the_peer_rule_or_the_secret_that_made_it(harness: Harness) -> None:
    """A token ends with the peer rule or configured secret that it was created with."""
    rule = await harness.admin("peers.allow", uid=1234, scope="read")
    token = await harness.call("token.create", PeerClaim(), STRANGER)
    opened = await harness.call("session.create", SecretHeader(LEGACY["admin"]))
    session = SessionCookie(opened.cookie)
    assert (await harness.call("whoami", Bearer(token.access_token))).sub == rule.id
    assert (await harness.call("whoami", session)).scope == "admin"
    await harness.admin("peers.remove", id=rule.id)
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, []))
    for presented in (Bearer(token.access_token), session):
        with pytest.raises(RevokedToken):
            await harness.call("whoami", presented)


async def test_a_legacy_secret_may_look_like_a_token(harness: Harness) -> None:
    """A legacy secret may look like a token: any string is possible, also one with two dots."""
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, [("registrar", "a.b.c")]))
    assert (await harness.call("whoami", Bearer("a.b.c"))).scope == "registrar"
    assert harness.runtime.config.legacy.match("a.b.d") is None


async def test_a_key_whose_kind_was_rewritten_is_none(harness: Harness) -> None:
    """A key whose kind letter does not match its record is refused."""
    user = await harness.user()
    text = await user.key()
    record = harness.store.get(ApiKey, text.split("_")[2])
    assert record is not None
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(record, owner=None)))
    with pytest.raises(BadCredentials):
        await harness.call("whoami", Bearer(text))
