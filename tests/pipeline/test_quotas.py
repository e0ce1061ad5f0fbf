"""No principal stores more than its quotas allow, in any protocol.

The attack: one account with scope `read` created 20,000 keys in 5.4 s.
"""

from pathlib import Path
from typing import Any

import pytest
import trio

from herod.identity.credential_types import Bearer
from herod.records import Account, ApiKey, PeerRule, Resource, ResourceTally, Revocation
from herod.settings import QuotaSettings
from herod.store.owned_records import DELETED_AT_ONCE
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import Conflict, RateLimited, Unauthenticated
from support.herod_in_memory import PASSWORD, PUBLIC_URL, SECRET, TCP, Harness, User, bearer


async def test_keys_of_an_account(harness: Harness) -> None:
    """An account has so many keys and no more; the refusal says the number, what to do, and the setting."""
    harness.configure(quotas=QuotaSettings(keys=3))
    ada = await harness.user()
    for number in range(3):
        await ada.key(name=f"k{number}")
    with pytest.raises(Conflict, match=r"has 3 API keys.*delete one.*raise keys under \[quotas\]") as refused:
        await ada.key(name="k3")
    assert refused.value.reason == "quota_keys"
    assert refused.value.hint == "herod key list, herod key delete ID"
    await (await harness.user()).key()  # others are not affected
    [first, *_] = (await harness.call("keys.list", ada.basic)).items
    await harness.call("keys.delete", ada.basic, id=first.id)
    await ada.key(name="k3")


async def test_admins_have_the_same_quotas(harness: Harness) -> None:
    """An admin gives an account no more keys than its quota either; the local admin does."""
    harness.configure(quotas=QuotaSettings(keys=1, service_keys=1, peer_rules=1, accounts=4))
    admin, ada = await harness.user("admin"), await harness.user()
    await ada.key()
    await harness.call("keys.create", admin.basic, name="a", kind="service")
    await harness.call("peers.allow", admin.basic, uid=1, scope="read")
    await harness.user()
    await harness.user()
    refused: list[tuple[str, dict[str, Any]]] = [
        ("keys.create", {"name": "k2", "owner": ada.client_id}),
        ("keys.create", {"name": "b", "kind": "service"}),
        ("auth.create_key", {"name": "b", "scope": "read"}),
        ("legacy.promote", {"id": (await harness.admin("legacy.status")).items[0].id}),
        ("peers.allow", {"uid": 2, "scope": "read"}),
        ("users.add", {}),
    ]
    counted = harness.store.count(ApiKey), harness.store.count(PeerRule), harness.store.count(Account)
    for name, params in refused:
        with pytest.raises(Conflict, match="quotas"):
            await harness.call(name, admin.basic, **params)
    assert (harness.store.count(ApiKey), harness.store.count(PeerRule), harness.store.count(Account)) == counted
    await harness.call("peers.allow", admin.basic, uid=1, scope="user")  # replaces the rule
    for name, params in refused[:2] + refused[4:]:
        await harness.admin(name, **params)


async def test_in_every_protocol(harness: Harness) -> None:
    """REST, JSON-RPC and MCP answer the same conflict."""
    harness.configure(quotas=QuotaSettings(keys=1))
    ada = await harness.user()
    await ada.key()
    token = bearer(await ada.token(resource=PUBLIC_URL))
    rest = await harness.request("POST", "/api/v1/keys", json={"name": "b"}, headers=token)
    assert (rest.status, rest.json["error"]["code"]) == (409, "conflict")
    rpc = await harness.rpc("keys.create", {"name": "b"}, headers=token)
    assert rpc["error"]["code"] == 4009
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "create_key", "arguments": {"name": "b"}},
    }
    mcp = await harness.request(
        "POST", "/mcp", json=call, headers={**token, "accept": "application/json, text/event-stream"}
    )
    assert "[quotas]" in mcp.response.body.decode()
    assert harness.store.count(ApiKey) == 1


async def test_existing_records_over_the_quota_work(harness: Harness) -> None:
    """Keys over a lowered quota go on working, are listed, and can be changed and deleted."""
    ada = await harness.user()
    texts = [await ada.key(name=f"k{number}") for number in range(3)]
    harness.configure(quotas=QuotaSettings(keys=1))
    for text in texts:
        await harness.call("whoami", Bearer(text))
    listed = (await harness.call("keys.list", ada.basic)).items
    assert len(listed) == 3
    await harness.call("keys.update", ada.basic, id=listed[0].id, name="new")
    await harness.call("keys.rotate", ada.basic, id=listed[1].id)
    await harness.call("keys.delete", ada.basic, id=listed[2].id)


