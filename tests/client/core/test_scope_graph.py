"""What includes what."""

from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_client.core import scope_graph as graph_module
from herod_client.core.errors import InvalidRequest, SettingsError
from herod_client.core.scope_graph import (
    ADMIN,
    ALIASES,
    BUILT_IN,
    OWNER,
    READ,
    REGISTRAR,
    USER,
    WRITE,
    ScopeGraph,
    split_scope,
)

GRAPH = ScopeGraph()

# scope → everything it includes, itself too
CLOSURES = {
    OWNER: {OWNER, ADMIN, WRITE, REGISTRAR, USER, READ},
    ADMIN: {ADMIN, WRITE, REGISTRAR, USER, READ},
    WRITE: {WRITE, READ},
    REGISTRAR: {REGISTRAR},
    USER: {USER, READ},
    READ: {READ},
}

NEW_NAMES = [f"s{number}" for number in range(8)]

# Each new scope includes only ones before it, or built-in ones: never a circle.
additions = st.tuples(
    *(
        st.lists(st.sampled_from([*BUILT_IN, *ALIASES, *NEW_NAMES[:index]]), max_size=3)
        for index in range(len(NEW_NAMES))
    )
).map(lambda rows: dict(zip(NEW_NAMES, rows, strict=True)))
graphs = additions.map(ScopeGraph)


def bits(graph: ScopeGraph, names: set[str]) -> int:
    """The bits of these very names."""
    return sum(graph.bit(name) for name in names)


class TestBuiltIn:
    """The scopes that are always there."""

    @pytest.mark.parametrize(("scope", "closure"), CLOSURES.items())
    def test_closures(self, scope: str, closure: set[str]) -> None:
        """Each scope includes what the architecture says, and no more."""
        assert GRAPH.mask((scope,)) == bits(GRAPH, closure)

    def test_six_bits(self) -> None:
        """Every scope has a bit of its own."""
        assert set(GRAPH.scopes) == set(BUILT_IN) == set(CLOSURES)
        assert len({GRAPH.bit(name) for name in GRAPH.scopes}) == 6

    @pytest.mark.parametrize(("alias", "scope"), [("register", REGISTRAR), ("member", WRITE), ("viewer", READ)])
    def test_aliases(self, alias: str, scope: str) -> None:
        """Names from older systems mean the same as ours and are read as ours."""
        assert GRAPH.bit(alias) == GRAPH.bit(scope) != 0
        assert GRAPH.mask((alias,)) == GRAPH.mask((scope,))
        assert GRAPH.parse(alias) == (scope,)

    def test_generation(self) -> None:
        """A reload makes a graph that caches can tell from the one before."""
        assert (ScopeGraph().generation, ScopeGraph(generation=7).generation) == (0, 7)


class TestUnknown:
    """A name the graph does not know grants nothing."""

    @pytest.mark.parametrize("name", ["", "root", "OWNER", "owner ", "own", "*", "jobs:run"])
    def test_grants_nothing(self, name: str) -> None:
        """It has no bit and adds none."""
        assert GRAPH.bit(name) == 0
        assert GRAPH.mask((name,)) == 0
        assert GRAPH.mask((name, READ)) == GRAPH.mask((READ,))

    @given(graph=graphs, names=st.lists(st.text()).map(tuple))
    def test_whatever_it_is(self, graph: ScopeGraph, names: tuple[str, ...]) -> None:
        """Names that are not in the graph never make a bit."""
        unknown = tuple(name for name in names if name not in {*graph.scopes, *ALIASES})
        assert graph.mask(unknown) == 0
        assert not any(graph.bit(name) for name in unknown)

    def test_a_scope_that_was_taken_out(self) -> None:
        """What was stored under a richer graph grants nothing under a poorer one."""
        stored = ("jobs:run",)
        assert ScopeGraph({"jobs:run": [USER]}).mask(stored) != 0
        assert GRAPH.mask(stored) == 0


