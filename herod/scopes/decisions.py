"""Authorization decisions, deny by default. The functions return a decision; the pipeline raises."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from herod.scopes.denial_hints import hint_command
from herod.scopes.principal import Principal, PrincipalKind, part_of
from herod_client.core.grants import Grant, Grants, intersect_networks
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["Access", "Allowed", "Denied", "Needs", "Reason", "decide", "decide_ceiling", "decide_target"]


class Access(Enum):
    """What an operation may need instead of a scope."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"


Needs = Access | str


class Reason(StrEnum):
    """Why a request was denied."""

    ANONYMOUS = "anonymous"
    OUTSIDE_WINDOW = "outside_window"
    MISSING_SCOPE = "missing_scope"
    NETWORK_DENIED = "network_denied"
    CEILING_EXCEEDED = "ceiling_exceeded"
    TARGET_DENIED = "target_denied"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request is allowed."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The request is denied: why, the scope or network that is missing, and the command that would grant it."""

    reason: Reason
    missing: str | None = None
    hint: str | None = None


ALLOWED: Final = Allowed()


def decide(
    graph: ScopeGraph,
    principal: Principal,
    *,
    needs: Needs,
    now: int,
    network: str | None = None,
) -> Allowed | Denied:
    """Decide whether one of `principal`'s grants satisfies `needs`, on `network` if one is given, at `now`.

    Args:
        graph: the scope graph that `principal.grants` were made with.
        principal: the caller.
        needs: a scope name, or an `Access`.
        now: Unix seconds.
        network: the network that the request is about.
    """
    if needs is Access.PUBLIC:
        return ALLOWED
    if principal.kind is PrincipalKind.ANONYMOUS:
        return Denied(Reason.ANONYMOUS)
    bit = graph.bit(needs) if isinstance(needs, str) else None
    for grant in principal.grants:
        if grant.is_live(now) and (bit is None or grant.mask & bit) and (network is None or grant.proves(network)):
            return ALLOWED
    return _denied(graph, principal, needs=needs, now=now, network=network)


def _denied(graph: ScopeGraph, principal: Principal, *, needs: Needs, now: int, network: str | None) -> Denied:
    """Why none of the principal's grants is sufficient, and the command that would extend the closest one."""
    live = [grant for grant in principal.grants if grant.is_live(now)]
    if not live:
        return Denied(Reason.OUTSIDE_WINDOW)
    if isinstance(needs, str):
        bit = graph.bit(needs)
        passing = [grant for grant in live if grant.mask & bit]
        if not passing:
            closest = next((grant for grant in live if network is not None and grant.proves(network)), live[0])
            hint = hint_command(graph, part_of(principal, closest), scope=needs)
            return Denied(Reason.MISSING_SCOPE, missing=needs, hint=hint)
        live = passing
    hint = hint_command(graph, part_of(principal, live[0]), network=network)
    return Denied(Reason.NETWORK_DENIED, missing=network, hint=hint)


def decide_ceiling(giver: Grants, given: Grant) -> Allowed | Denied:
    """Decide whether `given` may be granted: one of the giver's grants must cover its scope, networks and time."""
    if any(grant.covers(given) for grant in giver):
        return ALLOWED
    giver = tuple(grant for grant in giver if not given.mask & ~grant.mask)
    if not giver:
        return Denied(Reason.CEILING_EXCEEDED, missing="scope", hint="request only scopes that you have")
    giver = tuple(grant for grant in giver if intersect_networks(grant.networks, given.networks) == given.networks)
    if not giver:
        return Denied(Reason.CEILING_EXCEEDED, missing="networks", hint="name only networks that you have")
    return Denied(Reason.CEILING_EXCEEDED, missing="expires_at", hint="let it expire no later than your own credential")


def decide_target(actor: Grants, target: Grants) -> Allowed | Denied:
    """Decide whether `actor` may change, or create a credential for, a principal who holds `target`.

    Each grant of the target must lie within one of the actor's, in scope and network.
    """
    if all(any(_reaches(grant, held) for grant in actor) for held in target):
        return ALLOWED
    return Denied(Reason.TARGET_DENIED, hint="ask someone whose scope and networks include theirs")


def _reaches(actor: Grant, target: Grant) -> bool:
    return not target.mask & ~actor.mask and ("*" in actor.networks or target.networks <= actor.networks)