async def test_parallel_requests_do_not_exceed_a_quota(tmp_path: Path, harness: Harness) -> None:
    """Of many requests at once exactly as many succeed as there is room for, also with the writer thread."""
    store = open_sqlite(tmp_path / "herod.db", SECRET, now=harness.clock.now)
    async with store:
        pipeline = type(harness.pipeline)(store, harness.runtime, clock=harness.clock, process=harness.pipeline.process)
        harness.pipeline = pipeline
        harness.configure(quotas=QuotaSettings(keys=5, issued_per_minute=8))
        harness.runtime.keyring = store.keyring
        ada = await harness.user()
        outcomes: list[str] = []

        async def create(number: int) -> None:
            try:
                await ada.key(name=f"k{number}")
                outcomes.append("ok")
            except (Conflict, RateLimited) as error:
                outcomes.append(error.code)

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(create, number)
        assert (outcomes.count("ok"), store.count(ApiKey)) == (5, 5)

        tokens: list[str] = []

        async def mint() -> None:
            try:
                tokens.append(await ada.token())
            except RateLimited:
                return

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(mint)
        assert len(tokens) == 3  # of 8 in a minute, 5 were keys


async def test_resources_of_a_claimant(harness: Harness) -> None:
    """A claimant has so many resources, whatever their kinds and secrets; releasing one makes room."""
    harness.configure(quotas=QuotaSettings(resources=3))
    one, two = await harness.user("user"), await harness.user("user")

    async def claim(user: User, number: int) -> Any:
        return await harness.call(
            "resources.claim", user.basic, kind=f"kind{number}", name="n", secret=f"secret {number}"
        )

    claimed = [await claim(one, number) for number in range(3)]
    with pytest.raises(Conflict, match=r"You have 3 resources.*resources under \[quotas\]"):
        await claim(one, 3)
    await claim(two, 0)
    await harness.call("resources.update", one.basic, sid=claimed[0].sid, secret="secret 0", name="m")
    await harness.call("resources.release", one.basic, sid=claimed[0].sid, secret="secret 0")
    await claim(one, 3)
    with pytest.raises(Conflict):
        await claim(one, 4)
    for resource in harness.store.scan(Resource):
        await harness.admin("resources.release", sid=resource.id)
    assert harness.store.count(ResourceTally) == 0
    await claim(one, 4)


async def test_registered_accounts(harness: Harness) -> None:
    """Only so many accounts register themselves, and those that admins add do not count."""
    harness.configure(quotas=QuotaSettings(registered_accounts=2))
    for number in range(2):
        await harness.call("register", None, TCP, email=f"a{number}@example.org", password=PASSWORD)
        await harness.user(email=f"b{number}@example.org")
    with pytest.raises(Conflict, match=r"2 accounts that registered themselves.*ask an admin"):
        await harness.call("register", None, TCP, email="a2@example.org", password=PASSWORD)
    await harness.user(email="b2@example.org")
    await harness.admin("users.delete", email="a0@example.org")
    await harness.call("register", None, TCP, email="a2@example.org", password=PASSWORD)


async def test_revocations_are_bounded_and_never_refused(harness: Harness) -> None:
    """One revocation more than the quota ends all tokens of the subject instead of being kept beside the others."""
    harness.configure(quotas=QuotaSettings(revocations=1000, issued_per_minute=1_000_000))
    ada = await harness.user()
    kept = await ada.token()
    revoked = [await ada.token() for _ in range(1001)]
    for token in revoked[:1000]:
        await harness.call("token.revoke", ada.basic, token=token)
    await harness.call("whoami", Bearer(kept))
    assert (await harness.call("token.revoke", ada.basic, token=revoked[1000])).revoked
    for token in (kept, revoked[0], revoked[999], revoked[1000]):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", Bearer(token))
    assert harness.store.count(Revocation) <= 1000
    new = await ada.token()  # and from now on only that one ends
    for _ in range(DELETED_AT_ONCE * 2):
        await harness.call("token.revoke", ada.basic, token=await ada.token())
    await harness.call("whoami", Bearer(new))
    assert harness.store.count(Revocation) <= 1000
    for token in (kept, revoked[0], revoked[1000]):
        with pytest.raises(Unauthenticated):
            await harness.call("whoami", Bearer(token))
