"""The change feed for local verifiers: what it contains, when, for whom, and what it never contains."""

from collections.abc import Callable

import msgspec
import pytest

from herod.identity.credential_types import Bearer
from herod.operations.tokens import feed_entries
from herod.pipeline.app_signing_keys import new_signing_record
from herod.records import Account, SigningKeyRecord
from herod.store.store_interface import Writer
from herod_client.core.errors import InvalidRequest, Unauthenticated
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import new_private
from support.change_feed import LOCAL, changes, claims_of, told
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, NOW, Harness, open_harness


async def test_everything_first(harness: Harness) -> None:
    """Without a cursor the feed sends all accounts, peer rules, the local admin, revocations and scope rules."""
    user = await harness.user("write", ["lab", "attic"])
    rule = await harness.admin("peers.allow", uid=4711, scope="read")
    token = await user.token()
    await harness.admin("token.revoke", token=token)
    answer = await changes(harness)
    assert (answer.reset, answer.has_more, answer.gone) == (True, False, [])
    known = told(answer)
    assert set(known) == {user.client_id, rule.id}
    account = known[user.client_id]
    assert (account.kind, account.epoch, account.scope, account.enabled) == ("account", 1, "write", True)
    assert account.networks == ["attic", "lab"]
    assert (known[rule.id].kind, known[rule.id].scope, known[rule.id].networks) == ("peer", "read", ["*"])
    [local] = [one for one in answer.subjects if one.sub == LOCAL]
    assert (local.kind, local.epoch, local.scope) == ("local_admin", harness.runtime.boot_epoch, "admin")
    claims = claims_of(harness, token)
    assert [(one.sub, one.jti, one.exp) for one in answer.revoked] == [(claims.sub, claims.jti, claims.exp)]
    rules = answer.rules
    assert rules is not None
    assert (rules.issuer, rules.audience_issuer, rules.token_ttl) == ("hero_auth", "http://localhost", 3600)
    assert set(rules.scopes["write"]) == {"read"}
    assert "read" in rules.scopes["owner"]
    assert (rules.networks, rules.started_at) == (["*"], harness.runtime.started_at)


async def test_the_rules_make_the_same_graph() -> None:
    """A scope graph built from the feed equals herod's, including scopes from the settings."""
    async with open_harness(scopes={"jobs:run": ("user",), "audit": ("admin",)}) as harness:
        rules = (await changes(harness)).rules
        assert rules is not None
        theirs, ours = ScopeGraph(rules.scopes), harness.runtime.config.graph
        for name in ours.scopes:
            held = {other for other in ours.scopes if ours.bit(other) & ours.mask((name,))}
            assert held == {other for other in theirs.scopes if theirs.bit(other) & theirs.mask((name,))}


@pytest.mark.parametrize("change", ["scope", "networks", "disable", "rotate_secret", "delete"])
async def test_what_changes_is_told_once(harness: Harness, change: str) -> None:
    """The next answer contains only the changed account, in its current state, and the one after that nothing."""
    user, other = await harness.user("write"), await harness.user("read")
    before = await changes(harness)
    match change:
        case "scope":
            await harness.admin("users.scope", client_id=user.client_id, scope="read")
        case "networks":
            await harness.admin("users.update", client_id=user.client_id, networks=["lab"])
        case "disable":
            await harness.admin("users.disable", client_id=user.client_id)
        case "rotate_secret":
            await harness.call("users.rotate_secret", user.basic, client_id=user.client_id)
        case _:
            await harness.admin("users.delete", client_id=user.client_id)
    answer = await changes(harness, before.cursor)
    assert (answer.reset, answer.has_more, answer.rules) == (False, False, None)
    assert other.client_id not in told(answer)
    if change == "delete":
        assert answer.gone == [user.client_id]
    else:
        told_of = told(answer)[user.client_id]
        expected = {
            "scope": told_of.scope == "read",
            "networks": told_of.networks == ["lab"],
            "disable": not told_of.enabled,
            "rotate_secret": told_of.epoch == 2,
        }
        assert expected[change]
    after = await changes(harness, answer.cursor)
    assert (after.subjects, after.gone, after.revoked) == ([], [], [])


async def test_revocations_are_told(harness: Harness) -> None:
    """Revocations are sent by subject and token id, without those of long-expired tokens."""
    user = await harness.user()
    before = await changes(harness)
    token = await user.token()
    await harness.call("token.revoke", user.basic, token=token)
    [taken] = (await changes(harness, before.cursor)).revoked
    assert (taken.sub, taken.jti) == (user.client_id, claims_of(harness, token).jti)
    harness.clock.now = taken.exp + feed_entries.KEPT_SECONDS
    assert (await changes(harness)).revoked == [taken]  # the clock may be wrong
    harness.pipeline.process.steady.reached = harness.clock.now
    assert (await changes(harness)).revoked == []


async def test_no_names_and_no_secrets(harness: Harness) -> None:
    """The feed contains ids, scopes, networks and epochs, but no name, address or hash."""
    await harness.user(email="canary@example.org", name="Canary", password="the canary's password")
    await harness.service_key("admin", "canary-key")
    written = msgspec.json.encode(await changes(harness)).lower()
    assert b"canary" not in written
    assert b"hash" not in written


