"""The ceiling of what a command gives: no more scope or networks than the caller holds, and never for longer.

The table names the type of the record that a command gives (`gives=`); the pipeline compares it here with what was
there before, in the write's transaction. Narrowing a record, or renaming it, gives nothing.

A credential's end is the `expires_at` of its grants: that of an API key, or of its former secret. Sessions and tokens
have the end of the credential that they were made with, so those of an account have none: the account is the maker.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from herod.identity.apps.registered_apps import app_grant
from herod.identity.effective_principals import delegated_grant
from herod.identity.runtime_state import Runtime
from herod.pipeline.ceilings.privilege_ceilings import check_ceiling
from herod.pipeline.operation_definition import Context, Operation
from herod.pipeline.targets import current_grant
from herod.records import Account, ApiKey, App, Delegation, PeerRule, Record, Session
from herod.store.store_interface import Reader
from herod_client.core.errors import CeilingExceeded
from herod_client.core.grants import Grant
from herod_client.core.times import rfc3339_text

__all__ = ["check_given"]

# Changing one of these lets whoever knows or has the new one use the record.
WAYS_IN: Final = ("password", "secret_hash", "redirect_uris", "grants", "needs_pkce", "needs_nonce")
# What, once true, lets a record do what it could not before.
SWITCHES: Final = ("enabled", "is_confirmed", "remembers_consent", "admits_unconfirmed", "sends_unconfirmed_email")

_GRANTS: Final[Mapping[type[Record], Callable[[Reader, Context, Any], Grant]]] = {
    Account: lambda reader, context, account: context.runtime.grant(account.scope, account.networks),
    ApiKey: current_grant,
    App: lambda reader, context, app: app_grant(context.runtime, app),
    PeerRule: lambda reader, context, rule: context.runtime.grant(rule.scope, rule.networks),
    Delegation: lambda reader, context, delegation: delegated_grant(context.runtime, delegation),
    Session: lambda reader, context, session: Grant(mask=0, networks=frozenset()),  # limited by its maker at each use
}


def check_given(reader: Reader, context: Context, operation: Operation, target: Record | None) -> None:
    """Refuse a change that gives more than the caller holds, or for longer.

    Args:
        reader: the transaction, after the handler.
        context: its `target` is the id of the record that was given.
        operation: one whose `gives` is a record type.
        target: the operation's target as it was, if it has one; the record that is given, or another one.

    Raises:
        CeilingExceeded: it exceeds the caller in scope, networks or time.
        LookupError: the handler did not say which record it gave.
    """
    assert isinstance(operation.gives, type)  # noqa: S101 - for the type checker
    after = None if context.target is None else reader.get(operation.gives, context.target)
    if after is None:
        raise LookupError(f"{operation.name} does not say which record it gave: set context.target")
    before = target if target is not None and (type(target), target.id) == (type(after), after.id) else None
    if before is not None and not _gives(context.runtime, before, after):
        return
    given = msgspec.structs.replace(_GRANTS[operation.gives](reader, context, after), expires_at=after.expires_at)
    try:
        check_ceiling(context.principal.grants, given)
    except CeilingExceeded as error:
        if before is None:  # what was made does not exist: the audit log must not name it
            context.target = None if target is None else target.id
        if error.missing != "expires_at":
            raise
        raise _too_long(context, operation, given) from None


def _gives(runtime: Runtime, before: Any, after: Any) -> bool:
    """Whether a change lets anybody do more, or something for longer."""
    if any(getattr(before, name, None) != getattr(after, name, None) for name in WAYS_IN):
        return True
    if before.id in runtime.switched_off and getattr(after, "enabled", True):
        return True
    if any(getattr(after, name, False) and not getattr(before, name, False) for name in SWITCHES):
        return True
    held = runtime.grant(before.scope, before.networks, before.expires_at)
    return not held.covers(runtime.grant(after.scope, after.networks, after.expires_at))


def _too_long(context: Context, operation: Operation, given: Grant) -> CeilingExceeded:
    untimed = Grant(given.mask, given.networks)
    able = [grant for grant in context.principal.grants if Grant(grant.mask, grant.networks).covers(untimed)]
    text = rfc3339_text(max(grant.expires_at or 0 for grant in able))
    can_end = "expires_at" in operation.params.__struct_fields__
    return CeilingExceeded(
        f"Your credential expires at {text}, and what it gives cannot last longer.",
        missing="expires_at",
        reason="outlives_credential",
        hint=f"give expires_at, at most {text}" if can_end else "use a credential that does not expire",
    )