class TestParse:
    """Scope strings."""

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("read", (READ,)),
            ("owner", (OWNER,)),
            ("  read   write ", (WRITE,)),
            ("read read", (READ,)),
            ("viewer member register", (REGISTRAR, WRITE)),
            ("admin owner read", (OWNER,)),
            ("user write", (USER, WRITE)),
            ("registrar read", (REGISTRAR, READ)),
        ],
    )
    def test_read(self, text: str, names: tuple[str, ...]) -> None:
        """A string is read into the fewest canonical names."""
        assert set(GRAPH.parse(text)) == set(names)
        assert len(GRAPH.parse(text)) == len(names)

    @pytest.mark.parametrize("text", ["", "   ", "\t\n"])
    def test_empty(self, text: str) -> None:
        """No scope at all is refused, with the scopes there are."""
        with pytest.raises(InvalidRequest, match="owner, admin"):
            GRAPH.parse(text)

    @pytest.mark.parametrize("text", ["root", "read root", "Read", "read,write", "*", "read\0"])
    def test_unknown(self, text: str) -> None:
        """A scope that does not exist is refused, with the scopes there are."""
        with pytest.raises(InvalidRequest, match=r"Unknown scope .*known scopes are owner, admin"):
            GRAPH.parse(text)

    def test_long_names_are_cut(self) -> None:
        """An answer does not repeat a long input."""
        with pytest.raises(InvalidRequest) as caught:
            GRAPH.parse("x" * 10_000)
        assert len(caught.value.message) < 300

    @given(graph=graphs, data=st.data())
    def test_written_and_read(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """Order, repetition, aliases and included names make no difference to what is read."""
        names = data.draw(st.lists(st.sampled_from([*graph.scopes, *ALIASES]), min_size=1))
        parsed = graph.parse(" ".join(names))
        assert graph.mask(parsed) == graph.mask(tuple(names))
        assert parsed == graph.parse(" ".join(reversed(parsed)))
        assert set(parsed) <= set(graph.scopes)


class TestAdded:
    """Scopes from the settings."""

    def test_new_scope(self) -> None:
        """A new scope includes what it says, and admin can give it."""
        graph = ScopeGraph({"jobs:run": ["user"]})
        assert graph.mask(("jobs:run",)) == bits(graph, {"jobs:run", USER, READ})
        assert graph.mask((ADMIN,)) & graph.bit("jobs:run")
        assert not graph.mask((USER,)) & graph.bit("jobs:run")

    def test_new_includes_of_a_built_in_scope(self) -> None:
        """A built-in scope keeps its includes and gains more; an alias means its scope."""
        graph = ScopeGraph({"user": ["jobs:run", "register"], "jobs:run": []})
        assert graph.mask((USER,)) == bits(graph, {USER, READ, "jobs:run", REGISTRAR})

    def test_above_admin(self) -> None:
        """A new scope that includes admin is the owner's to give, not admin's."""
        graph = ScopeGraph({"operator": ["admin"]})
        assert graph.mask((OWNER,)) & graph.bit("operator")
        assert not graph.mask((ADMIN,)) & graph.bit("operator")

    def test_above_owner(self) -> None:
        """A new scope that includes owner stands above all, and closes no circle."""
        graph = ScopeGraph({"root": ["owner"]})
        assert graph.scopes[0] == "root"
        assert graph.mask(("root",)) == (1 << 7) - 1

    def test_below_what_is_above_owner(self) -> None:
        """A scope included only by one above the owner is still the owner's and admin's to give."""
        graph = ScopeGraph({"root": ["owner", "jobs"], "jobs": []})
        assert graph.mask((ADMIN,)) & graph.bit("jobs")

    def test_a_chain_is_adopted_once(self) -> None:
        """What another new scope includes already has somebody above it."""
        graph = ScopeGraph({"a": ["b"], "b": ["c"], "c": []})
        assert graph.mask((ADMIN,)) & graph.mask(("a",)) == graph.mask(("a",)) == bits(graph, {"a", "b", "c"})

    def test_a_tall_ladder(self) -> None:
        """A scope that includes all below it, many times over, is read at once."""
        ladder = {f"level{n}": [f"level{m}" for m in range(n)] for n in range(58)}
        graph = ScopeGraph(ladder)
        assert len(graph.scopes) == 64
        assert graph.names(graph.mask(("level57",))) == ("level57",)

    @pytest.mark.parametrize(
        ("added", "path"),
        [
            ({"a": ["a"]}, "a → a"),
            ({"a": ["b"], "b": ["a"]}, "a → b → a"),
            ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, "a → b → c → a"),
            ({"read": ["owner"]}, "owner → admin → write → read → owner"),
            ({"read": ["jobs"], "jobs": ["user"]}, "read → jobs → user → read"),
            ({"registrar": ["register"]}, "registrar → registrar"),
            ({"write": ["member"]}, "write → write"),
        ],
    )
    def test_circles(self, added: dict[str, list[str]], path: str) -> None:
        """A circle stops the start, with the path that closes it."""
        with pytest.raises(SettingsError, match="is a circle: remove one") as caught:
            ScopeGraph(added)
        named = str(caught.value).removeprefix("scopes: ").split(" is a circle")[0].split(" → ")
        expected = path.split(" → ")
        assert named[0] == named[-1]
        assert sorted(named[1:]) == sorted(expected[1:])
        start = expected.index(named[0])
        assert named[1:] == [*expected[1:], *expected[1:]][start : start + len(named) - 1]

    @pytest.mark.parametrize("name", ["", "Jobs", "1job", "-job", "job run", "job\n", "jöb", "j" * 65, "job/run", "*"])
    def test_bad_names(self, name: str) -> None:
        """A name that would need quoting somewhere is refused."""
        with pytest.raises(SettingsError, match="is not a scope name"):
            ScopeGraph({name: []})

    @pytest.mark.parametrize("alias", ALIASES)
    def test_an_alias_cannot_be_defined(self, alias: str) -> None:
        """An alias is another name and has no includes of its own."""
        with pytest.raises(SettingsError, match="is another name of"):
            ScopeGraph({alias: [READ]})

    def test_unknown_include(self) -> None:
        """A scope that includes what is not there stops the start, naming both."""
        with pytest.raises(SettingsError, match="'jobs' includes 'runners', which is not defined"):
            ScopeGraph({"jobs": ["runners"]})

    def test_too_many(self) -> None:
        """64 scopes fit and one more does not."""
        assert len(ScopeGraph({f"s{n}": [] for n in range(58)}).scopes) == 64
        with pytest.raises(SettingsError, match="at most 64"):
            ScopeGraph({f"s{n}": [] for n in range(59)})


