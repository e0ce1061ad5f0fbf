"""Account administration: add, look up, change, disable and delete accounts with everything that belongs to them."""

import pytest

from herod.identity.credential_types import Basic, Bearer
from herod.records import Account, ApiKey, Session
from herod_client.core.errors import (
    BadCredentials,
    CeilingExceeded,
    Conflict,
    InvalidRequest,
    MissingScope,
    NotFound,
    RevokedToken,
    Unauthenticated,
)
from support.herod_in_memory import PASSWORD, Harness


async def test_add(harness: Harness) -> None:
    """A new account has the normalized email, a name, a scope and a working client secret."""
    added = await harness.admin("users.add", email="Ada@Example.org", name=" Ada ", scope="write", networks=["lab"])
    assert (added.email, added.name, added.scope, added.networks) == ("ada@example.org", "Ada", "write", ["lab"])
    token = await harness.call("token.create", Basic(added.client_id, added.client_secret))
    assert token.scope == "write"


async def test_add_without_anything(harness: Harness) -> None:
    """Without parameters, a new account has scope read on all networks and is named after its id."""
    added = await harness.admin("users.add")
    assert (added.email, added.scope, added.networks) == (None, "read", ["*"])
    assert added.name == f"client {added.client_id[:8]}"


async def test_an_email_is_in_use_once(harness: Harness) -> None:
    """An email belongs to one account, whatever its case."""
    await harness.user(email="ada@example.org")
    with pytest.raises(Conflict, match="exists already"):
        await harness.user(email="Ada@EXAMPLE.org")


async def test_nobody_gives_more_than_they_hold(harness: Harness) -> None:
    """An admin of one network cannot create an account on another network."""
    admin = await (await harness.user("admin", ["lab"])).bearer()
    with pytest.raises(CeilingExceeded):
        await harness.call("users.add", admin, scope="read", networks=["main"])
    added = await harness.call("users.add", admin, scope="read")
    assert added.networks == ["lab"]


async def test_get(harness: Harness) -> None:
    """An account is found by client_id and by email; other references are not found."""
    user = await harness.user(email="ada@example.org")
    by_id = await harness.admin("users.get", client_id=user.client_id)
    assert by_id == await harness.admin("users.get", email="ada@example.org")
    assert (by_id.client_id, by_id.enabled) == (user.client_id, True)
    for missing in ({"client_id": "nobody"}, {"email": "eve@example.org"}):
        with pytest.raises(NotFound):
            await harness.admin("users.get", **missing)
    with pytest.raises(InvalidRequest):
        await harness.admin("users.get")


async def test_list(harness: Harness) -> None:
    """Accounts are listed oldest or newest first, a page at a time."""
    made = []
    for _ in range(5):
        made.append((await harness.user()).client_id)
        harness.clock.now += 1
    first = await harness.admin("users.list", limit=3)
    rest = await harness.admin("users.list", limit=3, cursor=first.next_cursor)
    assert [user.client_id for user in (*first.items, *rest.items)] == made
    assert rest.next_cursor is None
    newest = await harness.admin("users.list", order="newest")
    assert [user.client_id for user in newest.items] == made[::-1]


@pytest.mark.parametrize("limit", [0, 201, -1])
async def test_list_has_a_limit(harness: Harness, limit: int) -> None:
    """The page limit is 1 to 200."""
    with pytest.raises(InvalidRequest, match="choose 1 to 200"):
        await harness.admin("users.list", limit=limit)


async def test_scope(harness: Harness) -> None:
    """A changed scope takes effect at the next use, and the account's tokens stay valid."""
    user = await harness.user("write")
    token = Bearer(await user.token())
    changed = await harness.admin("users.scope", client_id=user.client_id, scope="read")
    assert changed.scope == "read"
    assert (await harness.call("whoami", token)).scope == "read"
    await harness.admin("users.scope", client_id=user.client_id, scope="write")
    assert (await harness.call("whoami", token)).scope == "write"


