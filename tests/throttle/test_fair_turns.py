"""Turns of slow work: the sources that wait are served in rotation, and one that guesses waits for the others."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from herod.throttle.fair_turns import MAX_WAITING, MAX_WAITING_RANGES, FairTurns
from herod.throttle.source_ranges import range_of
from herod_client.core.errors import BadCredentials, Unavailable

SECONDS = 0.03


def _check(*, is_wrong: bool) -> None:
    if is_wrong:
        raise BadCredentials("wrong")


class Queue:
    """Work of `SECONDS` for many sources, and what became of it."""

    def __init__(self) -> None:
        self.turns = FairTurns("full")
        self.served: list[str] = []
        self.refused: list[str] = []

    async def work(self, source: str, *, is_wrong: bool = False) -> None:
        """Take one turn."""
        try:
            async with self.turns.turn(source):
                self.served.append(source)
                await trio.sleep(SECONDS)
                _check(is_wrong=is_wrong)
        except Unavailable:
            self.refused.append(source)
        except BadCredentials:
            pass

    async def guess(self, source: str, times: int) -> None:
        """Take turns one after another, each with a wrong secret."""
        for _ in range(times):
            await self.work(source, is_wrong=True)


async def test_the_sources_take_turns(autojump_clock: MockClock) -> None:
    """Of a source that asks for much and one that asks for little, the second is served after one turn of the first."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:2")
    assert "uid:2" in queue.served[:3]
    assert len(queue.served) == 21


async def test_a_range_has_one_turn_of_the_rotation(autojump_clock: MockClock) -> None:
    """All subordinate uids of a user together are served as often as another user."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(queue.work, f"uid:{100_000 + number}")
        await wait_all_tasks_blocked()
        for _ in range(5):
            nursery.start_soon(queue.work, "uid:2")
    assert queue.served.index("uid:2") <= 2
    assert [position for position, name in enumerate(queue.served) if name == "uid:2"][-1] <= 11


async def test_within_a_range_every_source_has_its_turn(autojump_clock: MockClock) -> None:
    """One source of a range does not starve another of the same range."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(queue.work, "uid:100001")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:100002")
    assert "uid:100002" in queue.served[:3]


@pytest.mark.parametrize("first", [2000, 100_000], ids=["users", "subordinate uids"])
async def test_a_flood_of_sources_keeps_nobody_waiting(autojump_clock: MockClock, first: int) -> None:
    """While many sources guess as often as they can, a sign-in of another takes less than a second."""
    queue = Queue()

    async def flood(source: str) -> None:
        while True:
            before = len(queue.refused)
            await queue.work(source, is_wrong=True)
            await trio.sleep(SECONDS if len(queue.refused) > before else 0)

    with trio.fail_after(600):
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(flood, f"uid:{first + number}")
            await trio.sleep(20)  # each has had a few turns
            for _ in range(20):
                began = trio.current_time()
                await queue.work("uid:7")
                assert trio.current_time() - began < 1
                await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
    assert "uid:7" not in queue.refused
    assert queue.served.count("uid:7") == 20


async def test_who_guessed_is_served_after_the_others(autojump_clock: MockClock) -> None:
    """A source with several wrong guesses waits for those without, but is served, and it is forgotten in time."""
    queue = Queue()
    await queue.guess("uid:6", 6)
    queue.served.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:6")
        await wait_all_tasks_blocked()
        for number in range(10, 18):
            nursery.start_soon(queue.work, f"uid:{number}")
            await wait_all_tasks_blocked()
    assert queue.served.index("uid:6") == 2
    await trio.sleep(600)
    queue.served.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.work, "uid:17")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:6")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:16")
    assert queue.served[1] == "uid:6"  # its last turn is the longest ago


async def test_a_full_queue_refuses_the_largest_share(autojump_clock: MockClock) -> None:
    """A newcomer finds a place in a queue that one source has filled; that source does not."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_WAITING + 1):
            nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        assert queue.turns.waiting == MAX_WAITING
        nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        assert queue.refused == ["uid:1"]
        nursery.start_soon(queue.work, "uid:2")
        await wait_all_tasks_blocked()
        assert queue.refused == ["uid:1", "uid:1"]
    assert queue.served.count("uid:2") == 1


async def test_a_full_queue_is_fair_within_a_range(autojump_clock: MockClock) -> None:
    """Within a range, too, the source that waits for the most loses a place."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_WAITING + 1):
            nursery.start_soon(queue.work, "uid:100001")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:100002")
        await wait_all_tasks_blocked()
        assert queue.refused == ["uid:100001"]
    assert queue.served.count("uid:100002") == 1


async def test_equal_shares_refuse_the_newcomer(autojump_clock: MockClock) -> None:
    """Where everybody waits for one or two, and nobody has guessed, the newcomer is refused."""
    queue = Queue()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        for number in range(MAX_WAITING_RANGES):
            nursery.start_soon(queue.work, f"uid:{100 + number}")
        await wait_all_tasks_blocked()
        nursery.start_soon(queue.work, "uid:99")
        await wait_all_tasks_blocked()
        assert queue.refused == ["uid:99"]


async def test_whoever_leaves_takes_no_turn(autojump_clock: MockClock) -> None:
    """A cancelled call leaves the queue, also at the moment its turn comes, and the next is served."""
    queue = Queue()

    async def leave(after: float) -> None:
        with trio.move_on_after(after):
            await queue.work("uid:3")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.work, "uid:1")
        await wait_all_tasks_blocked()
        nursery.start_soon(leave, SECONDS / 2)
        nursery.start_soon(leave, SECONDS)
        nursery.start_soon(queue.work, "uid:2")
    assert queue.served.count("uid:2") == 1
    assert queue.turns.waiting == 0
    await queue.work("uid:4")
    assert queue.served[-1] == "uid:4"


async def test_the_past_of_sources_is_bounded(autojump_clock: MockClock) -> None:
    """Sources without number leave the queue working."""
    queue = Queue()
    for number in range(5000):
        with suppress(BadCredentials):
            async with queue.turns.turn(f"10.{number // 250}.{number % 250}.1"):
                raise BadCredentials("wrong")
    await queue.work("uid:1")
    assert queue.served == ["uid:1"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("uid:1000", "uid:1000"),
        ("uid:99999", "uid:99999"),
        ("uid:100000", "uids:100000-165535"),
        ("uid:165535", "uids:100000-165535"),
        ("uid:165536", "uids:165536-231071"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("x::/64", "x::/64"),
        ("unix", "unix"),
        ("uid:1000 http://localhost:6274", "uid:1000 pages"),
        ("uid:1000 other-origin", "uid:1000 pages"),
        ("uid:1000 pages", "uid:1000 pages"),
        ("uid:100001 https://app.example.org", "uids:100000-165535 pages"),
        ("2001:db8:1:2::/64 http://localhost:1", "2001:db8:1::/48 pages"),
        ("127.0.0.0/8 uid:0", "127.0.0.0/8 uid:0"),
        ("127.0.0.0/8 uid:0 http://[::1]:80", "127.0.0.0/8 uid:0 pages"),
        ("192.0.2.7 by uid:33", "192.0.2.7 by uid:33"),
        ("192.0.2.7 by uid:33 http://localhost:1", "192.0.2.7 by uid:33 pages"),
    ],
)
def test_the_range_of_a_source(source: str, expected: str) -> None:
    """Subordinate uids, the networks of one IPv6 site, and all pages of one browser's user belong together."""
    name: Callable[[str], str] = range_of
    assert name(source) == expected
