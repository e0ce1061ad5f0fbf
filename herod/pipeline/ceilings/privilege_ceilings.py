"""Privilege ceilings: no actor gives more than it holds or changes a target that holds more, and an admin remains.

These checks run in the write's own transaction, on grants read there (rule 8 of the security rules).
"""

import itertools
from collections.abc import Iterator

from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Context
from herod.records import SERVICE_KEYS, Account, ApiKey
from herod.scopes.decisions import Denied, decide_ceiling, decide_target
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.owned_records import owned_by
from herod.store.store_interface import Reader
from herod_client.core.errors import CeilingExceeded, Conflict, TargetDenied
from herod_client.core.grants import Grant, Grants, Networks
from herod_client.core.scope_graph import ADMIN

__all__ = [
    "check_ceiling",
    "check_key_manager",
    "check_last_admin",
    "check_target",
    "given_scope",
    "is_admin",
    "is_standing_admin",
    "own_networks",
    "owns",
    "possible_admins",
]


def is_admin(context: Context) -> bool:
    """Whether the caller holds admin."""
    bit = context.runtime.config.graph.bit(ADMIN)
    return any(grant.mask & bit for grant in context.principal.grants)


def given_scope(context: Context, text: str) -> tuple[str, ...]:
    """Parse a scope to be granted."""
    return context.runtime.config.graph.parse(text)


def own_networks(context: Context, scope: tuple[str, ...]) -> Networks:
    """The default networks for `scope`: those of one of the caller's grants."""
    principal = context.principal
    return (principal.farthest(context.runtime.config.graph.mask(scope)) or principal.widest).networks


def check_ceiling(giver: Grants, given: Grant, whose: str = "your own") -> None:
    """Refuse to give more than one of the giver's grants covers.

    Raises:
        CeilingExceeded: it exceeds them in scope, networks or time.
    """
    decision = decide_ceiling(giver, given)
    if isinstance(decision, Denied):
        raise CeilingExceeded(
            f"The requested {decision.missing} exceeds {whose}.", missing=decision.missing, hint=decision.hint
        )


def check_target(context: Context, *target: Grant) -> None:
    """Refuse to change a target that holds more than the caller.

    Raises:
        TargetDenied: the target's scope or networks go beyond the actor's.
    """
    decision = decide_target(context.principal.grants, target)
    if isinstance(decision, Denied):
        raise TargetDenied("The target holds more than you do, so you cannot change it.", hint=decision.hint)


def check_key_manager(context: Context) -> None:
    """Refuse to let API keys manage keys: user keys always, service keys without admin.

    Raises:
        CeilingExceeded: the credential, or its parent credential, is such a key.
    """
    principal = context.principal
    if principal.made_with is AuthMethod.USER_KEY:
        raise CeilingExceeded(
            "A user's API key cannot manage keys: sign in instead.",
            reason="key_cannot_manage_keys",
            hint="sign in as the key's owner",
        )
    if principal.kind is PrincipalKind.SERVICE and not is_admin(context):
        raise CeilingExceeded(
            "A service key can manage keys only with scope admin.",
            missing=ADMIN,
            reason="key_cannot_manage_keys",
            hint="use a key with scope admin",
        )


def owns(principal: Principal, account_id: str) -> bool:
    """Whether the account is the principal's own."""
    return principal.kind is PrincipalKind.ACCOUNT and principal.id == account_id


def check_last_admin(
    reader: Reader, context: Context, before: Account | ApiKey, after: Account | ApiKey | None
) -> None:
    """Refuse a change after which no account and no service key would be an enabled admin.

    An admin that would expire sooner or have fewer networks counts as removed, unless another covers what it held. One
    that expires sooner than the removed one does not count: a key with a minute left must not leave herod without any.

    Args:
        before: the account or key as it is.
        after: as it would be; None if it is deleted.

    Raises:
        Conflict: it is the last admin.
    """
    runtime, now = context.runtime, context.now
    if not is_standing_admin(runtime, before, now):
        return
    stays = after is not None and is_standing_admin(runtime, after, now)
    held = _reach(runtime, before)
    if stays and after is not None and _reach(runtime, after).covers(held):
        return
    for other in possible_admins(reader):
        if other.id == before.id or not is_standing_admin(runtime, other, now):
            continue
        if _reach(runtime, other).covers(held) or (not stays and _lasts_as_long(other, before)):
            return
    raise Conflict("This is the last enabled admin: create another one first.", reason="last_admin")


def possible_admins(reader: Reader) -> Iterator[Account | ApiKey]:
    """Every account and service key."""
    return itertools.chain(owned_by(reader, ApiKey, SERVICE_KEYS), reader.scan(Account))


def _reach(runtime: Runtime, record: Account | ApiKey) -> Grant:
    """The networks and expiry of an admin."""
    return runtime.grant((ADMIN,), record.networks, record.expires_at)


def _lasts_as_long(other: Account | ApiKey, before: Account | ApiKey) -> bool:
    end = other.expires_at
    return end is None or (before.expires_at is not None and end >= before.expires_at)


def is_standing_admin(runtime: Runtime, record: Account | ApiKey, now: int) -> bool:
    """Whether this is an enabled admin that has not expired."""
    if not record.enabled or record.id in runtime.switched_off:
        return False
    if record.expires_at is not None and record.expires_at <= now:
        return False
    if isinstance(record, ApiKey) and record.owner is not None:
        return False  # its owner is counted instead
    return bool(runtime.config.graph.mask(record.scope) & runtime.config.graph.bit(ADMIN))
