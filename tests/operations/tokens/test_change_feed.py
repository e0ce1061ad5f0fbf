"""The change feed for local verifiers: what it contains, when, for whom, and what it never contains."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from herod.identity.credential_types import Bearer, Presented
from herod.operations.tokens import feed_entries
from herod.operations.tokens.change_feed import TokenChangesAnswer
from herod.pipeline.app_signing_keys import new_signing_record
from herod.pipeline.process.process_state import WAITING, WAITING_OF_PRINCIPAL, WAITING_OF_SOURCE
from herod.records import Account, SigningKeyRecord
from herod.scopes.principal import Peer, Source
from herod.store.store_interface import Writer
from herod.throttle.fair_places import Place
from herod_client.core.access_tokens import Claims
from herod_client.core.errors import InvalidRequest, RateLimited, RevokedToken, Unauthenticated, Unavailable
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import new_private
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LOCAL_ADMIN, NOW, Harness, open_harness

LOCAL = "local-admin"


async def changes(harness: Harness, cursor: str | None = None, wait: int = 0, **more: Any) -> TokenChangesAnswer:
    """Ask once, as the local admin by default."""
    presented: Presented = more.get("presented", LOCAL_ADMIN)
    source: Source = more.get("source", ADMIN_SOURCE)
    answer: TokenChangesAnswer = await harness.call("token.changes", presented, source, cursor=cursor, wait=wait)
    return answer


def claims_of(harness: Harness, token: str) -> Claims:
    """The claims of a token."""
    return harness.runtime.claims(token, harness.clock.now)


def told(answer: TokenChangesAnswer) -> dict[str, Any]:
    """The subjects of an answer by id, without the local admin."""
    return {one.sub: one for one in answer.subjects if one.sub != LOCAL}


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


@pytest.mark.parametrize("wait", [-1, 31])
async def test_wait_has_bounds(harness: Harness, wait: int) -> None:
    """The wait is 0 to 30 seconds."""
    with pytest.raises(InvalidRequest, match="0 to 30"):
        await changes(harness, wait=wait)


async def test_waiting_ends_with_nothing(harness: Harness, autojump_clock: MockClock) -> None:
    """After the requested wait the answer is empty, with a cursor to continue."""
    await harness.user()
    cursor = (await changes(harness)).cursor
    with trio.fail_after(31):
        answer = await changes(harness, cursor, wait=30)
    assert trio.current_time() >= 30
    assert (answer.cursor, answer.subjects, answer.reset) == (cursor, [], False)


async def test_news_ends_waiting(harness: Harness, autojump_clock: MockClock) -> None:
    """A revocation ends the wait; a change that concerns no token does not."""
    user = await harness.user()
    token = await user.token()
    cursor = (await changes(harness)).cursor
    answers: list[TokenChangesAnswer] = []

    async def follow() -> None:
        answers.append(await changes(harness, cursor, wait=30))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        await harness.service_key("read")
        await user.session()
        await wait_all_tasks_blocked()
        assert answers == []
        await harness.admin("token.revoke", token=token)
        await wait_all_tasks_blocked()
        assert [one.jti for one in answers[0].revoked] == [claims_of(harness, token).jti]
    assert not len(harness.pipeline.process.feed_places)


async def test_who_may_no_longer_ask_gets_no_answer(harness: Harness, autojump_clock: MockClock) -> None:
    """The right to read is checked again before an answer after a wait."""
    user = await harness.user()
    token = await user.token()
    cursor = (await changes(harness)).cursor

    async def follow() -> None:
        with pytest.raises(RevokedToken):
            await changes(harness, cursor, wait=30, presented=Bearer(token))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        await harness.admin("users.delete", client_id=user.client_id)


async def test_who_leaves_gives_the_place_back(harness: Harness) -> None:
    """A cancelled wait frees its slot."""
    cursor = (await changes(harness)).cursor
    async with trio.open_nursery() as nursery:
        nursery.start_soon(changes, harness, cursor, 30)
        await wait_all_tasks_blocked()
        assert len(harness.pipeline.process.feed_places) == 1
        nursery.cancel_scope.cancel()
    assert not len(harness.pipeline.process.feed_places)
    assert not len(harness.store.change_notifier)


async def test_stopping_ends_waiting(harness: Harness) -> None:
    """At shutdown all waiting callers are answered, and no new wait begins."""
    cursor = (await changes(harness)).cursor
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(changes, harness, cursor, 30)
            await wait_all_tasks_blocked()
            harness.runtime.is_stopping = True
            harness.store.change_notifier.send()
        await changes(harness, cursor, wait=30)


def uid(number: int) -> Source:
    """A local user's connection; root's and the daemon's user's send the cookie."""
    return Source(peer=Peer(uid=number, gid=number), cookie=COOKIE)


@contextmanager
def waiting(harness: Harness, *holders: tuple[str, str, str]) -> Iterator[list[Place]]:
    """Hold the place of a waiting caller for each range, source and principal."""
    with ExitStack() as stack:
        held = [stack.enter_context(harness.pipeline.process.feed_places.hold(*holder)) for holder in holders]
        yield [place for place in held if place is not None]


def callers(source: str, principals: int, each: int) -> list[tuple[str, str, str]]:
    """The paths of so many principals of one source, each of which waits so many times."""
    return [(source, source, f"principal {number % principals}") for number in range(principals * each)]


@pytest.mark.parametrize(
    "holders",
    [
        pytest.param([(f"uid:{n}", f"uid:{n}", "p") for n in range(WAITING)], id="in all"),
        pytest.param(callers("uid:990", WAITING_OF_SOURCE, 1), id="of a source"),
        pytest.param([("uid:990", "uid:990", LOCAL)] * WAITING_OF_PRINCIPAL, id="of a principal"),
    ],
)
async def test_no_more_than_so_many_wait(harness: Harness, holders: list[tuple[str, str, str]]) -> None:
    """A wait beyond a limit gets 429 where nobody holds more than its own share; without a wait nobody is limited."""
    cursor = (await changes(harness)).cursor
    with waiting(harness, *holders):
        with pytest.raises(RateLimited) as refused:
            await changes(harness, cursor, wait=1)
        assert refused.value.retry_after > 0
        assert not (await changes(harness, cursor)).reset
    assert not len(harness.pipeline.process.feed_places)


@pytest.mark.parametrize(
    "holders",
    [
        pytest.param([one for n in range(4) for one in callers(f"uid:{n}", 4, 16)], id="of four sources"),
        pytest.param(callers("uid:990", 16, 4), id="of sixteen accounts of one source"),
        pytest.param([("uids:1-9", f"uid:{n}", "p") for n in range(WAITING)], id="of a range of sources"),
    ],
)
async def test_a_newcomer_takes_a_place_from_whoever_holds_the_most(
    harness: Harness, holders: list[tuple[str, str, str]], autojump_clock: MockClock
) -> None:
    """When all places are taken, a newcomer waits nevertheless, and one of the largest share is answered at once."""
    cursor = (await changes(harness)).cursor
    with waiting(harness, *holders) as held:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(changes, harness, cursor, 30)
            await wait_all_tasks_blocked()
            assert sum(place.scope.cancel_called for place in held) == 1
            nursery.cancel_scope.cancel()


async def test_who_loses_the_place_is_answered_at_once(harness: Harness) -> None:
    """The answer to a wait that ends early is the same as after its time: no changes, and a cursor to go on from."""
    user = await harness.user()
    cursor = (await changes(harness)).cursor
    answers: list[TokenChangesAnswer] = []

    async def follow() -> None:
        answers.append(await changes(harness, cursor, wait=30, presented=user.basic, source=uid(990)))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            with waiting(harness, *callers("uid:990", WAITING_OF_SOURCE - 2, 1)):
                nursery.start_soon(changes, harness, cursor, 1)
                await wait_all_tasks_blocked()
                assert [(answer.reset, answer.cursor) for answer in answers] == [(False, cursor)]
                nursery.cancel_scope.cancel()


async def test_one_principal_cannot_keep_others_out(harness: Harness, autojump_clock: MockClock) -> None:
    """Sixteen waits of one principal leave room for others."""
    first, second = await harness.user(), await harness.user()
    cursor = (await changes(harness)).cursor
    refused = 0

    async def follow(user: Any, source: Source) -> None:
        nonlocal refused
        try:
            await changes(harness, cursor, wait=1, presented=user.basic, source=source)
        except RateLimited:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(follow, first, uid(1000))
        await wait_all_tasks_blocked()
        nursery.start_soon(follow, second, uid(1000))
    assert refused == 4


async def test_what_the_store_could_not_take(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation that only this process knows is sent like any other, and ends waits."""
    user = await harness.user()
    token = await user.token()
    cursor = (await changes(harness)).cursor
    answers: list[TokenChangesAnswer] = []

    async def refuse(function: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise Unavailable("read-only", reason="read_only")

    async def follow() -> None:
        answers.append(await changes(harness, cursor, wait=30))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            monkeypatch.setattr(harness.store, "write", refuse)
            with pytest.raises(Unavailable):
                await harness.call("token.revoke", user.basic, token=token)
    jti = claims_of(harness, token).jti
    assert [one.jti for one in answers[0].revoked] == [jti]
    assert (await changes(harness, answers[0].cursor)).revoked == []
    assert [one.jti for one in (await changes(harness)).revoked] == [jti]


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
