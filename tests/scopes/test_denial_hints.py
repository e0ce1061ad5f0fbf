"""The hint of a denial grants what is missing, and removes nothing."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.scopes.denial_hints import hint_command
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod_client.core.grants import ALL_NETWORKS, Grant
from herod_client.core.scope_graph import READ, REGISTRAR, WRITE, ScopeGraph

GRAPH = ScopeGraph()
MAIN = frozenset({"main"})


def holding(
    *scopes: str,
    kind: PrincipalKind = PrincipalKind.ACCOUNT,
    method: AuthMethod = AuthMethod.CLIENT_SECRET,
    networks: frozenset[str] = MAIN,
    name: str = "ada",
) -> Principal:
    """A principal with these scopes."""
    grant = Grant(GRAPH.mask(scopes), networks)
    return Principal(id="3b7c", kind=kind, name=name, method=method, grants=(grant,), credential="9", made_with=method)


@pytest.mark.parametrize(
    ("principal", "for_scope", "for_network"),
    [
        (holding(READ), "herod user scope 3b7c write", "herod user edit 3b7c --network=main --network=test"),
        (
            holding(REGISTRAR),
            "herod user scope 3b7c registrar write",
            "herod user edit 3b7c --network=main --network=test",
        ),
        (
            holding(READ, method=AuthMethod.JWT),
            "herod explain --principal 3b7c --scope=write",
            "herod explain --principal 3b7c --network=test",
        ),
        (
            holding(READ, kind=PrincipalKind.PEER, method=AuthMethod.PEER, name="uid:7"),
            "herod peer allow --uid=7 --scope=write --network=main",
            "herod peer allow --uid=7 --scope=read --network=main --network=test",
        ),
        (
            holding(REGISTRAR, kind=PrincipalKind.PEER, method=AuthMethod.PEER, name="gid:8", networks=ALL_NETWORKS),
            "herod peer allow --gid=8 --scope=registrar --scope=write",
            None,
        ),
        (
            holding(READ, kind=PrincipalKind.SERVICE, method=AuthMethod.SERVICE_KEY),
            "use a credential with scope write",
            "use a credential with network test",
        ),
        (
            holding(READ, kind=PrincipalKind.LEGACY, method=AuthMethod.LEGACY_SECRET),
            "use a credential with scope write",
            "use a credential with network test",
        ),
    ],
)
def test_table(principal: Principal, for_scope: str, for_network: str | None) -> None:
    """Each kind of principal has its own hint; one that may hold more elsewhere is looked up first."""
    assert set(for_scope.split()) == set(hint_command(GRAPH, principal, scope=WRITE).split())
    if for_network is not None:
        assert hint_command(GRAPH, principal, network="test") == for_network


@given(value=st.text(min_size=1))
def test_hints_are_safe_to_paste(value: str) -> None:
    """A name from the request stays one word in the shell, and not an option, whatever it contains."""
    for method in (AuthMethod.CLIENT_SECRET, AuthMethod.JWT):
        words = shlex.split(hint_command(GRAPH, holding(READ, method=method, networks=frozenset()), network=value))
        assert words[-1] == f"--network={value}"


def test_an_unknown_scope_is_named_all_the_same() -> None:
    """An unknown scope, which no command grants, is repeated in the hint as requested."""
    assert hint_command(GRAPH, holding(), scope="unknown") == "herod user scope 3b7c unknown"
