"""Authorization decisions, by tables and properties."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.scopes.decisions import (
    ALLOWED,
    Access,
    Allowed,
    Denied,
    Needs,
    Reason,
    decide,
    decide_ceiling,
    decide_target,
)
from herod.scopes.principal import ANONYMOUS, AuthMethod, Principal, PrincipalKind
from herod_client.core.grants import ALL_NETWORKS, NOTHING, Grant, Grants
from herod_client.core.scope_graph import ADMIN, OWNER, READ, REGISTRAR, USER, WRITE, ScopeGraph

NOW = 1_800_000_000
GRAPH = ScopeGraph({"jobs:run": ["user"]})
NETWORKS = ["main", "test"]


def holding(
    *scopes: str,
    networks: frozenset[str] = ALL_NETWORKS,
    expires_at: int | None = None,
    kind: PrincipalKind = PrincipalKind.ACCOUNT,
) -> Principal:
    """A principal with these scopes."""
    return Principal(
        id="3b7c",
        kind=kind,
        name="ada",
        method=AuthMethod.JWT,
        grants=(Grant(GRAPH.mask(scopes), networks, expires_at),),
        credential="9f1e",
        made_with=AuthMethod.PASSWORD,
    )


def beside(*held: Grant) -> Principal:
    """A local process in several groups, each with a rule."""
    one = holding(kind=PrincipalKind.PEER)
    parts = tuple(
        msgspec.structs.replace(one, name=f"gid:{number}", grants=(grant,)) for number, grant in enumerate(held)
    )
    return msgspec.structs.replace(one, grants=held, parts=parts)


masks = st.sets(st.sampled_from(GRAPH.scopes)).map(lambda names: GRAPH.mask(tuple(names)))
networks_held = st.just(ALL_NETWORKS) | st.frozensets(st.sampled_from(NETWORKS))
bounds = st.none() | st.integers(NOW - 2, NOW + 2)
grants = st.builds(Grant, mask=masks, networks=networks_held, expires_at=bounds)
needs_any: st.SearchStrategy[Needs] = st.sampled_from([*Access, *GRAPH.scopes, "register", "unknown"])


class TestScopes:
    """The needed scope of an operation against the held ones."""

    # held scopes → needs that pass
    TABLE = (
        ((OWNER,), {OWNER, ADMIN, WRITE, READ, REGISTRAR, USER, "jobs:run"}),
        ((ADMIN,), {ADMIN, WRITE, READ, REGISTRAR, USER, "jobs:run"}),
        ((WRITE,), {WRITE, READ}),
        ((READ,), {READ}),
        ((REGISTRAR,), {REGISTRAR}),
        ((USER,), {USER, READ}),
        (("jobs:run",), {"jobs:run", USER, READ}),
        ((WRITE, REGISTRAR), {WRITE, READ, REGISTRAR}),
        (("member",), {WRITE, READ}),
        (("unknown",), set[str]()),
        ((), set[str]()),
    )

    @pytest.mark.parametrize(("held", "passes"), TABLE)
    @pytest.mark.parametrize("needs", GRAPH.scopes)
    def test_table(self, held: tuple[str, ...], passes: set[str], needs: str) -> None:
        """Each scope allows what it includes, and a denial names the missing scope."""
        answer = decide(GRAPH, holding(*held), needs=needs, now=NOW)
        if needs in passes:
            assert answer == ALLOWED
        else:
            assert answer == Denied(
                Reason.MISSING_SCOPE, missing=needs, hint=f"herod explain --principal 3b7c --scope={needs}"
            )

    @pytest.mark.parametrize("needs", ["unknown", "", "OWNER"])
    def test_an_unknown_need_denies_everyone(self, needs: str) -> None:
        """An operation that needs an unknown scope is denied to everyone."""
        answer = decide(GRAPH, holding(OWNER), needs=needs, now=NOW)
        assert isinstance(answer, Denied)
        assert (answer.reason, answer.missing) == (Reason.MISSING_SCOPE, needs)

    def test_an_alias_is_a_need_too(self) -> None:
        """An alias as the need is resolved to its scope."""
        assert decide(GRAPH, holding(REGISTRAR), needs="register", now=NOW) == ALLOWED


class TestAccess:
    """Needs other than a scope."""

    @pytest.mark.parametrize("principal", [ANONYMOUS, holding(), holding(OWNER), holding(READ, expires_at=NOW)])
    def test_public(self, principal: Principal) -> None:
        """A public operation is open to all, whatever the credential."""
        assert decide(GRAPH, principal, needs=Access.PUBLIC, now=NOW) == ALLOWED

    def test_authenticated(self) -> None:
        """Any authenticated principal passes, even without a scope; anonymous callers do not."""
        assert decide(GRAPH, holding(), needs=Access.AUTHENTICATED, now=NOW) == ALLOWED
        denied = Denied(Reason.ANONYMOUS)
        assert decide(GRAPH, ANONYMOUS, needs=Access.AUTHENTICATED, now=NOW) == denied
        assert decide(GRAPH, ANONYMOUS, needs=READ, now=NOW) == denied


class TestWindow:
    """The validity period of a grant."""

    @pytest.mark.parametrize(
        ("expires_at", "allowed"),
        [
            (None, True),
            (NOW + 1, True),
            (NOW, False),
        ],
    )
    @pytest.mark.parametrize("needs", [READ, Access.AUTHENTICATED])
    def test_table(self, expires_at: int | None, allowed: bool, needs: Needs) -> None:
        """A grant allows nothing from its end on."""
        principal = holding(READ, expires_at=expires_at)
        answer = decide(GRAPH, principal, needs=needs, now=NOW)
        assert answer == (ALLOWED if allowed else Denied(Reason.OUTSIDE_WINDOW))


class TestNetworks:
    """The networks of a grant."""

    ON_MAIN = frozenset({"main"})
    NOT_TEST = Denied(Reason.NETWORK_DENIED, missing="test", hint="herod explain --principal 3b7c --network=test")

    @pytest.mark.parametrize(
        ("held", "network", "answer"),
        [
            (ALL_NETWORKS, None, ALLOWED),
            (ALL_NETWORKS, "test", ALLOWED),
            (ON_MAIN, None, ALLOWED),
            (ON_MAIN, "main", ALLOWED),
            (ON_MAIN, "test", NOT_TEST),
            (frozenset(), None, ALLOWED),
            (frozenset(), "test", NOT_TEST),
        ],
    )
    def test_table(self, held: frozenset[str], network: str | None, answer: Allowed | Denied) -> None:
        """A requested network must be in the grant."""
        assert decide(GRAPH, holding(READ, networks=held), needs=READ, now=NOW, network=network) == answer

    def test_scope_comes_first(self) -> None:
        """If scope and network are both missing, the denial names the scope."""
        answer = decide(GRAPH, holding(networks=frozenset()), needs=READ, now=NOW, network="test")
        assert isinstance(answer, Denied)
        assert answer.reason is Reason.MISSING_SCOPE


class TestCeiling:
    """The ceiling on grants."""

    GIVER = Grant(GRAPH.mask((WRITE,)), frozenset({"main", "test"}), NOW + 100)

    @pytest.mark.parametrize(
        ("scopes", "networks", "expires_at", "missing"),
        [
            ((WRITE,), {"main", "test"}, NOW + 100, None),
            ((READ,), {"main"}, NOW + 99, None),
            ((), set[str](), NOW + 100, None),
            ((ADMIN,), {"main"}, NOW + 100, "scope"),
            ((WRITE, REGISTRAR), {"main"}, NOW + 100, "scope"),
            ((ADMIN,), {"*"}, None, "scope"),
            ((READ,), {"*"}, NOW + 100, "networks"),
            ((READ,), {"main", "other"}, None, "networks"),
            ((READ,), {"main"}, NOW + 101, "expires_at"),
            ((READ,), {"main"}, None, "expires_at"),
        ],
    )
    def test_table(
        self, scopes: tuple[str, ...], networks: set[str], expires_at: int | None, missing: str | None
    ) -> None:
        """A given grant must not exceed the giver's in scope, network or time, and the denial says which."""
        answer = decide_ceiling((self.GIVER,), Grant(GRAPH.mask(scopes), frozenset(networks), expires_at))
        if missing is None:
            assert answer == ALLOWED
        else:
            assert isinstance(answer, Denied)
            assert (answer.reason, answer.missing) == (Reason.CEILING_EXCEEDED, missing)
            assert answer.hint

    def test_no_window_of_ones_own(self) -> None:
        """A giver without an expiry may give any; a denial names expires_at only if the rest is within the ceiling."""
        for_ever = Grant(GRAPH.mask((READ,)))
        assert decide_ceiling((for_ever,), Grant(for_ever.mask, ALL_NETWORKS, NOW + 1)) == ALLOWED
        answer = decide_ceiling((Grant(for_ever.mask, expires_at=NOW),), for_ever)
        assert isinstance(answer, Denied)
        assert answer.missing == "expires_at"

    @given(giver=grants, given_=grants)
    def test_is_covers(self, giver: Grant, given_: Grant) -> None:
        """The ceiling equals `covers`, with a reason."""
        assert (decide_ceiling((giver,), given_) == ALLOWED) == giver.covers(given_)


