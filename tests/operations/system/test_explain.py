"""`access.explain` predicts the pipeline's decision and suggests a fix."""

import pytest

from herod.identity.credential_types import Bearer
from herod_client.core.errors import CeilingExceeded, InvalidRequest, NotFound
from support.herod_in_memory import LOCAL_ADMIN, Harness


async def test_about_oneself(harness: Harness) -> None:
    """Any principal may ask about itself."""
    user = await harness.user(networks=["lab"])
    explained = await harness.call("access.explain", user.basic, operation="users.list")
    assert (explained.allowed, explained.reason, explained.missing) == (False, "missing_scope", "admin")
    assert explained.hint == f"herod user scope {user.client_id} admin"
    assert (await harness.call("access.explain", user.basic, scope="read", network="lab")).allowed
    elsewhere = await harness.call("access.explain", user.basic, network="prod", principal=user.client_id)
    assert (elsewhere.reason, elsewhere.missing) == ("network_denied", "prod")


async def test_about_others(harness: Harness) -> None:
    """Admins ask by client_id, email, key id, rule id, uid or the name of the local admin."""
    user = await harness.user(scope="write", email="ada@example.org")
    key = await user.key(scope="read")
    rule = await harness.admin("peers.allow", uid=1000, scope="registrar")
    for principal, scope, allowed in (
        (user.client_id, "write", True),
        ("Ada@example.org", "write", True),
        (key.split("_")[2], "write", False),
        (key.split("_")[2], "read", True),
        (rule.id, "registrar", True),
        ("uid:1000", "admin", False),
        ("local-admin", "admin", True),
    ):
        assert (await harness.admin("access.explain", principal=principal, scope=scope)).allowed is allowed, principal
    with pytest.raises(NotFound):
        await harness.admin("access.explain", principal="nobody")
    admin = await harness.user(scope="admin")
    assert (await harness.call("access.explain", admin.basic, principal="local-admin", scope="admin")).allowed
    await harness.admin("users.disable", client_id=user.client_id)
    for principal in (user.client_id, key.split("_")[2]):
        assert (await harness.admin("access.explain", principal=principal)).allowed is False


async def test_the_hint_works(harness: Harness) -> None:
    """Following the hint makes the decision positive."""
    user = await harness.user()
    explained = await harness.call("access.explain", user.basic, operation="users.list")
    command, noun, verb, who, scope = explained.hint.split()
    assert (command, noun, verb) == ("herod", "user", "scope")
    await harness.admin("users.scope", client_id=who, scope=scope)
    assert (await harness.call("access.explain", user.basic, operation="users.list")).allowed


async def test_questions_that_make_no_sense(harness: Harness) -> None:
    """An unknown operation or scope, or an operation together with a scope, is refused."""
    for params in ({"operation": "nothing"}, {"scope": "nothing"}, {"operation": "health", "scope": "read"}):
        with pytest.raises(InvalidRequest):
            await harness.call("access.explain", LOCAL_ADMIN, **params)


async def test_a_key_may_ask_about_itself(harness: Harness) -> None:
    """A service key, which has no owner, may ask about itself."""
    key = await harness.service_key("registrar")
    assert not (await harness.call("access.explain", Bearer(key), scope="read")).allowed


async def test_an_operation_that_takes_other_credentials(harness: Harness) -> None:
    """For an operation that refuses the method, the decision is the pipeline's, and the hint names accepted methods."""
    user = await harness.user()
    explained = await harness.call("access.explain", await user.bearer(), operation="token.create")
    assert (explained.allowed, explained.reason) == (False, "method_not_allowed")
    assert explained.hint == "use a client id and secret (Authorization: Basic) or Authorization: Peer"
    assert (await harness.call("access.explain", user.basic, operation="token.create")).allowed


async def test_the_owner_of_a_key_may_be_switched_off(harness: Harness) -> None:
    """A key of a disabled owner is denied with owner_disabled."""
    user = await harness.user()
    key = await user.key()
    await harness.admin("users.disable", client_id=user.client_id)
    explained = await harness.admin("access.explain", principal=key.split("_")[2])
    assert (explained.allowed, explained.reason) == (False, "owner_disabled")


async def test_keys_that_may_not_manage_keys(harness: Harness) -> None:
    """Only user keys and service keys without admin are denied key management, as in the pipeline."""
    user = await harness.user(scope="admin")
    key = await user.key(scope="admin")
    low, high = await harness.service_key("read", "low"), await harness.service_key("admin", "high")
    for text, allowed, missing in ((key, False, None), (low, False, "admin"), (high, True, None)):
        for presented, params in ((Bearer(text), {}), (LOCAL_ADMIN, {"principal": text.split("_")[2]})):
            explained = await harness.call("access.explain", presented, operation="keys.delete", **params)
            assert (explained.allowed, explained.missing) == (allowed, missing)
            assert explained.reason == (None if allowed else "key_cannot_manage_keys")
        if not allowed:
            with pytest.raises(CeilingExceeded):
                await harness.call("keys.delete", Bearer(text), id=low.split("_")[2])
    assert (await harness.call("access.explain", user.basic, operation="keys.delete")).allowed
    assert (await harness.call("access.explain", Bearer(key), operation="keys.list")).allowed
