"""Attempts to gain privileges, each refused inside the transaction that would have granted them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from herod.identity.credential_types import Bearer
from herod.records import Account, ApiKey
from herod_client.core.errors import (
    CeilingExceeded,
    Conflict,
    HerodError,
    InvalidRequest,
    InvalidScope,
    MissingScope,
    NotFound,
    TargetDenied,
)
from support.herod_in_memory import LOCAL_ADMIN, Harness, User


async def test_a_key_above_ones_own_scope(harness: Harness) -> None:
    """A reader cannot create a key with scope write."""
    user = await harness.user(scope="read")
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.create", user.basic, name="more", scope="write")


async def test_a_key_above_the_credential(harness: Harness) -> None:
    """A read token of a writer cannot create a key with scope write either."""
    user = await harness.user(scope="write")
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.create", await user.bearer("read"), name="more", scope="write")


async def test_a_wider_network(harness: Harness) -> None:
    """Networks are a ceiling like scopes."""
    user = await harness.user(networks=["lab"])
    for networks in (["*"], ["lab", "prod"]):
        with pytest.raises(CeilingExceeded):
            await harness.call("keys.create", user.basic, name="wider", networks=networks)
    issued = await harness.call("keys.create", user.basic, name="same")
    assert issued.networks == ["lab"]


async def test_a_key_that_outlives_its_maker(harness: Harness) -> None:
    """A service key that expires cannot create keys that do not."""
    soon = datetime.fromtimestamp(harness.clock.now + 60, UTC)
    text = await harness.service_key("admin", expires_at=soon)
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.create", Bearer(text), name="forever", kind="service")
    made = await harness.call("auth.create_key", Bearer(text), name="as long", scope="read")
    assert made.expires_at == soon


async def test_an_admin_cannot_make_or_raise_to_owner(harness: Harness) -> None:
    """An admin cannot create or promote to owner, because callers give only what they hold."""
    user, admin = await harness.user(), await harness.user("admin")
    for name, params in (
        ("users.add", {"scope": "owner"}),
        ("users.scope", {"client_id": user.client_id, "scope": "owner"}),
        ("keys.create", {"name": "o", "scope": "owner", "kind": "service"}),
        ("auth.create_key", {"name": "p", "scope": "owner"}),
        ("peers.allow", {"uid": 1000, "scope": "owner"}),
    ):
        with pytest.raises(CeilingExceeded):
            await harness.call(name, await admin.bearer(), **params)
        await harness.admin(name, **params)  # the local admin may


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("users.password", {"password": "a password of mine"}),
        ("users.rotate_secret", {}),
        ("users.scope", {"scope": "read"}),
        ("users.update", {"name": "gone"}),
        ("users.disable", {}),
        ("users.delete", {}),
    ],
)
async def test_an_admin_cannot_change_an_owner(harness: Harness, name: str, params: dict[str, Any]) -> None:
    """An admin cannot reset, demote or remove an account that holds more."""
    above = await harness.user("owner")
    admin = await (await harness.user("admin")).bearer()
    with pytest.raises(TargetDenied):
        await harness.call(name, admin, client_id=above.client_id, **params)
    with pytest.raises(TargetDenied):
        await harness.call("keys.create", admin, name="theirs", owner=above.client_id)
    await harness.admin(name, client_id=above.client_id, **params)  # the local admin may


async def test_an_admin_of_one_network_cannot_change_an_admin_of_all(harness: Harness) -> None:
    """An admin of one network cannot change an admin of all networks."""
    wide = await harness.user(scope="admin")
    narrow = await harness.user(scope="admin", networks=["lab"])
    with pytest.raises(TargetDenied):
        await harness.call("users.disable", narrow.basic, client_id=wide.client_id)
    with pytest.raises(CeilingExceeded):
        await harness.call("users.add", narrow.basic, networks=["*"])


async def test_a_read_token_cannot_rotate_its_own_accounts_secret(harness: Harness) -> None:
    """A read token cannot rotate its account's client secret, because the new secret would hold more."""
    user = await harness.user(scope="write")
    with pytest.raises(TargetDenied):
        await harness.call("users.rotate_secret", await user.bearer("read"), client_id=user.client_id)
    rotated = await harness.call("users.rotate_secret", await user.bearer(), client_id=user.client_id)
    assert rotated.client_secret != user.secret


async def test_a_session_from_a_read_key_is_a_read_session(harness: Harness) -> None:
    """A session is bounded by the credential that opened it, whatever the owner holds."""
    user = await harness.user(scope="admin")
    session = await user.session(Bearer(await user.key(scope="read")))
    assert (await harness.call("whoami", session)).scope == "read"
    with pytest.raises(MissingScope):
        await harness.call("users.list", session)


