"""The feed for local verifiers: what it tells, when, to whom, and what it never tells."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from herod.identity.credential_types import Bearer, Presented
from herod.operations.tokens import change_feed
from herod.operations.tokens.change_feed import TokenChanges
from herod.records import Account
from herod.scopes.principal import Peer, Source
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import Claims
from herod_client.core.errors import InvalidRequest, RateLimited, RevokedToken, Unauthenticated, Unavailable
from herod_client.core.scope_graph import ScopeGraph
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LOCAL_ADMIN, NOW, House, open_house

LOCAL = "local-admin"


async def changes(house: House, cursor: str | None = None, wait: int = 0, **more: Any) -> TokenChanges:
    """Ask once, as the local admin unless told otherwise."""
    presented: Presented = more.get("presented", LOCAL_ADMIN)
    source: Source = more.get("source", ADMIN_SOURCE)
    answer: TokenChanges = await house.call("token.changes", presented, source, cursor=cursor, wait=wait)
    return answer


def claims_of(house: House, token: str) -> Claims:
    """What a token says."""
    return house.runtime.claims(token, house.clock.now)


def told(answer: TokenChanges) -> dict[str, Any]:
    """The subjects of an answer by id, without the local admin."""
    return {one.sub: one for one in answer.subjects if one.sub != LOCAL}


async def test_everything_first(house: House) -> None:
    """Without a cursor: accounts, peer rules, the local admin, what was revoked, and the rules; and no more comes."""
    user = await house.user("write", ["lab", "attic"])
    rule = await house.admin("peers.allow", uid=4711, scope="read")
    token = await user.token()
    await house.admin("token.revoke", token=token)
    answer = await changes(house)
    assert (answer.reset, answer.has_more, answer.gone) == (True, False, [])
    known = told(answer)
    assert set(known) == {user.client_id, rule.id}
    account = known[user.client_id]
    assert (account.kind, account.epoch, account.scope, account.enabled) == ("account", 1, "write", True)
    assert account.networks == ["attic", "lab"]
    assert (known[rule.id].kind, known[rule.id].scope, known[rule.id].networks) == ("peer", "read", ["*"])
    [local] = [one for one in answer.subjects if one.sub == LOCAL]
    assert (local.kind, local.epoch, local.scope) == ("local_admin", house.runtime.boot_epoch, "admin")
    claims = claims_of(house, token)
    assert [(one.sub, one.jti, one.exp) for one in answer.revoked] == [(claims.sub, claims.jti, claims.exp)]
    rules = answer.rules
    assert rules is not None
    assert (rules.issuer, rules.audience_issuer, rules.token_ttl) == ("hero_auth", "http://localhost", 3600)
    assert set(rules.scopes["write"]) == {"read"}
    assert "read" in rules.scopes["owner"]


async def test_the_rules_make_the_same_graph() -> None:
    """A reader's graph of the rules holds what herod's does, scopes of the settings too."""
    async with open_house(scopes={"jobs:run": ("user",), "audit": ("admin",)}) as house:
        rules = (await changes(house)).rules
        assert rules is not None
        theirs, ours = ScopeGraph(rules.scopes), house.runtime.config.graph
        for name in ours.scopes:
            held = {other for other in ours.scopes if ours.bit(other) & ours.mask((name,))}
            assert held == {other for other in theirs.scopes if theirs.bit(other) & theirs.mask((name,))}


@pytest.mark.parametrize("change", ["scope", "networks", "disable", "rotate_secret", "delete"])
async def test_what_changes_is_told_once(house: House, change: str) -> None:
    """The next answer holds the one account that changed, as it is now, and the one after that nothing."""
    user, other = await house.user("write"), await house.user("read")
    before = await changes(house)
    match change:
        case "scope":
            await house.admin("users.scope", client_id=user.client_id, scope="read")
        case "networks":
            await house.admin("users.update", client_id=user.client_id, networks=["lab"])
        case "disable":
            await house.admin("users.disable", client_id=user.client_id)
        case "rotate_secret":
            await house.call("users.rotate_secret", user.basic, client_id=user.client_id)
        case _:
            await house.admin("users.delete", client_id=user.client_id)
    answer = await changes(house, before.cursor)
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
    after = await changes(house, answer.cursor)
    assert (after.subjects, after.gone, after.revoked) == ([], [], [])


async def test_revocations_are_told(house: House) -> None:
    """By subject and token id; one long over is not worth telling."""
    user = await house.user()
    before = await changes(house)
    token = await user.token()
    await house.call("token.revoke", user.basic, token=token)
    [taken] = (await changes(house, before.cursor)).revoked
    assert (taken.sub, taken.jti) == (user.client_id, claims_of(house, token).jti)
    house.clock.now = taken.exp + change_feed.KEPT_SECONDS
    assert (await changes(house)).revoked == []


async def test_no_names_and_no_secrets(house: House) -> None:
    """Ids, scopes, networks and epochs: whoever may read this learns no name, address or hash."""
    await house.user(email="canary@example.org", name="Canary", password="the canary's password")
    await house.service_key("admin", "canary-key")
    written = msgspec.json.encode(await changes(house)).lower()
    assert b"canary" not in written
    assert b"hash" not in written


@pytest.mark.parametrize("scope", ["registrar", "read"])
async def test_any_principal_may_read_it(house: House, scope: str) -> None:
    """A key of little scope is enough, and none at all is not."""
    key = await house.service_key(scope)
    assert (await changes(house, presented=Bearer(key))).reset
    with pytest.raises(Unauthenticated):
        await house.call("token.changes", None)


async def test_a_long_snapshot_comes_in_parts(house: House) -> None:
    """Each account once, and what changes between the parts afterwards."""

    def put(tx: Writer) -> None:
        for number in range(450):
            name = f"client-{number:03}"
            tx.put(
                Account(
                    id=name, created_at=NOW, email=None, name=name, password=None, secret_hash=b"", scope=("read",),
                    networks=("*",),
                )
            )  # fmt: skip

    await house.store.write(put)
    await house.admin("peers.allow", uid=4711, scope="read")
    answer = await changes(house)
    assert (answer.reset, answer.has_more) == (True, True)
    seen = list(told(answer))
    await house.admin("users.delete", client_id="client-000")
    await house.admin("users.scope", client_id="client-449", scope="write")
    while answer.has_more:
        answer = await changes(house, answer.cursor, wait=30)  # and nobody waits for what is there
        assert not answer.reset
        seen += told(answer)
    assert len(seen) == len(set(seen)) == 451
    answer = await changes(house, answer.cursor)
    assert answer.gone == ["client-000"]
    assert told(answer)["client-449"].scope == "write"


async def test_far_behind(house: House) -> None:
    """Many changes come in parts too, whether or not they concern the reader."""
    cursor = (await changes(house)).cursor
    user = await house.user()

    def put(tx: Writer) -> None:
        account = tx.get(Account, user.client_id)
        assert account is not None
        for number in range(250):
            tx.put(msgspec.structs.replace(account, id=f"more-{number}"))

    await house.store.write(put)
    answer = await changes(house, cursor)
    assert answer.has_more
    rest = await changes(house, answer.cursor)
    assert not rest.has_more
    assert len(told(answer)) + len(told(rest)) == 251


RESETS: dict[str, Callable[[House], None]] = {
    "another store": lambda house: setattr(house.store, "generation", "f" * 16),
    "another start": lambda house: setattr(house.runtime, "boot_epoch", 8),
    "forgotten deletions": lambda house: setattr(house.store.state, "floor", house.store.state.rev + 1),
    "other scopes": lambda house: house.configure(graph=ScopeGraph({"jobs": ("user",)}, generation=1)),
}


@pytest.mark.parametrize("what", RESETS)
async def test_reset(house: House, what: str) -> None:
    """Where the feed cannot go on, everything comes anew, at once."""
    user = await house.user()
    cursor = (await changes(house)).cursor
    RESETS[what](house)
    answer = await changes(house, cursor, wait=30)
    assert answer.reset
    assert user.client_id in told(answer)


@pytest.mark.parametrize(
    "cursor", ["", "x", "a.1.b", "a.x.b.0", "a.1.b.0.7", "a.1.b.0.-1.x", "a.01.b.0", "a.1.b.0.0.x.y"]
)
async def test_foreign_cursors(house: House, cursor: str) -> None:
    """What no answer gave is refused."""
    with pytest.raises(InvalidRequest, match="cursor"):
        await changes(house, cursor)


async def test_a_page_that_is_none(house: House) -> None:
    """A snapshot's cursor with a strange page is refused as well."""
    generation, rev, instance, unwritten = (await changes(house)).cursor.split(".")
    with pytest.raises(InvalidRequest, match="cursor"):
        await changes(house, f"{generation}.{rev}.{instance}.{unwritten}.0.strange")