class TestTarget:
    """The targets that a principal may change."""

    @pytest.mark.parametrize(
        ("actor", "target", "allowed"),
        [
            (Grant(GRAPH.mask((OWNER,))), Grant(GRAPH.mask((OWNER,))), True),
            (Grant(GRAPH.mask((ADMIN,))), Grant(GRAPH.mask((ADMIN,))), True),
            (Grant(GRAPH.mask((ADMIN,))), Grant(GRAPH.mask((USER, WRITE))), True),
            (Grant(GRAPH.mask((ADMIN,))), NOTHING, True),
            (Grant(GRAPH.mask((ADMIN,))), Grant(GRAPH.mask((OWNER,))), False),
            (Grant(GRAPH.mask((WRITE,))), Grant(GRAPH.mask((USER,))), False),
            (Grant(GRAPH.mask((ADMIN,)), frozenset({"main"})), Grant(GRAPH.mask((READ,)), frozenset({"main"})), True),
            (Grant(GRAPH.mask((ADMIN,)), frozenset({"main"})), Grant(GRAPH.mask((READ,)), frozenset({"test"})), False),
            (Grant(GRAPH.mask((ADMIN,)), frozenset({"main"})), Grant(GRAPH.mask((READ,))), False),
            # An admin whose session expires soon may still change an account that does not expire.
            (Grant(GRAPH.mask((ADMIN,)), ALL_NETWORKS, NOW), Grant(GRAPH.mask((READ,))), True),
        ],
    )
    def test_table(self, actor: Grant, target: Grant, allowed: bool) -> None:
        """A target with more scope or networks than the actor is denied; time does not count."""
        answer = decide_target((actor,), (target,))
        if allowed:
            assert answer == ALLOWED
        else:
            assert isinstance(answer, Denied)
            assert answer.reason is Reason.TARGET_DENIED
            assert answer.hint

    @given(actor=grants, target=grants)
    def test_a_covered_target_is_in_reach(self, actor: Grant, target: Grant) -> None:
        """A principal may change those that it covers."""
        if actor.covers(target):
            assert decide_target((actor,), (target,)) == ALLOWED


