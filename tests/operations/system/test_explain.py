"""Explaining access says what the pipeline would say, and how to mend it."""

import pytest

from herod.identity.credential_types import Bearer
from herod_client.core.errors import CeilingExceeded, InvalidRequest, NotFound
from support.herod_in_memory import LOCAL_ADMIN, House


async def test_about_oneself(house: House) -> None:
    """Anybody may ask why they may not."""
    user = await house.user(networks=["lab"])
    explained = await house.call("access.explain", user.basic, operation="users.list")
    assert (explained.allowed, explained.reason, explained.missing) == (False, "missing_scope", "admin")
    assert explained.hint == f"herod user scope {user.client_id} admin"
    assert (await house.call("access.explain", user.basic, scope="read", network="lab")).allowed
    elsewhere = await house.call("access.explain", user.basic, network="prod", principal=user.client_id)
    assert (elsewhere.reason, elsewhere.missing) == ("network_denied", "prod")


async def test_about_others(house: House) -> None:
    """By client_id, email, key id, rule id, uid and name of the local admin."""
    user = await house.user(scope="write", email="ada@example.org")
    key = await user.key(scope="read")
    rule = await house.admin("peers.allow", uid=1000, scope="registrar")
    for principal, scope, allowed in (
        (user.client_id, "write", True),
        ("Ada@example.org", "write", True),
        (key.split("_")[2], "write", False),
        (key.split("_")[2], "read", True),
        (rule.id, "registrar", True),
        ("uid:1000", "admin", False),
        ("local-admin", "admin", True),
    ):
        assert (await house.admin("access.explain", principal=principal, scope=scope)).allowed is allowed, principal
    with pytest.raises(NotFound):
        await house.admin("access.explain", principal="nobody")
    admin = await house.user(scope="admin")
    assert (await house.call("access.explain", admin.basic, principal="local-admin", scope="admin")).allowed
    await house.admin("users.disable", client_id=user.client_id)
    for principal in (user.client_id, key.split("_")[2]):
        assert (await house.admin("access.explain", principal=principal)).allowed is False


async def test_the_hint_works(house: House) -> None:
    """Carrying out what it says makes the answer yes."""
    user = await house.user()
    explained = await house.call("access.explain", user.basic, operation="users.list")
    command, noun, verb, who, scope = explained.hint.split()
    assert (command, noun, verb) == ("herod", "user", "scope")
    await house.admin("users.scope", client_id=who, scope=scope)
    assert (await house.call("access.explain", user.basic, operation="users.list")).allowed


async def test_questions_that_make_no_sense(house: House) -> None:
    """Are told so."""
    for params in ({"operation": "nothing"}, {"scope": "nothing"}, {"operation": "health", "scope": "read"}):
        with pytest.raises(InvalidRequest):
            await house.call("access.explain", LOCAL_ADMIN, **params)


async def test_a_key_may_ask_about_itself(house: House) -> None:
    """Without a word about its owner."""
    key = await house.service_key("registrar")
    assert not (await house.call("access.explain", Bearer(key), scope="read")).allowed


async def test_an_operation_that_takes_other_credentials(house: House) -> None:
    """A token makes no token: the answer is what the pipeline would say, and names what would do."""
    user = await house.user()
    explained = await house.call("access.explain", await user.bearer(), operation="token.create")
    assert (explained.allowed, explained.reason) == (False, "method_not_allowed")
    assert explained.hint == "use a client secret or peer"
    assert (await house.call("access.explain", user.basic, operation="token.create")).allowed


async def test_the_owner_of_a_key_may_be_switched_off(house: House) -> None:
    """Then the key is no good either, and the answer says whose state it is."""
    user = await house.user()
    key = await user.key()
    await house.admin("users.disable", client_id=user.client_id)
    explained = await house.admin("access.explain", principal=key.split("_")[2])
    assert (explained.allowed, explained.reason) == (False, "owner_disabled")


async def test_keys_that_may_not_manage_keys(house: House) -> None:
    """Neither a user's key, nor a service's without admin: as the pipeline refuses them, and nobody else."""
    user = await house.user(scope="admin")
    key = await user.key(scope="admin")
    low, high = await house.service_key("read", "low"), await house.service_key("admin", "high")
    for text, allowed, missing in ((key, False, None), (low, False, "admin"), (high, True, None)):
        for presented, params in ((Bearer(text), {}), (LOCAL_ADMIN, {"principal": text.split("_")[2]})):
            explained = await house.call("access.explain", presented, operation="keys.delete", **params)
            assert (explained.allowed, explained.missing) == (allowed, missing)
            assert explained.reason == (None if allowed else "key_cannot_manage_keys")
        if not allowed:
            with pytest.raises(CeilingExceeded):
                await house.call("keys.delete", Bearer(text), id=low.split("_")[2])
    assert (await house.call("access.explain", user.basic, operation="keys.delete")).allowed
    assert (await house.call("access.explain", Bearer(key), operation="keys.list")).allowed