@pytest.mark.parametrize("wait", [-1, 31])
async def test_wait_has_bounds(house: House, wait: int) -> None:
    """0 to 30 seconds."""
    with pytest.raises(InvalidRequest, match="0 to 30"):
        await changes(house, wait=wait)


async def test_waiting_ends_with_nothing(house: House, autojump_clock: MockClock) -> None:
    """After the time asked for the answer is empty, and goes on."""
    await house.user()
    cursor = (await changes(house)).cursor
    with trio.fail_after(31):
        answer = await changes(house, cursor, wait=30)
    assert trio.current_time() >= 30
    assert (answer.cursor, answer.subjects, answer.reset) == (cursor, [], False)


async def test_news_ends_waiting(house: House, autojump_clock: MockClock) -> None:
    """A revocation wakes who waits; what concerns no token does not."""
    user = await house.user()
    token = await user.token()
    cursor = (await changes(house)).cursor
    answers: list[TokenChanges] = []

    async def follow() -> None:
        answers.append(await changes(house, cursor, wait=30))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        await house.service_key("read")
        await user.session()
        await wait_all_tasks_blocked()
        assert answers == []
        await house.admin("token.revoke", token=token)
        await wait_all_tasks_blocked()
        assert [one.jti for one in answers[0].revoked] == [claims_of(house, token).jti]
    assert not house.runtime.waiting


