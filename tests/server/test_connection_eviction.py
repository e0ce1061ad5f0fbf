"""Connection eviction when all slots are taken, as a table, and on real sockets with two sources."""

from dataclasses import dataclass

import pytest
import trio
import trio.testing

from herod.server.connection_eviction import Eviction
from herod.server.connection_limits import Limits
from support.in_process_server import GET, Client, Way, serving

LATEST = 100.0


@dataclass(eq=False)
class Seat:
    """A connection as the eviction sees it."""

    name: str
    waits_since: float = 0.0
    is_receiving: bool = True
    is_idle: bool = False
    is_sending: bool = False

    share: str = ""

    def __post_init__(self) -> None:
        """Take source and number from the name; by default it has just begun to wait, in order of the numbers."""
        self.share = self.name[0]
        self.waits_since = self.waits_since or LATEST + int(self.name[1])


def old(name: str, *, idle: bool = False, since: float = LATEST) -> Seat:
    """A connection that has waited long enough to be evicted for any source."""
    return Seat(name, waits_since=since, is_idle=idle)


def busy(name: str) -> Seat:
    """A connection with a request in progress."""
    return Seat(name, is_receiving=False)


def stuck(name: str) -> Seat:
    """A connection whose client does not read its answer."""
    return Seat(name, is_receiving=False, is_sending=True)


TABLE: dict[str, tuple[str | None, list[Seat], str | None]] = {
    "a source that holds more, at once": ("b", [Seat("a1"), Seat("a2")], "a1"),
    "one each is fair": ("b", [Seat("a1"), Seat("c1")], None),
    "as many as the newcomer would then have": ("b", [Seat("a1"), Seat("a2"), Seat("b1")], None),
    "one's own, when it waited long": ("a", [Seat("a1"), old("a2"), Seat("a3")], "a2"),
    "never of who holds less": ("a", [Seat("a1"), Seat("a2"), old("b1", since=1)], None),
    "of an equal, when it waited long": ("a", [Seat("a1"), old("b1", since=1)], "b1"),
    "the heaviest first": ("c", [old("b1"), old("b2"), Seat("a1"), Seat("a2"), Seat("a3")], "a1"),
    "the next one where the heaviest works": ("c", [busy("a1"), busy("a2"), busy("a3"), Seat("b1"), Seat("b2")], "b1"),
    "never what is in hand": ("b", [busy("a1"), busy("a2")], None),
    "who does not read, last": ("b", [stuck("a1"), Seat("a2", is_idle=True)], "a2"),
    "who does not read, though": ("b", [stuck("a1"), busy("a2")], "a1"),
    "an equal who does not read stays": ("a", [stuck("a1"), stuck("a2")], None),
    "half a request before none": ("a", [old("a1", idle=True, since=1), old("a2", since=2)], "a2"),
    "idle for long before a fresh request": ("b", [Seat("a1"), old("a2", idle=True)], "a2"),
    "the longest": ("a", [old("a1", since=2), old("a2", since=1)], "a2"),
    "for who is not known yet": (None, [Seat("a1"), Seat("a2"), old("b1")], "b1"),
    "nobody, for who is not known yet": (None, [Seat("a1"), Seat("a2")], None),
    "nobody there": ("a", [], None),
}


@pytest.mark.parametrize("name", TABLE)
def test_who_gives_way(name: str) -> None:
    """Each row evicts the expected connection or none."""
    newcomer, seats, expected = TABLE[name]
    shares: Eviction[Seat] = Eviction()
    for seat in seats:
        shares.add(seat)
    chosen = shares.choose(newcomer, latest=LATEST)
    assert (chosen.name if chosen is not None else None) == expected


def subordinate(number: int) -> Seat:
    """A connection of one of a user's subordinate uids."""
    seat = Seat(f"s{number}")
    seat.share = f"uid:{165_536 + number}"
    return seat


@pytest.mark.parametrize(
    ("newcomer", "others"),
    [
        pytest.param("b", [], id="another source"),
        pytest.param("b", ["b1", "b2"], id="who has more than each source of the range"),
        pytest.param("uid:300000", [], id="another user's subordinate uid"),
        pytest.param("uid:166000", ["b1", "b2", "b3"], id="one more of the range"),
    ],
)
def test_many_sources_of_one_person(newcomer: str, others: list[str]) -> None:
    """Whoever takes all connections with one of each of many sources gives way, and takes none from others."""
    shares: Eviction[Seat] = Eviction()
    for seat in [subordinate(number) for number in range(10)] + [old(name, since=1) for name in others]:
        shares.add(seat)
    chosen = shares.choose(newcomer, latest=LATEST)
    assert chosen is not None
    assert chosen.name[0] == "s"


def test_places_are_counted() -> None:
    """Each connection counts once, may be discarded repeatedly, and a source without any is forgotten."""
    shares: Eviction[Seat] = Eviction()
    one, two = Seat("a1"), Seat("a2")
    shares.add(one)
    shares.add(two)
    assert len(shares) == 2
    for _ in range(2):
        shares.discard(one)
    assert len(shares) == 1
    shares.discard(two)
    assert len(shares) == 0
    assert not shares.by_range


async def fill(clients: list[Client], data: bytes) -> None:
    """Send this from each client, and wait until it has arrived."""
    for client in clients:
        if data:
            await client.send(data)
    await trio.testing.wait_all_tasks_blocked(0.01)


@pytest.mark.parametrize("data", [b"", GET[:9], GET.replace(b"/a", b"/big")], ids=["silent", "head", "reader"])
@pytest.mark.parametrize(("greedy", "modest"), [("tcp", "unix"), ("unix", "tcp")])
async def test_nobody_is_locked_out(greedy: Way, modest: Way, data: bytes) -> None:
    """A source that floods faster than connections become idle cannot lock out another, which gets and keeps a slot."""
    limits = Limits(max_connections=6, evict_seconds=3600)
    async with serving(limits=limits) as running:
        clients = [await running.connect(greedy) for _ in range(6)]
        await fill(clients, data)
        async with await running.connect(modest) as first, await running.connect(modest) as second:
            assert (await first.ask(GET)).status == 200
            assert (await second.ask(GET)).status == 200
            # none of these evicts the modest one
            clients.extend([await running.connect(greedy) for _ in range(20)])
            await fill(clients[-20:], b"")
            for client in (first, second):
                assert (await client.ask(GET)).status == 200
        for client in clients:
            await trio.aclose_forcefully(client.stream)


async def test_all_loopback_addresses_are_one_source() -> None:
    """All of 127.0.0.0/8 is one source."""
    limits = Limits(max_connections=4, evict_seconds=3600)
    async with serving(limits=limits) as running:
        streams = []
        for number in range(2, 8):
            stream = await trio.open_tcp_stream("127.0.0.1", running.port, local_address=f"127.0.0.{number}")
            streams.append(stream)
        await trio.testing.wait_all_tasks_blocked(0.01)
        async with await running.connect() as other:
            assert (await other.ask(GET)).status == 200
        for stream in streams:
            await trio.aclose_forcefully(stream)
