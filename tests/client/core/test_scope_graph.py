"""The scope graph: which scope includes which."""

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

# Each new scope includes only earlier or built-in ones, so there are no cycles.
additions = st.tuples(
    *(
        st.lists(st.sampled_from([*BUILT_IN, *ALIASES, *NEW_NAMES[:index]]), max_size=3)
        for index in range(len(NEW_NAMES))
    )
).map(lambda rows: dict(zip(NEW_NAMES, rows, strict=True)))
graphs = additions.map(ScopeGraph)


def bits(graph: ScopeGraph, names: set[str]) -> int:
    """The bits of exactly these names."""
    return sum(graph.bit(name) for name in names)


class TestBuiltIn:
    """The built-in scopes."""

    @pytest.mark.parametrize(("scope", "closure"), CLOSURES.items())
    def test_closures(self, scope: str, closure: set[str]) -> None:
        """Each scope includes exactly what the architecture specifies."""
        assert GRAPH.mask((scope,)) == bits(GRAPH, closure)

    def test_six_bits(self) -> None:
        """Every scope has a bit of its own."""
        assert set(GRAPH.scopes) == set(BUILT_IN) == set(CLOSURES)
        assert len({GRAPH.bit(name) for name in GRAPH.scopes}) == 6

    @pytest.mark.parametrize(("alias", "scope"), [("register", REGISTRAR), ("member", WRITE), ("viewer", READ)])
    def test_aliases(self, alias: str, scope: str) -> None:
        """Names from older systems are accepted as aliases and read as herod's."""
        assert GRAPH.bit(alias) == GRAPH.bit(scope) != 0
        assert GRAPH.mask((alias,)) == GRAPH.mask((scope,))
        assert GRAPH.parse(alias) == (scope,)

    def test_generation(self) -> None:
        """A reload creates a graph that caches can distinguish from the previous one."""
        assert (ScopeGraph().generation, ScopeGraph(generation=7).generation) == (0, 7)