async def test_who_may_no_longer_ask_gets_no_answer(house: House, autojump_clock: MockClock) -> None:
    """The right to read is looked at again when there is something to tell."""
    user = await house.user()
    token = await user.token()
    cursor = (await changes(house)).cursor

    async def follow() -> None:
        with pytest.raises(RevokedToken):
            await changes(house, cursor, wait=30, presented=Bearer(token))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        await house.admin("users.delete", client_id=user.client_id)


async def test_who_leaves_gives_the_place_back(house: House) -> None:
    """A cancelled wait is counted no more."""
    cursor = (await changes(house)).cursor
    async with trio.open_nursery() as nursery:
        nursery.start_soon(changes, house, cursor, 30)
        await wait_all_tasks_blocked()
        assert house.runtime.waiting[""] == 1
        nursery.cancel_scope.cancel()
    assert not house.runtime.waiting
    assert not len(house.store.change_notifier)


async def test_stopping_ends_waiting(house: House) -> None:
    """When the daemon stops everybody gets an answer, and nobody begins to wait."""
    cursor = (await changes(house)).cursor
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(changes, house, cursor, 30)
            await wait_all_tasks_blocked()
            house.runtime.is_stopping = True
            house.store.change_notifier.send()
        await changes(house, cursor, wait=30)


def uid(number: int) -> Source:
    """A local user's connection; root's and the daemon's have the cookie."""
    return Source(peer=Peer(uid=number, gid=number), cookie=COOKIE)


@contextmanager
def waiting(house: House, name: str, count: int) -> Iterator[None]:
    """So many wait already."""
    house.runtime.waiting[name] = count
    try:
        yield
    finally:
        del house.runtime.waiting[name]


@pytest.mark.parametrize(
    ("name", "count"),
    [("", change_feed.WAITING), ("source uid:990", change_feed.WAITING_OF_SOURCE), ("principal local-admin", 16)],
)
async def test_no_more_than_so_many_wait(house: House, name: str, count: int) -> None:
    """In all, from one source and as one principal: then 429, and asking without waiting is free."""
    cursor = (await changes(house)).cursor
    with waiting(house, name, count):
        with pytest.raises(RateLimited) as refused:
            await changes(house, cursor, wait=1)
        assert refused.value.retry_after > 0
        assert not (await changes(house, cursor)).reset
    assert not house.runtime.waiting


async def test_one_principal_cannot_keep_others_out(house: House, autojump_clock: MockClock) -> None:
    """Sixteen that wait leave room for somebody else."""
    first, second = await house.user(), await house.user()
    cursor = (await changes(house)).cursor
    refused = 0

    async def follow(user: Any, source: Source) -> None:
        nonlocal refused
        try:
            await changes(house, cursor, wait=1, presented=user.basic, source=source)
        except RateLimited:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(follow, first, uid(1000))
        await wait_all_tasks_blocked()
        nursery.start_soon(follow, second, uid(1000))
    assert refused == 4


async def test_what_the_store_could_not_take(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation that holds in this process alone is told like any other, and wakes who waits."""
    user = await house.user()
    token = await user.token()
    cursor = (await changes(house)).cursor
    answers: list[TokenChanges] = []

    async def refuse(function: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise Unavailable("read-only", reason="read_only")

    async def follow() -> None:
        answers.append(await changes(house, cursor, wait=30))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            monkeypatch.setattr(house.store, "write", refuse)
            with pytest.raises(Unavailable):
                await house.call("token.revoke", user.basic, token=token)
    jti = claims_of(house, token).jti
    assert [one.jti for one in answers[0].revoked] == [jti]
    assert (await changes(house, answers[0].cursor)).revoked == []
    assert [one.jti for one in (await changes(house)).revoked] == [jti]


async def test_over_rest(house: House) -> None:
    """GET with cursor and wait in the query; in the envelope."""
    headers = {"authorization": f"Peer {COOKIE}"}
    answer = await house.request("GET", "/api/v1/tokens/changes", headers=headers, source=ADMIN_SOURCE)
    data = answer.json["data"]
    assert data["reset"] is True
    target = f"/api/v1/tokens/changes?cursor={data['cursor']}&wait=0"
    answer = await house.request("GET", target, headers=headers, source=ADMIN_SOURCE)
    assert (answer.status, answer.json["data"]["reset"]) == (200, False)
    assert answer.response.is_quiet