async def test_user_keys_and_their_sessions_manage_no_keys(harness: Harness) -> None:
    """User keys manage no keys, neither directly nor through a dashboard session."""
    user = await harness.user(scope="admin")
    key = Bearer(await user.key(scope="admin"))
    for presented in (key, await user.session(key)):
        with pytest.raises(CeilingExceeded):
            await harness.call("keys.create", presented, name="child")
        with pytest.raises(CeilingExceeded):
            await harness.call("keys.delete", presented, id="0kZ3vXq81LmT")
        with pytest.raises(CeilingExceeded):
            await harness.call("auth.create_key", presented, name="child", scope="read")


@pytest.mark.parametrize("scope", ["read", "admin"])
async def test_a_key_makes_no_secret_of_its_owner(harness: Harness, scope: str) -> None:
    """A user key sets neither client secret nor password of its owner, which would outlive it and could manage keys."""
    user = await harness.user(scope=scope, email="ada@example.org", password="the old long password")
    key = Bearer(await user.key(scope=scope))
    for presented in (key, await user.session(key)):
        with pytest.raises(CeilingExceeded):
            await harness.call("users.rotate_secret", presented, client_id=user.client_id)
        for current in (None, "the old long password"):
            with pytest.raises(CeilingExceeded):
                await harness.call(
                    "users.password",
                    presented,
                    client_id=user.client_id,
                    password="four words of mine",
                    current=current,
                )
    await harness.call("login", email="ada@example.org", password="the old long password")


async def test_service_keys_are_made_by_admins_and_have_no_owner(harness: Harness) -> None:
    """Users create service keys neither for themselves nor in the name of a user."""
    user = await harness.user(scope="write")
    with pytest.raises(MissingScope):
        await harness.call("keys.create", user.basic, name="mine", kind="service")
    for params in ({"kind": "service", "owner": user.client_id}, {"kind": "user"}):
        with pytest.raises(InvalidRequest):
            await harness.admin("keys.create", name="whose", **params)
    with pytest.raises(NotFound):
        await harness.admin("keys.create", name="nobody's", owner="5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11")


async def test_an_admin_makes_keys_for_others_within_both_grants(harness: Harness) -> None:
    """A key that an admin creates for a user is within the user's grant, and by default on the user's networks."""
    user = await harness.user(scope="read", networks=["lab"])
    made = await harness.admin("keys.create", name="theirs", owner=user.client_id)
    assert (made.owner, made.kind, made.networks) == (user.client_id, "user", ["lab"])
    for params in ({"scope": "write"}, {"networks": ["prod"]}):
        with pytest.raises(CeilingExceeded):
            await harness.admin("keys.create", name="more", owner=user.client_id, **params)
    with pytest.raises(Conflict):
        await harness.admin("keys.create", name="theirs", owner=user.client_id)


async def test_a_service_key_manages_keys_only_as_admin(harness: Harness) -> None:
    """A service key with scope write creates no keys."""
    with pytest.raises(CeilingExceeded):
        await harness.call("keys.create", Bearer(await harness.service_key("write")), name="child")


async def test_a_token_makes_no_token_and_no_session(harness: Harness) -> None:
    """A token creates neither tokens nor sessions, so that it cannot extend its own lifetime."""
    user = await harness.user()
    for name in ("token.create", "session.create"):
        with pytest.raises(CeilingExceeded):
            await harness.call(name, await user.bearer())
    with pytest.raises(CeilingExceeded):
        await harness.call("session.create", await user.session())


async def test_a_token_with_more_than_its_account(harness: Harness) -> None:
    """A token request for more than the account holds is refused as invalid_scope (RFC 6749)."""
    user = await harness.user(scope="read")
    for scope in ("write", "read admin", "nonsense", " "):
        with pytest.raises(InvalidScope):
            await harness.call("token.create", user.basic, scope=scope)


async def test_anothers_things_do_not_exist(harness: Harness) -> None:
    """Another account's key and account are answered as not found, by every operation."""
    one, two = await harness.user(scope="write"), await harness.user(scope="write")
    await two.key()
    key = (await harness.call("keys.list", two.basic)).items[0]
    for name in ("keys.get", "keys.delete"):
        with pytest.raises(NotFound):
            await harness.call(name, one.basic, id=key.id)
    for client_id in (two.client_id, "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11"):
        with pytest.raises(NotFound, match="There is no such account"):
            await harness.call("users.rotate_secret", one.basic, client_id=client_id)
    with pytest.raises(NotFound):
        await harness.call("users.password", one.basic, client_id=two.client_id, password="a password of mine")
    assert (await harness.call("keys.list", one.basic)).items == []
    assert (await harness.call("keys.list", one.basic, owner=two.client_id)).items == []
    with pytest.raises(MissingScope):
        await harness.call("keys.create", one.basic, name="for two", owner=two.client_id)
    with pytest.raises(MissingScope):
        await harness.call("access.explain", one.basic, principal=two.client_id)


