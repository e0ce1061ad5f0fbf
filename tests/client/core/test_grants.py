"""Grants: how they are intersected and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_client.core.errors import InvalidRequest
from herod_client.core.grants import (
    ALL_NETWORKS,
    NOTHING,
    Grant,
    check_required_network,
    intersect_grants,
    intersect_networks,
    list_networks,
    parse_networks,
)
from herod_client.core.scope_graph import ScopeGraph

GRAPH = ScopeGraph({"jobs:run": ["user"], "operator": ["admin"]})
NAMES = ["mainnet", "testnet", "devnet"]
INSTANTS = range(-1, 12)

masks = st.sets(st.sampled_from(GRAPH.scopes)).map(lambda names: GRAPH.mask(tuple(names)))
networks = st.just(ALL_NETWORKS) | st.frozensets(st.sampled_from(NAMES))
bounds = st.none() | st.integers(0, 10)
grants = st.builds(Grant, mask=masks, networks=networks, expires_at=bounds)


def reach(grant: Grant) -> set[tuple[int, str, int]]:
    """Everything a grant allows, enumerated: each bit, on each network, at each instant."""
    return {
        (bit, network, now)
        for bit in range(len(GRAPH.scopes))
        for network in [*NAMES, "another"]
        for now in INSTANTS
        if grant.mask >> bit & 1 and grant.proves(network) and grant.is_live(now)
    }


class TestIntersection:
    """An intersection never widens."""

    @given(first=grants, second=grants)
    def test_is_what_both_allow(self, first: Grant, second: Grant) -> None:
        """An intersection allows exactly what both allow."""
        assert reach(first.intersect(second)) == reach(first) & reach(second)

    @given(first=grants, second=grants)
    def test_is_covered_by_both(self, first: Grant, second: Grant) -> None:
        """Both grants cover their intersection."""
        shared = first.intersect(second)
        assert first.covers(shared)
        assert second.covers(shared)

    @given(first=grants, second=grants, third=grants)
    def test_algebra(self, first: Grant, second: Grant, third: Grant) -> None:
        """Intersection is commutative, associative and idempotent."""
        assert first.intersect(second) == second.intersect(first)
        assert first.intersect(second).intersect(third) == first.intersect(second.intersect(third))
        assert first.intersect(first) == first

    @given(held=st.lists(grants, max_size=3), other=grants)
    def test_of_several(self, held: list[Grant], other: Grant) -> None:
        """Several grants are intersected one by one, each with the same grant."""
        narrowed = intersect_grants(tuple(held), other)
        assert len(narrowed) == len(held)
        assert [reach(grant) for grant in narrowed] == [reach(grant) & reach(other) for grant in held]

    @given(grant=grants)
    def test_nothing(self, grant: Grant) -> None:
        """An intersection with nothing is nothing, and nothing allows nothing."""
        assert reach(grant.intersect(NOTHING)) == set()
        assert not reach(NOTHING)

    @given(wider=grants, narrower=grants, other=grants)
    def test_is_monotone(self, wider: Grant, narrower: Grant, other: Grant) -> None:
        """Intersection is monotone: a narrower grant stays narrower after the same intersection."""
        narrower = wider.intersect(narrower)
        assert wider.intersect(other).covers(narrower.intersect(other))

    @pytest.mark.parametrize(
        ("first", "second", "shared"),
        [
            (ALL_NETWORKS, ALL_NETWORKS, ALL_NETWORKS),
            (ALL_NETWORKS, frozenset({"a"}), frozenset({"a"})),
            (frozenset({"a"}), ALL_NETWORKS, frozenset({"a"})),
            (frozenset({"a", "b"}), frozenset({"b", "c"}), frozenset({"b"})),
            (frozenset({"a"}), frozenset({"b"}), frozenset()),
            (frozenset(), ALL_NETWORKS, frozenset()),
        ],
    )
    def test_networks(self, first: frozenset[str], second: frozenset[str], shared: frozenset[str]) -> None:
        """`*` is all networks, and without a common network none remains."""
        assert intersect_networks(first, second) == shared

    @pytest.mark.parametrize(
        ("first", "second", "shared"), [(None, None, None), (None, 5, 5), (5, None, 5), (4, 5, 4), (5, 4, 4), (0, 5, 0)]
    )
    def test_ends(self, first: int | None, second: int | None, shared: int | None) -> None:
        """The earlier end applies."""
        cut = Grant(1, ALL_NETWORKS, first).intersect(Grant(1, ALL_NETWORKS, second))
        assert cut.expires_at == shared


class TestCovers:
    """`covers` is the ⊆ behind every ceiling: a partial order."""

    @given(grant=grants)
    def test_reflexive(self, grant: Grant) -> None:
        """Every grant covers itself."""
        assert grant.covers(grant)

    @given(first=grants, second=grants)
    def test_antisymmetric(self, first: Grant, second: Grant) -> None:
        """Two grants that cover each other are equal."""
        assert (first.covers(second) and second.covers(first)) == (first == second)

    @given(widest=grants, middle=grants, narrowest=grants)
    def test_transitive(self, widest: Grant, middle: Grant, narrowest: Grant) -> None:
        """`covers` is transitive."""
        middle = widest.intersect(middle)
        narrowest = middle.intersect(narrowest)
        assert widest.covers(middle)
        assert middle.covers(narrowest)
        assert widest.covers(narrowest)

    @given(first=grants, second=grants)
    def test_is_sound(self, first: Grant, second: Grant) -> None:
        """A grant that covers another allows everything that it allows."""
        if first.covers(second):
            assert reach(second) <= reach(first)

    @pytest.mark.parametrize(
        ("given_", "covered"),
        [
            (Grant(0b011, frozenset({"a"}), 20), True),
            (Grant(0b001, frozenset(), 18), True),
            (Grant(0, frozenset(), 20), True),
            (Grant(0b111, frozenset({"a"}), 20), False),
            (Grant(0b011, frozenset({"a", "c"}), 20), False),
            (Grant(0b011, ALL_NETWORKS, 20), False),
            (Grant(0b011, frozenset({"a"}), 21), False),
            (Grant(0b011, frozenset({"a"}), None), False),
        ],
    )
    def test_table(self, given_: Grant, covered: bool) -> None:
        """A grant with more in any one respect is not covered."""
        assert Grant(0b011, frozenset({"a", "b"}), 20).covers(given_) is covered


@pytest.mark.parametrize(
    ("expires_at", "now", "live"), [(None, 0, True), (20, 19, True), (20, 20, False), (20, 21, False)]
)
def test_end(expires_at: int | None, now: int, live: bool) -> None:
    """A grant is not valid from the second of its end on."""
    assert Grant(1, ALL_NETWORKS, expires_at).is_live(now) is live


@pytest.mark.parametrize(
    ("held", "network", "proves"),
    [
        (ALL_NETWORKS, "anything", True),
        (frozenset({"a"}), "a", True),
        (frozenset({"a"}), "A", False),
        (frozenset({"a"}), "b", False),
        (frozenset({"a"}), "*", False),
        (frozenset(), "a", False),
    ],
)
def test_proves(held: frozenset[str], network: str, proves: bool) -> None:
    """A grant covers exactly the networks it names."""
    assert Grant(1, held).proves(network) is proves


class TestParseNetworks:
    """Parsing of network names."""

    @pytest.mark.parametrize(
        ("names", "networks"),
        [
            (["a"], frozenset({"a"})),
            (["a", "b", "a"], frozenset({"a", "b"})),
            (["*"], ALL_NETWORKS),
            (["a", "*"], ALL_NETWORKS),
            (["Main-net_1.2:3"], frozenset({"Main-net_1.2:3"})),
            (["x" * 64], frozenset({"x" * 64})),
        ],
    )
    def test_read(self, names: list[str], networks: frozenset[str]) -> None:
        """A list becomes a set; with `*` it means all."""
        assert parse_networks(names) == networks

    @pytest.mark.parametrize(
        "name", ["", " ", "a b", "-a", ".a", "a\n", "ä", "a*", "**", "x" * 65, "a;b", "../a", "\0"]
    )
    def test_ill_formed(self, name: str) -> None:
        """A name that would need quoting is refused, also beside `*`."""
        with pytest.raises(InvalidRequest, match="is not a network name"):
            parse_networks([name])
        with pytest.raises(InvalidRequest, match="is not a network name"):
            parse_networks(["*", name])

    def test_empty(self) -> None:
        """An empty list is refused, because all networks must be explicit."""
        with pytest.raises(InvalidRequest, match="No network was given"):
            parse_networks([])

    @pytest.mark.parametrize("last", ["n63", "another", "*"])
    def test_too_many(self, last: str) -> None:
        """64 names are accepted and 65 refused; duplicates count."""
        names = [f"n{number}" for number in range(64)]
        assert len(parse_networks(names)) == 64
        assert list_networks(names) == tuple(sorted(names))
        with pytest.raises(InvalidRequest, match="At most 64 networks can be given, not 65"):
            parse_networks([*names, last])
        with pytest.raises(InvalidRequest, match="not 65"):
            list_networks([*names, last])

    def test_known(self) -> None:
        """If the settings list the networks, others are refused with the list; `*` still means all."""
        known = frozenset({"main", "test"})
        assert parse_networks(["main"], known) == {"main"}
        assert parse_networks(["*"], known) == ALL_NETWORKS
        with pytest.raises(InvalidRequest, match="Unknown network 'other': known networks are main, test"):
            parse_networks(["main", "other"], known)


@pytest.mark.parametrize("name", ["lab", "*", "10.0.0.0:8", "x" * 64])
def test_a_network_may_be_required(name: str) -> None:
    """Any well-formed name may be required where the settings list none, and all networks."""
    check_required_network(name)


@pytest.mark.parametrize("known", [ALL_NETWORKS, frozenset({"lab"})])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("\n", "is empty"),
        (" lab", "not a network name"),
        ("x" * 65, "characters"),
    ],
)
def test_what_no_network_can_be_required(name: str, problem: str, known: frozenset[str]) -> None:
    """An empty or ill-formed requirement is refused, whatever the settings list."""
    with pytest.raises(InvalidRequest, match=problem):
        check_required_network(name, known)


def test_only_listed_networks_are_required() -> None:
    """Where the settings list networks, one of them or all of them may be required."""
    known = frozenset({"lab", "prod"})
    for name in ("lab", "prod", "*"):
        check_required_network(name, known)
    with pytest.raises(InvalidRequest, match="Unknown network 'attic': known networks are lab, prod"):
        check_required_network("attic", known)