async def test_update(harness: Harness) -> None:
    """Omitted parameters leave their fields unchanged."""
    user = await harness.user("read", ["lab", "main"], name="Ada")
    renamed = await harness.admin("users.update", client_id=user.client_id, name="Ada L.")
    assert (renamed.name, renamed.networks) == ("Ada L.", ["lab", "main"])
    narrowed = await harness.admin("users.update", client_id=user.client_id, networks=["lab"])
    assert (narrowed.name, narrowed.networks) == ("Ada L.", ["lab"])


async def test_confirmed(harness: Harness) -> None:
    """An account that an admin made is confirmed; one that registered itself is not, until an admin says so."""
    made = await harness.user(email="ada@example.org")
    assert (await harness.admin("users.get", client_id=made.client_id)).confirmed
    answer = await harness.call("register", None, email="eve@example.org", password=PASSWORD)
    ref = {"client_id": answer.client_id}
    for confirmed in (False, True, False):
        assert (await harness.admin("users.get", **ref)).confirmed is confirmed
        changed = await harness.admin("users.update", **ref, confirmed=not confirmed)
        assert changed.confirmed is not confirmed
    account = harness.store.get(Account, answer.client_id)
    assert account is not None
    assert account.registered  # it still counts as one that registered itself


async def test_nobody_confirms_themselves(harness: Harness) -> None:
    """Confirming needs scope admin."""
    answer = await harness.call("register", None, email="eve@example.org", password=PASSWORD)
    with pytest.raises(MissingScope):
        await harness.call("users.update", Bearer(answer.access_token), client_id=answer.client_id, confirmed=True)


async def test_disable_and_enable(harness: Harness) -> None:
    """Disabling ends tokens and sessions for good; keys and the client secret work again after enabling."""
    user = await harness.user()
    token, key = await user.bearer(), Bearer(await user.key())
    session = await user.session()
    assert not (await harness.admin("users.disable", client_id=user.client_id)).enabled
    for presented in (token, key, session, user.basic):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)
    assert (await harness.admin("users.enable", client_id=user.client_id)).enabled
    assert (await harness.call("whoami", key)).scope == "read"
    await user.token()
    for presented in (token, session):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", presented)


async def test_delete(harness: Harness) -> None:
    """Deletion removes the account's keys and sessions and ends its tokens; what it made for others is listed."""
    user = await harness.user("admin")
    await harness.user("admin")  # another admin remains
    key = await user.key()
    token = await user.bearer()
    await user.session()
    made = await harness.call("keys.create", token, name="runner", kind="service", scope="read")
    rule = await harness.call("peers.allow", user.basic, uid=4000, scope="read")
    await harness.admin("peers.allow", uid=4001, scope="read")
    deleted = await harness.admin("users.delete", client_id=user.client_id)
    assert (deleted.deleted, deleted.keys, deleted.service_keys) == (True, [key.split("_")[2]], [made.id])
    assert deleted.peer_rules == [rule.id]
    assert harness.store.get(Account, user.client_id) is None
    assert harness.store.get(ApiKey, key.split("_")[2]) is None
    assert harness.store.count(Session) == 0
    with pytest.raises(RevokedToken):
        await harness.call("whoami", token)
    with pytest.raises(BadCredentials):
        await user.token()
    assert (await harness.call("whoami", Bearer(made.key))).scope == "read"
    with pytest.raises(NotFound):
        await harness.admin("users.delete", client_id=user.client_id)


async def test_the_last_admin_stays(harness: Harness) -> None:
    """The last admin is neither deleted, disabled nor demoted."""
    admin = await harness.user("admin")
    for name, params in (("users.delete", {}), ("users.disable", {}), ("users.scope", {"scope": "read"})):
        with pytest.raises(Conflict):
            await harness.admin(name, client_id=admin.client_id, **params)
    assert (await harness.admin("users.get", client_id=admin.client_id)).scope == "admin"