async def test_only_the_holder_or_an_admin_revokes(harness: Harness) -> None:
    """Only the holder or an admin revokes a token, and the admin not above the admin's own grant."""
    one, two, above = await harness.user(), await harness.user(), await harness.user("owner")
    with pytest.raises(TargetDenied):
        await harness.call("token.revoke", one.basic, token=await two.token())
    with pytest.raises(TargetDenied):
        await harness.call("token.revoke", (await harness.user("admin")).basic, token=await above.token())
    token = await two.token()
    await harness.admin("token.revoke", token=token)
    assert (await harness.call("token.validate", token=token)).reason == "revoked"


async def test_the_last_admin_stays(harness: Harness) -> None:
    """The last enabled admin, an account or a service key, is neither removed, disabled nor demoted."""
    admin = await harness.user(scope="admin")
    for name, params in (
        ("users.delete", {}),
        ("users.disable", {}),
        ("users.scope", {"scope": "write"}),
    ):
        with pytest.raises(Conflict):
            await harness.admin(name, client_id=admin.client_id, **params)
    await harness.service_key("admin", name="second")
    await harness.admin("users.delete", client_id=admin.client_id)
    key = (await harness.admin("keys.list")).items[0]
    with pytest.raises(Conflict):
        await harness.admin("keys.delete", id=key.id)
    with pytest.raises(Conflict):
        await harness.admin("auth.remove_key", id=key.id)


Attempt = Callable[[Harness, User], Awaitable[Any]]


async def _make_admin_key(harness: Harness, user: User) -> Any:
    return await harness.call("keys.create", user.basic, name="race", scope="admin")


async def _make_service_key(harness: Harness, user: User) -> Any:
    return await harness.call("keys.create", user.basic, name="race", scope="admin", kind="service")


async def _add_admin(harness: Harness, user: User) -> Any:
    return await harness.call("users.add", user.basic, scope="admin", email="race@example.org")


async def _allow_peer(harness: Harness, user: User) -> Any:
    return await harness.call("peers.allow", user.basic, uid=4321, scope="admin")


@pytest.mark.parametrize("attempt", [_make_admin_key, _make_service_key, _add_admin, _allow_peer])
async def test_a_demotion_that_overtakes_a_change_stops_it(
    harness: Harness, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change admitted before a demotion is authorized again in its transaction, by the grant held then.

    The demotion is committed at the worst moment: after the first admission, right before the change's own
    transaction begins.
    """
    await harness.service_key("admin", name="spare admin")
    user = await harness.user(scope="admin")
    real_write = harness.store.write
    is_first = True

    async def overtaken(function: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            await harness.admin("users.scope", client_id=user.client_id, scope="read")
        return await real_write(function)

    monkeypatch.setattr(harness.store, "write", overtaken)
    with pytest.raises((CeilingExceeded, MissingScope)):
        await attempt(harness, user)
    monkeypatch.undo()
    assert [key.name for key in harness.store.scan(ApiKey)] == ["spare admin"]
    assert not harness.store.find(Account, "email", "race@example.org")
    assert (await harness.admin("peers.list")).items == []


async def test_racing_demotions_and_changes_never_leave_more_than_was_held(harness: Harness) -> None:
    """However demotions and changes interleave, no key created by the demoted account holds more than read."""
    await harness.service_key("admin", name="spare admin")
    users = [await harness.user(scope="admin") for _ in range(8)]

    async def make(user: User) -> None:
        for number in range(5):
            try:
                await harness.call("keys.create", user.basic, name=f"k{number}", scope="admin")
            except HerodError:
                return

    async def demote(user: User) -> None:
        await harness.admin("users.scope", client_id=user.client_id, scope="read")

    async with trio.open_nursery() as nursery:
        for user in users:
            nursery.start_soon(make, user)
            nursery.start_soon(demote, user)
    for key in harness.store.scan(ApiKey):
        explained = await harness.admin("access.explain", principal=key.id, scope="admin")
        assert explained.allowed is (key.owner is None)


async def test_two_deletions_leave_one_admin(harness: Harness) -> None:
    """Of two concurrent removals of the last two admins, one is refused."""
    admins = [await harness.user(scope="admin"), await harness.user(scope="admin")]
    refused = []

    async def delete(user: User) -> None:
        try:
            await harness.call("users.delete", LOCAL_ADMIN, client_id=user.client_id)
        except Conflict:
            refused.append(user)

    async with trio.open_nursery() as nursery:
        for user in admins:
            nursery.start_soon(delete, user)
    assert len(refused) == 1
    assert harness.store.count(Account) == 1
