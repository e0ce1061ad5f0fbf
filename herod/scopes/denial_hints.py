"""Hints for denials: a command that grants what is missing and takes nothing away.

Values come from requests and hints are pasted into shells, so every word is quoted and none can become an option.
"""

from shlex import join

from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["hint_command"]

# These have all grants of their account; other credentials of an account may have fewer.
WHOLE_ACCOUNT = frozenset({AuthMethod.CLIENT_SECRET, AuthMethod.PASSWORD})


def hint_command(
    graph: ScopeGraph, principal: Principal, *, scope: str | None = None, network: str | None = None
) -> str:
    """The command that would grant what is missing, or advice where there is none.

    Args:
        graph: the graph of the principal's grant.
        principal: the denied principal, with one grant.
        scope: the missing scope, or
        network: the missing network.
    """
    grant = principal.grants[0]
    scopes = graph.names(grant.mask | graph.mask((scope,) if scope else ())) or ((scope,) if scope else ())
    networks = sorted(grant.networks | ({network} if network else frozenset()))
    asked = f"--scope={scope}" if scope is not None else f"--network={network}"
    match principal.kind:
        case PrincipalKind.ACCOUNT if principal.method not in WHOLE_ACCOUNT:
            return join(("herod", "explain", "--principal", principal.id, asked))
        case PrincipalKind.ACCOUNT if scope is not None:
            return join(("herod", "user", "scope", principal.id, *scopes))
        case PrincipalKind.ACCOUNT:
            return join(("herod", "user", "edit", principal.id, *(f"--network={name}" for name in networks)))
        case PrincipalKind.PEER:
            kind, _, number = principal.name.partition(":")
            words = ("herod", "peer", "allow", f"--{kind}={number}", *(f"--scope={name}" for name in scopes))
            return join((*words, *(f"--network={name}" for name in networks if name != "*")))
        case _:
            what, value = ("scope", scope) if scope is not None else ("network", network or "")
            return f"use a credential with {what} {join((value,))}"