class TestUnknown:
    """Unknown scopes grant nothing."""

    @pytest.mark.parametrize("name", ["", "root", "OWNER", "owner ", "own", "*", "jobs:run"])
    def test_grants_nothing(self, name: str) -> None:
        """An unknown scope has no bit and adds none."""
        assert GRAPH.bit(name) == 0
        assert GRAPH.mask((name,)) == 0
        assert GRAPH.mask((name, READ)) == GRAPH.mask((READ,))

    @given(graph=graphs, names=st.lists(st.text()).map(tuple))
    def test_whatever_it_is(self, graph: ScopeGraph, names: tuple[str, ...]) -> None:
        """No name outside the graph has a bit."""
        unknown = tuple(name for name in names if name not in {*graph.scopes, *ALIASES})
        assert graph.mask(unknown) == 0
        assert not any(graph.bit(name) for name in unknown)

    def test_a_scope_that_was_taken_out(self) -> None:
        """A stored scope that was removed from the settings grants nothing."""
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
        """A string is parsed into the fewest canonical names."""
        assert set(GRAPH.parse(text)) == set(names)
        assert len(GRAPH.parse(text)) == len(names)

    @pytest.mark.parametrize("text", ["", "   ", "\t\n"])
    def test_empty(self, text: str) -> None:
        """An empty scope is refused with the list of scopes."""
        with pytest.raises(InvalidRequest, match="owner, admin"):
            GRAPH.parse(text)

    @pytest.mark.parametrize("text", ["root", "read root", "Read", "read,write", "*", "read\0"])
    def test_unknown(self, text: str) -> None:
        """An unknown scope is refused with the list of scopes."""
        with pytest.raises(InvalidRequest, match=r"Unknown scope .*known scopes are owner, admin"):
            GRAPH.parse(text)

    def test_long_names_are_cut(self) -> None:
        """An error message truncates a long input."""
        with pytest.raises(InvalidRequest) as caught:
            GRAPH.parse("x" * 10_000)
        assert len(caught.value.message) < 300

    @given(graph=graphs, data=st.data())
    def test_written_and_read(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """Order, duplicates, aliases and included names make no difference to the parsed scope."""
        names = data.draw(st.lists(st.sampled_from([*graph.scopes, *ALIASES]), min_size=1))
        parsed = graph.parse(" ".join(names))
        assert graph.mask(parsed) == graph.mask(tuple(names))
        assert parsed == graph.parse(" ".join(reversed(parsed)))
        assert set(parsed) <= set(graph.scopes)


class TestAdded:
    """Scopes from the settings."""

    def test_new_scope(self) -> None:
        """A new scope includes what it lists, and admin includes it."""
        graph = ScopeGraph({"jobs:run": ["user"]})
        assert graph.mask(("jobs:run",)) == bits(graph, {"jobs:run", USER, READ})
        assert graph.mask((ADMIN,)) & graph.bit("jobs:run")
        assert not graph.mask((USER,)) & graph.bit("jobs:run")

    def test_new_includes_of_a_built_in_scope(self) -> None:
        """A built-in scope keeps its includes and gains more, also by its alias."""
        graph = ScopeGraph({"user": ["jobs:run", "register"], "jobs:run": []})
        assert graph.mask((USER,)) == bits(graph, {USER, READ, "jobs:run", REGISTRAR})

    def test_above_admin(self) -> None:
        """A new scope that includes admin is included by owner, but not by admin."""
        graph = ScopeGraph({"operator": ["admin"]})
        assert graph.mask((OWNER,)) & graph.bit("operator")
        assert not graph.mask((ADMIN,)) & graph.bit("operator")

    def test_above_owner(self) -> None:
        """A new scope that includes owner is above all others, without a cycle."""
        graph = ScopeGraph({"root": ["owner"]})
        assert graph.scopes[0] == "root"
        assert graph.mask(("root",)) == (1 << 7) - 1

    def test_below_what_is_above_owner(self) -> None:
        """A scope included only by one above owner is still included by owner and admin."""
        graph = ScopeGraph({"root": ["owner", "jobs"], "jobs": []})
        assert graph.mask((ADMIN,)) & graph.bit("jobs")

    def test_a_chain_is_adopted_once(self) -> None:
        """A new scope included by another new one is not attached to admin a second time."""
        graph = ScopeGraph({"a": ["b"], "b": ["c"], "c": []})
        assert graph.mask((ADMIN,)) & graph.mask(("a",)) == graph.mask(("a",)) == bits(graph, {"a", "b", "c"})

    def test_a_tall_ladder(self) -> None:
        """A scope that includes all 57 below it, each with its own includes, is resolved quickly."""
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
        """A cycle stops the startup with an error that shows its path."""
        with pytest.raises(SettingsError, match="is a cycle: remove one") as caught:
            ScopeGraph(added)
        named = str(caught.value).removeprefix("scopes: ").split(" is a cycle")[0].split(" → ")
        expected = path.split(" → ")
        assert named[0] == named[-1]
        assert sorted(named[1:]) == sorted(expected[1:])
        start = expected.index(named[0])
        assert named[1:] == [*expected[1:], *expected[1:]][start : start + len(named) - 1]

    @pytest.mark.parametrize("name", ["", "Jobs", "1job", "-job", "job run", "job\n", "jöb", "j" * 65, "job/run", "*"])
    def test_bad_names(self, name: str) -> None:
        """A name that would need quoting is refused."""
        with pytest.raises(SettingsError, match="is not a scope name"):
            ScopeGraph({name: []})

    @pytest.mark.parametrize("alias", ALIASES)
    def test_an_alias_cannot_be_defined(self, alias: str) -> None:
        """An alias cannot be defined with includes of its own."""
        with pytest.raises(SettingsError, match="is another name of"):
            ScopeGraph({alias: [READ]})

    def test_unknown_include(self) -> None:
        """An unknown include stops the startup with an error that names both."""
        with pytest.raises(SettingsError, match="'jobs' includes 'runners', which is not defined"):
            ScopeGraph({"jobs": ["runners"]})

    def test_too_many(self) -> None:
        """64 scopes are accepted and 65 are refused."""
        assert len(ScopeGraph({f"s{n}": [] for n in range(58)}).scopes) == 64
        with pytest.raises(SettingsError, match="at most 64"):
            ScopeGraph({f"s{n}": [] for n in range(59)})


class TestLaws:
    """Invariants of every graph."""

    @given(added=additions)
    def test_closures_are_closed(self, added: dict[str, list[str]]) -> None:
        """A scope includes itself, its listed includes, and everything that those include."""
        graph = ScopeGraph(added)
        for name, included in {**BUILT_IN, **added}.items():
            mask = graph.mask((name,))
            assert mask & graph.bit(name)
            for scope in included:
                closure = graph.mask((scope,))
                assert closure & mask == closure

    @given(graph=graphs)
    def test_no_two_scopes_are_equal(self, graph: ScopeGraph) -> None:
        """Without cycles, no two scopes include the same set."""
        masks = {graph.mask((name,)) for name in graph.scopes}
        assert len(masks) == len(graph.scopes)

    @given(graph=graphs)
    def test_somebody_can_give_it(self, graph: ScopeGraph) -> None:
        """Owner includes every scope except those that include owner."""
        for name in graph.scopes:
            above = name != OWNER and graph.mask((name,)) & graph.bit(OWNER)
            assert bool(graph.mask((OWNER,)) & graph.bit(name)) is not bool(above)

    @given(added=additions)
    def test_added_scopes_are_admins(self, added: dict[str, list[str]]) -> None:
        """A new scope that no other includes, and that does not include admin, is included by admin."""
        graph = ScopeGraph(added)
        included = {name for names in added.values() for name in names}
        for name in set(added) - included:
            if not graph.mask((name,)) & graph.bit(ADMIN):
                assert graph.mask((ADMIN,)) & graph.bit(name)

    @given(graph=graphs)
    def test_widest_first(self, graph: ScopeGraph) -> None:
        """A scope is listed before those it includes."""
        seen = 0
        for name in graph.scopes:
            assert not (graph.mask((name,)) & ~graph.bit(name)) & seen
            seen |= graph.bit(name)

    @given(graph=graphs, data=st.data())
    def test_names_and_mask_are_inverse(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """The names of a closed mask give that mask, and none of them is redundant."""
        names = data.draw(st.sets(st.sampled_from(graph.scopes)))
        mask = graph.mask(tuple(names))
        written = graph.names(mask)
        assert graph.mask(written) == mask
        assert set(written) <= names
        for name in written:
            assert graph.mask(tuple(other for other in written if other != name)) != mask

    @given(graph=graphs, data=st.data())
    def test_intersections_are_closed(self, graph: ScopeGraph, data: st.DataObject) -> None:
        """The intersection of two masks is again a closed mask."""
        draw = st.sets(st.sampled_from(graph.scopes)).map(tuple)
        shared = graph.mask(data.draw(draw)) & graph.mask(data.draw(draw))
        assert graph.mask(graph.names(shared)) == shared

    @given(graph=graphs, mask=st.integers(0, (1 << 20) - 1))
    def test_names_never_widen(self, graph: ScopeGraph, mask: int) -> None:
        """Bits that do not complete a scope are dropped, never rounded up."""
        assert not graph.mask(graph.names(mask)) & ~mask


def test_masks_are_kept_within_bounds() -> None:
    """The cache of masks is bounded, and results beyond it are correct."""
    graph = ScopeGraph()
    for names in islice(product(graph.scopes, repeat=5), 5000):
        assert graph.mask((OWNER, *names)) == graph.mask((OWNER,))
    assert graph.remembered == graph_module.MAX_REMEMBERED
    assert graph.mask((READ, USER)) == graph.mask((USER,))


def test_long_scopes() -> None:
    """A scope of 64 names or 4,160 characters is parsed, and a longer one is refused, whatever it contains."""
    graph = ScopeGraph()
    assert graph.parse(" ".join([READ] * 64)) == (READ,)
    assert graph.parse(READ + " " * 4156) == (READ,)
    assert split_scope("b a  b") == ("b", "a", "b")
    for text in (" ".join([READ] * 65), READ + " " * 4157, "x" * 60_000):
        with pytest.raises(InvalidRequest, match="at most 64 names, in 4160 characters"):
            graph.parse(text)


def test_long_lists_are_not_remembered() -> None:
    """Long lists, as in forged tokens, are computed but not cached."""
    graph = ScopeGraph()
    assert graph.mask((READ,) * 65) == graph.bit(READ)
    assert graph.remembered == 0


@pytest.mark.parametrize("text", ["", " ", "\t \n", "\u00a0"])
def test_an_empty_requirement_is_refused(text: str) -> None:
    """A required scope without names would be passed by everybody."""
    with pytest.raises(InvalidRequest, match="required scope is empty"):
        ScopeGraph().required(text)


@pytest.mark.parametrize("text", ["launch", "read launch", "READ", "read,write", "x" * 60])
def test_an_unknown_requirement_is_refused(text: str) -> None:
    """A required scope that nobody can hold is named, also beside known ones."""
    with pytest.raises(InvalidRequest, match="Unknown scope"):
        ScopeGraph().required(text)


def test_what_a_requirement_needs() -> None:
    """A requirement is one bit for each name, not what the names include; older systems' names count too."""
    graph = ScopeGraph({"jobs": [READ]})
    for _ in range(2):  # computed, and cached
        assert graph.required(WRITE) == graph.bit(WRITE)
        assert graph.required(" read  write read") == graph.bit(READ) | graph.bit(WRITE)
        assert graph.required("member jobs") == graph.bit(WRITE) | graph.bit("jobs")
    assert graph.remembered == 3


def test_requirements_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short requirements are cached up to a number; a long one, and one that is refused, never."""
    monkeypatch.setattr(graph_module, "MAX_REMEMBERED", 2)
    graph = ScopeGraph()
    for text in (" ".join([READ] * 64), READ, WRITE, ADMIN):
        assert graph.required(text) == graph.bit(text.split()[0])
    with pytest.raises(InvalidRequest, match="at most 64 names"):
        graph.required(" ".join([READ] * 65))
    assert graph.remembered == 2


def test_too_many_includes() -> None:
    """A scope in the settings lists at most 64 includes, duplicates counted."""
    assert ScopeGraph({"a": [READ] * 64}).bit("a")
    with pytest.raises(SettingsError, match="'a' includes 65 scopes: at most 64 are possible"):
        ScopeGraph({"a": [READ] * 65})


def test_unknown_names_are_not_remembered() -> None:
    """Unknown scopes, which anyone can send, neither fill the cache nor evict entries in use."""
    graph = ScopeGraph()
    assert graph.mask(("x" * 60_000,)) == 0
    assert graph.mask(("unknown", READ)) == graph.bit(READ)
    assert graph.remembered == 0


def test_names_beyond_what_is_remembered_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cache's bound, results are the same."""
    monkeypatch.setattr(graph_module, "MAX_REMEMBERED", 0)
    graph = ScopeGraph()
    assert graph.names(graph.mask((ADMIN, READ))) == (ADMIN,)
    assert graph.remembered == 0