class TestLaws:
    """What holds in every graph."""

    @given(added=additions)
    def test_closures_are_closed(self, added: dict[str, list[str]]) -> None:
        """A scope includes itself, what it lists, and all that those include."""
        graph = ScopeGraph(added)
        for name, included in {**BUILT_IN, **added}.items():
            mask = graph.mask((name,))
            assert mask & graph.bit(name)
            for scope in included:
                closure = graph.mask((scope,))
                assert closure & mask == closure

    @given(graph=graphs)
    def test_no_two_scopes_are_equal(self, graph: ScopeGraph) -> None:
        """Without circles, every scope includes something that no other does: nothing is given twice over."""
        masks = {graph.mask((name,)) for name in graph.scopes}
        assert len(masks) == len(graph.scopes)

    @given(graph=graphs)
    def test_somebody_can_give_it(self, graph: ScopeGraph) -> None:
        """The owner includes every scope but those that include the owner."""
        for name in graph.scopes:
            above = name != OWNER and graph.mask((name,)) & graph.bit(OWNER)
            assert bool(graph.mask((OWNER,)) & graph.bit(name)) is not bool(above)

    @given(added=additions)
    def test_added_scopes_are_admins(self, added: dict[str, list[str]]) -> None:
        """A new scope that nothing includes, and that does not include admin, is within admin."""
        graph = ScopeGraph(added)
        included = {name for names in added.values() for name in names}
        for name in set(added) - included:
            if not graph.mask((name,)) & graph.bit(ADMIN):
                assert graph.mask((ADMIN,)) & graph.bit(name)

    @given(graph=graphs)
    def test_widest_first(self, graph: ScopeGraph) -> None:
        """A scope is always listed before those it includes."""
        seen = 0
        for name in graph.scopes:
            assert not (graph.mask((name,)) & ~graph.bit(name)) & seen
            seen |= graph.bit(name)

    @given(graph=graphs, data=st.data())
    def test_names_and_mask_are_inverse(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """A closed mask is written as names that give it back, none of them needless."""
        names = data.draw(st.sets(st.sampled_from(graph.scopes)))
        mask = graph.mask(tuple(names))
        written = graph.names(mask)
        assert graph.mask(written) == mask
        assert set(written) <= names
        for name in written:
            assert graph.mask(tuple(other for other in written if other != name)) != mask

    @given(graph=graphs, data=st.data())
    def test_intersections_are_closed(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """What two masks share is again everything that some names include."""
        draw = st.sets(st.sampled_from(graph.scopes)).map(tuple)
        shared = graph.mask(data.draw(draw)) & graph.mask(data.draw(draw))
        assert graph.mask(graph.names(shared)) == shared

    @given(graph=graphs, mask=st.integers(0, (1 << 20) - 1))
    def test_names_never_widen(self, graph: ScopeGraph, mask: int) -> None:
        """Bits that no scope is whole in are dropped, never rounded up."""
        assert not graph.mask(graph.names(mask)) & ~mask


def test_masks_are_kept_within_bounds() -> None:
    """A graph remembers a bounded number of masks and answers right beyond it."""
    graph = ScopeGraph()
    for names in islice(product(graph.scopes, repeat=5), 5000):
        assert graph.mask((OWNER, *names)) == graph.mask((OWNER,))
    assert graph.remembered == graph_module.MAX_REMEMBERED
    assert graph.mask((READ, USER)) == graph.mask((USER,))


def test_long_scopes() -> None:
    """A scope of 64 names, or 4,160 characters, is read; a longer one is refused, whatever it says."""
    graph = ScopeGraph()
    assert graph.parse(" ".join([READ] * 64)) == (READ,)
    assert graph.parse(READ + " " * 4156) == (READ,)
    assert split_scope("b a  b") == ("b", "a", "b")
    for text in (" ".join([READ] * 65), READ + " " * 4157, "x" * 60_000):
        with pytest.raises(InvalidRequest, match="at most 64 names, in 4160 characters"):
            graph.parse(text)


def test_long_lists_are_not_remembered() -> None:
    """What a forged token names many times is worked out, and not kept."""
    graph = ScopeGraph()
    assert graph.mask((READ,) * 65) == graph.bit(READ)
    assert graph.remembered == 0


def test_too_many_includes() -> None:
    """A scope of the settings includes 64 others at most, as it is written."""
    assert ScopeGraph({"a": [READ] * 64}).bit("a")
    with pytest.raises(SettingsError, match="'a' includes 65 scopes: at most 64 are possible"):
        ScopeGraph({"a": [READ] * 65})


def test_unknown_names_are_not_remembered() -> None:
    """Strangers may ask for any scope: what they make up must neither fill memory nor crowd out what is used."""
    graph = ScopeGraph()
    assert graph.mask(("x" * 60_000,)) == 0
    assert graph.mask(("unknown", READ)) == graph.bit(READ)
    assert graph.remembered == 0


def test_names_beyond_what_is_remembered_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound costs time and changes no answer."""
    monkeypatch.setattr(graph_module, "MAX_REMEMBERED", 0)
    graph = ScopeGraph()
    assert graph.names(graph.mask((ADMIN, READ))) == (ADMIN,)
    assert graph.remembered == 0