class TestLaws:
    """Invariants of all decisions."""

    @given(
        grant=grants,
        cut=grants,
        needs=needs_any,
        network=st.none() | st.sampled_from([*NETWORKS, "other", "*"]),
    )
    def test_narrowing_never_allows_more(self, grant: Grant, cut: Grant, needs: Needs, network: str | None) -> None:
        """A narrowed grant allows nothing that the whole grant does not."""

        def answer(grant: Grant) -> Allowed | Denied:
            who = Principal("x", PrincipalKind.ACCOUNT, "x", AuthMethod.JWT, (grant,), "", AuthMethod.PASSWORD)
            return decide(GRAPH, who, needs=needs, now=NOW, network=network)

        if answer(grant.intersect(cut)) == ALLOWED:
            assert answer(grant) == ALLOWED

    def test_a_network_alone(self) -> None:
        """An authenticated principal may still be denied the requested network."""
        known = holding(READ, networks=frozenset({"main"}))
        assert decide(GRAPH, known, needs=Access.AUTHENTICATED, now=NOW, network="main") == ALLOWED
        denied = decide(GRAPH, known, needs=Access.AUTHENTICATED, now=NOW, network="test")
        assert isinstance(denied, Denied)
        assert (denied.reason, denied.missing) == (Reason.NETWORK_DENIED, "test")

    @given(
        held=st.lists(grants, max_size=3).map(tuple),
        needs=needs_any,
        network=st.none() | st.sampled_from(NETWORKS),
    )
    def test_grants_stand_side_by_side(self, held: Grants, needs: Needs, network: str | None) -> None:
        """Several grants allow exactly what at least one of them allows by itself."""

        def answer(*held: Grant) -> bool:
            who = beside(*held)
            return decide(GRAPH, who, needs=needs, now=NOW, network=network) == ALLOWED

        assert answer(*held) == (needs is Access.PUBLIC or any(answer(grant) for grant in held))

    @given(held=st.lists(grants, max_size=3).map(tuple), other=st.lists(grants, max_size=3).map(tuple), one=grants)
    def test_ceilings_and_targets_are_those_of_one_grant(self, held: Grants, other: Grants, one: Grant) -> None:
        """A given grant must be within one grant of the giver; each grant of a target must be."""
        assert (decide_ceiling(held, one) == ALLOWED) == any(decide_ceiling((grant,), one) == ALLOWED for grant in held)
        for_each = [any(decide_target((grant,), (target,)) == ALLOWED for grant in held) for target in other]
        assert (decide_target(held, other) == ALLOWED) == all(for_each)

    @given(needs=needs_any.filter(lambda needs: needs is not Access.PUBLIC), network=st.none() | st.text())
    def test_nobody_gets_nothing(self, needs: Needs, network: str | None) -> None:
        """Anonymous callers are allowed public operations only."""
        assert isinstance(decide(GRAPH, ANONYMOUS, needs=needs, now=NOW, network=network), Denied)
