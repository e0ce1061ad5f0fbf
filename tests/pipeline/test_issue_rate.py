"""No principal is issued more credentials in a minute than the settings allow.

The attack: one account created 5,054 tokens a second.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_type_hints

import pytest

from herod.identity.credential_types import Bearer, PeerClaim, Presented
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.records import ApiKey, Session
from herod.scopes.principal import Peer, Source
from herod.settings import QuotaSettings
from herod_client.core.errors import RateLimited
from support.herod_in_memory import PASSWORD, STRANGER, TCP, Harness

UID: Final = Source(peer=Peer(uid=4242, gid=4242))
OTHER_UID: Final = Source(peer=Peer(uid=4243, gid=4242))


@pytest.fixture
async def issuing(harness: Harness) -> Harness:
    """A herod that issues five credentials a minute to each principal."""
    harness.configure(quotas=QuotaSettings(issued_per_minute=5))
    return harness


async def test_tokens_a_minute(issuing: Harness) -> None:
    """In any minute an account is issued so many tokens and no more, from wherever; then 429 says when to come back."""
    ada, eve = await issuing.user(email="ada@example.org", password=PASSWORD), await issuing.user()
    begin = issuing.clock.now
    times: list[int] = []
    waits: set[int] = set()
    while issuing.clock.now < begin + 300:
        try:
            await issuing.call("token.create", ada.basic, TCP if len(times) % 2 else STRANGER)
            times.append(issuing.clock.now)
        except RateLimited as refused:
            waits.add(refused.retry_after)
        issuing.clock.now += 1
    assert len(times) >= 20
    assert min(waits) > 0
    assert max(waits) <= 64
    assert all(later - first >= 60 for first, later in zip(times, times[5:], strict=False))
    await eve.token()


async def test_everything_that_is_issued_counts_together(issuing: Harness) -> None:
    """Tokens, sign-ins, keys, sessions, codes and secrets of one account share its minute."""
    ada = await issuing.user(email="ada@example.org", password=PASSWORD)
    password = {"email": "ada@example.org", "password": PASSWORD}
    calls: list[tuple[str, Presented | None, dict[str, Any]]] = [
        ("token.create", ada.basic, {}),
        ("login", None, password),
        ("keys.create", ada.basic, {"name": "k"}),
        ("session.create", ada.basic, {}),
        ("session.code", ada.basic, {}),
    ]
    for name, presented, params in calls:
        await issuing.call(name, presented, TCP, **params)
    more = [
        *calls,
        ("session.sign_in", None, password),
        ("users.rotate_secret", ada.basic, {"client_id": ada.client_id}),
    ]
    kept = issuing.store.count(ApiKey), issuing.store.count(Session)
    for name, presented, params in more:
        with pytest.raises(RateLimited):
            await issuing.call(name, presented, TCP, **params)
    assert (issuing.store.count(ApiKey), issuing.store.count(Session)) == kept
    answer = await issuing.request("POST", "/login", json=password)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_a_key_leaves_its_owner_room(issuing: Harness) -> None:
    """Whoever has one key of an account, with the narrowest scope, cannot keep the owner from tokens and sign-ins."""
    ada = await issuing.user(scope="admin")
    keys = [await ada.key(name="first"), await ada.key(name="second")]
    issuing.clock.now += 120
    for number in range(4):
        await issuing.call("session.create", Bearer(keys[number % 2]), TCP)
    for key in keys:
        with pytest.raises(RateLimited):
            await issuing.call("session.create", Bearer(key), TCP)
    await ada.token()
    with pytest.raises(RateLimited):  # all together are issued no more than five
        await ada.token()


async def test_local_users_of_one_group_are_counted_separately(issuing: Harness) -> None:
    """One member of a group cannot use up the rate of the others under the same rule."""
    await issuing.admin("peers.allow", gid=4242, scope="read")
    for _ in range(5):
        await issuing.call("token.create", PeerClaim(), UID)
    with pytest.raises(RateLimited):
        await issuing.call("token.create", PeerClaim(), UID)
    await issuing.call("token.create", PeerClaim(), OTHER_UID)


async def test_the_local_admin_is_not_limited(issuing: Harness) -> None:
    """The local admin can always act."""
    for number in range(12):
        await issuing.admin("token.create")
        await issuing.admin("keys.create", name=f"k{number}", kind="service")


def parts(hint: Any) -> Iterator[Any]:
    """A type, and the types in it."""
    yield hint
    if hint != SecretText:
        for part in get_args(hint):
            yield from parts(part)


def test_what_shows_a_secret_counts() -> None:
    """Every command whose answer has a secret or a token counts against `issued_per_minute`.

    Apps that register themselves, and device codes, are nobody's, and have a limit of their own for each source. What
    follows from a device code counts when a person allows it.
    """
    issuing = set()
    for operation in OPERATIONS.values():
        hints: Mapping[str, Any] = {}
        if isinstance(operation.result, type):
            hints = get_type_hints(operation.result, include_extras=True)
        secrets = {"access_token", "cookie", "key"} & set(hints)
        if operation.is_command and (secrets or SecretText in {part for one in hints.values() for part in parts(one)}):
            issuing.add(operation.name)
    issuing |= {"oauth.allow", "oauth.continue", "oauth.device_allow"}  # a code, in the address to which they lead
    nobodys = {"oauth.register", "oauth.device_authorization"}
    assert issuing - nobodys == {operation.name for operation in OPERATIONS.values() if operation.issues}
    assert {"token.create", "login", "register", "keys.create", "session.create", "session.code"} <= issuing
