"""May they? One function answers, deny by default. It returns; the pipeline raises."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from herod.scopes.grants import Grant, intersect_networks
from herod.scopes.graph import ScopeGraph
from herod.scopes.hints import mending_command
from herod.scopes.principals import Principal, PrincipalKind

__all__ = ["Access", "Allowed", "Denied", "Needs", "Reason", "decide", "decide_ceiling", "decide_target"]


class Access(Enum):
    """What an operation may need instead of a scope."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"


Needs = Access | str


class Reason(StrEnum):
    """Why not."""

    ANONYMOUS = "anonymous"
    OUTSIDE_WINDOW = "outside_window"
    MISSING_SCOPE = "missing_scope"
    NETWORK_DENIED = "network_denied"
    CEILING_EXCEEDED = "ceiling_exceeded"
    TARGET_DENIED = "target_denied"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Yes."""


@dataclass(frozen=True, slots=True)
class Denied:
    """No: why, the scope or network that is missing, and the command that would mend it."""

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
    declares_network: bool = False,
) -> Allowed | Denied:
    """Decide whether `principal` passes `needs`, on `network` if one is asked about, at `now`.

    Args:
        graph: the scope graph that `principal.grant` was made with.
        principal: who asks.
        needs: a scope name, or an `Access`.
        now: Unix seconds.
        network: the network that is asked about.
        declares_network: the operation acts on a network, so a restricted grant must name the one it proves.
    """
    if needs is Access.PUBLIC:
        return ALLOWED
    if principal.kind is PrincipalKind.ANONYMOUS:
        return Denied(Reason.ANONYMOUS, hint="herod login")
    if not principal.grant.is_live(now):
        return Denied(Reason.OUTSIDE_WINDOW)
    if isinstance(needs, str):
        bit = graph.bit(needs)
        if not bit or not principal.grant.mask & bit:
            return Denied(Reason.MISSING_SCOPE, missing=needs, hint=mending_command(graph, principal, scope=needs))
    if network is not None and not principal.grant.proves(network):
        return Denied(Reason.NETWORK_DENIED, missing=network, hint=mending_command(graph, principal, network=network))
    if declares_network and network is None and "*" not in principal.grant.networks:
        return Denied(Reason.NETWORK_DENIED, hint="name one of your networks in the request")
    return ALLOWED


def decide_ceiling(giver: Grant, given: Grant) -> Allowed | Denied:
    """Decide whether `given` may be given: only what the giver holds, in scope, network and time."""
    if given.mask & ~giver.mask:
        return Denied(Reason.CEILING_EXCEEDED, missing="scope", hint="ask for no more scope than your own")
    if intersect_networks(giver.networks, given.networks) != given.networks:
        return Denied(Reason.CEILING_EXCEEDED, missing="networks", hint="name only networks of your own")
    if giver.covers(given):
        return ALLOWED
    if giver.not_before is not None and (given.not_before is None or given.not_before < giver.not_before):
        return Denied(
            Reason.CEILING_EXCEEDED, missing="not_before", hint="let it begin no earlier than your own credential"
        )
    return Denied(Reason.CEILING_EXCEEDED, missing="expires_at", hint="let it expire no later than your own credential")


def decide_target(actor: Grant, target: Grant) -> Allowed | Denied:
    """Decide whether `actor` may change, or make a credential for, someone who holds `target`."""
    if not target.mask & ~actor.mask and ("*" in actor.networks or target.networks <= actor.networks):
        return ALLOWED
    return Denied(Reason.TARGET_DENIED, hint="ask someone whose scope and networks include theirs")
