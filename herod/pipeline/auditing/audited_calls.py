"""The audit log's lines for calls of operations, and for requests that were refused before any was called."""

from typing import Final

from herod.audit_event import AuditEvent
from herod.pipeline.operation_definition import Context, Operation
from herod.scopes.principal import ANONYMOUS, Principal, PrincipalKind, Source

__all__ = ["event_of", "refused_request"]

# What the audit log calls a request that was refused before any operation was called.
REQUEST: Final = "request"


def event_of(
    operation: Operation,
    context: Context,
    *,
    outcome: str,
    reason: str | None = None,
    target: str | None = None,
    by_admin: bool = False,
) -> AuditEvent:
    """The event of this call.

    Args:
        reason: of a refusal; or what a success says besides.
        by_admin: an admin did it.
    """
    return AuditEvent(
        at=context.now,
        actor=_actor(context.principal),
        method=context.principal.method,
        source=context.source.label,
        operation=operation.name,
        outcome=outcome,
        reason=reason,
        target=target,
        by_admin=by_admin,
    )


def refused_request(source: Source, reason: str, *, now: int) -> AuditEvent:
    """The event of a request that was refused before any operation was called.

    Args:
        source: where it came from.
        reason: why, from a fixed list.
        now: Unix seconds.
    """
    return AuditEvent(
        at=now,
        actor=ANONYMOUS.id,
        method=ANONYMOUS.method,
        source=source.label,
        operation=REQUEST,
        outcome="denied",
        reason=reason,
    )


def _actor(principal: Principal) -> str:
    """The principal's id in the audit log: of an app, whose id may have a kilobyte, the beginning."""
    return principal.credential if principal.kind is PrincipalKind.APP else principal.id