@pytest.mark.parametrize("scope", ["registrar", "read"])
async def test_any_principal_may_read_it(harness: Harness, scope: str) -> None:
    """A key of a small scope may read the feed; anonymous callers may not."""
    key = await harness.service_key(scope)
    assert (await changes(harness, presented=Bearer(key))).reset
    with pytest.raises(Unauthenticated):
        await harness.call("token.changes", None)


async def test_a_long_snapshot_comes_in_parts(harness: Harness) -> None:
    """A snapshot in parts contains each account once, and changes made meanwhile follow."""

    def put(tx: Writer) -> None:
        for number in range(450):
            name = f"client-{number:03}"
            tx.put(
                Account(
                    id=name, created_at=NOW, email=None, name=name, password=None, secret_hash=b"", scope=("read",),
                    networks=("*",),
                )
            )  # fmt: skip

    await harness.store.write(put)
    await harness.admin("peers.allow", uid=4711, scope="read")
    answer = await changes(harness)
    assert (answer.reset, answer.has_more) == (True, True)
    seen = list(told(answer))
    await harness.admin("users.delete", client_id="client-000")
    await harness.admin("users.scope", client_id="client-449", scope="write")
    while answer.has_more:
        answer = await changes(harness, answer.cursor, wait=30)  # does not wait while more is pending
        assert not answer.reset
        seen += told(answer)
    assert len(seen) == len(set(seen)) == 451
    answer = await changes(harness, answer.cursor)
    assert answer.gone == ["client-000"]
    assert told(answer)["client-449"].scope == "write"


async def test_far_behind(harness: Harness) -> None:
    """Many changes come in parts, whether or not they concern the reader."""
    cursor = (await changes(harness)).cursor
    user = await harness.user()

    def put(tx: Writer) -> None:
        account = tx.get(Account, user.client_id)
        assert account is not None
        for number in range(250):
            tx.put(msgspec.structs.replace(account, id=f"more-{number}"))

    await harness.store.write(put)
    answer = await changes(harness, cursor)
    assert answer.has_more
    rest = await changes(harness, answer.cursor)
    assert not rest.has_more
    assert len(told(answer)) + len(told(rest)) == 251


RESETS: dict[str, Callable[[Harness], None]] = {
    "another store": lambda harness: setattr(harness.store, "generation", "f" * 16),
    "another start": lambda harness: setattr(harness.runtime, "boot_epoch", 8),
    "forgotten deletions": lambda harness: setattr(harness.store.state, "floor", harness.store.state.rev + 1),
    "other scopes": lambda harness: harness.configure(graph=ScopeGraph({"jobs": ("user",)}, generation=1)),
}


@pytest.mark.parametrize("what", RESETS)
async def test_reset(harness: Harness, what: str) -> None:
    """When the feed cannot continue from a cursor, it answers at once with a reset and everything."""
    user = await harness.user()
    cursor = (await changes(harness)).cursor
    RESETS[what](harness)
    answer = await changes(harness, cursor, wait=30)
    assert answer.reset
    assert user.client_id in told(answer)


@pytest.mark.parametrize(
    "cursor", ["", "x", "a.1.b", "a.x.b.0", "a.1.b.0.7", "a.1.b.0.-1.x", "a.01.b.0", "a.1.b.0.0.x.y"]
)
async def test_foreign_cursors(harness: Harness, cursor: str) -> None:
    """A cursor that herod never issued is refused."""
    with pytest.raises(InvalidRequest, match="cursor"):
        await changes(harness, cursor)


async def test_a_page_that_is_none(harness: Harness) -> None:
    """A snapshot cursor with an invalid page is refused."""
    generation, rev, instance, unwritten = (await changes(harness)).cursor.split(".")
    with pytest.raises(InvalidRequest, match="cursor"):
        await changes(harness, f"{generation}.{rev}.{instance}.{unwritten}.0.strange")


async def test_over_rest(harness: Harness) -> None:
    """Over REST it is a GET with cursor and wait in the query, answered in the envelope."""
    headers = {"authorization": f"Peer {COOKIE}"}
    answer = await harness.request("GET", "/api/v1/tokens/changes", headers=headers, source=ADMIN_SOURCE)
    data = answer.json["data"]
    assert data["reset"] is True
    target = f"/api/v1/tokens/changes?cursor={data['cursor']}&wait=0"
    answer = await harness.request("GET", target, headers=headers, source=ADMIN_SOURCE)
    assert (answer.status, answer.json["data"]["reset"]) == (200, False)
    assert answer.response.is_quiet


async def test_new_public_keys(harness: Harness) -> None:
    """A new key for apps, or one that is gone, is announced without its id; the reader then fetches the key set."""
    cursor = (await changes(harness)).cursor
    record = new_signing_record("ES256", new_private("ES256"), now=NOW, for_apps=True)

    def put(tx: Writer) -> None:
        tx.put(record)

    def delete(tx: Writer) -> None:
        tx.delete(SigningKeyRecord, record.id)

    for change in (put, delete):
        await harness.store.write(change)
        answer = await changes(harness, cursor, wait=5)
        assert (answer.new_keys, answer.reset, answer.subjects, answer.gone, answer.revoked) == (
            True,
            False,
            [],
            [],
            [],
        )
        assert record.id not in str(answer)
        cursor = answer.cursor
    assert not (await changes(harness, cursor)).new_keys
