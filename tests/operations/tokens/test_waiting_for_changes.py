"""Waiting for the change feed's next entry: how long, what ends it, and how many may."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from herod.identity.credential_types import Bearer
from herod.operations.tokens.change_feed import TokenChangesAnswer
from herod.pipeline.process.process_state import WAITING, WAITING_OF_PRINCIPAL, WAITING_OF_SOURCE
from herod.scopes.principal import Peer, Source
from herod.throttle.fair_places import Place
from herod_client.core.errors import InvalidRequest, RateLimited, RevokedToken, Unavailable
from support.change_feed import LOCAL, changes, claims_of
from support.herod_in_memory import COOKIE, Harness


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
