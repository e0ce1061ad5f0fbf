"""What an app's token asks for and a person must approve first: which calls, and how one that was approved is found.

Nothing tells the app of the decision: it repeats the same call. The call is known by a keyed hash of the operation, its
parameters in canonical form, and its target with its content; a changed target is another call. An approval is deleted
in the transaction that runs the call, so the call runs once.

Must never let an admin, or anybody but the account whose token asked, stand in for that person, nor keep a secret.
"""

import hmac
from typing import Final, Literal

import msgspec

from herod.credentials.keyring import Keyring, Purpose
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Context, Operation, Params, Target
from herod.records import RECORD_TYPES, Approval, Record
from herod.store.store_interface import Reader, Writer
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import ApprovalRequired, RateLimited, TargetDenied
from herod_client.core.key_format import new_id

__all__ = [
    "APPROVAL_SECONDS",
    "ASKED",
    "MAX_OPEN",
    "State",
    "approval_of",
    "ask_for_approval",
    "check_approved",
    "is_current",
    "is_live",
    "needs_approval",
    "use_approval",
]

State = Literal["waiting", "approved", "declined"]

# How long a call waits for its person, and how long the app may repeat it after that.
APPROVAL_SECONDS: Final = 600
# Of one delegation, waiting or not repeated yet.
MAX_OPEN: Final = 16
# Of one parameter, as people read it.
MAX_SHOWN: Final = 300
# What the audit log calls it when a person is asked: the app called another operation, which did not run.
ASKED: Final = "approvals.ask"
_ID_CHARACTERS: Final = 64  # of an id of a target; keys' have 12, others' are UUIDs

_canonical: Final = msgspec.json.Encoder(order="sorted").encode
_exact: Final = msgspec.msgpack.Encoder(order="sorted").encode
_TYPES: Final = {record_type.kind: record_type for record_type in RECORD_TYPES}


def needs_approval(context: Context, operation: Operation) -> bool:
    """Whether the caller is an app, and the operation one that its person must approve (`--approve`).

    The `herod` command is not: its person types what it does (`docs/decisions/0014-the-command-is-an-app.md`).
    """
    principal = context.principal
    if principal.delegation is None or principal.app == HEROD_CLI or not operation.is_command or operation.apps_may:
        return False
    asked = context.runtime.config.approve
    return asked == "all" or (asked == "destructive" and operation.is_destructive)


def approval_of(
    reader: Reader, context: Context, operation: Operation, params: Params, record: Record | None
) -> Approval | None:
    """The approval of this very call, in whatever state; None if nobody was asked, or it has ended.

    Args:
        params: normalized.
        record: the operation's target as it is.
    """
    fingerprint = _fingerprint(context.runtime.keyring, operation, params, record)
    for found in reader.find(Approval, "call", context.principal.delegation or "", fingerprint):
        if is_live(found, context.now):
            return found
    return None


def check_approved(context: Context, approval: Approval) -> None:
    """Refuse a call that is not approved.

    Raises:
        ApprovalRequired: its person has not decided yet.
        TargetDenied: they declined it.
    """
    if approval.state == "declined":
        raise TargetDenied("The person declined this call: do not repeat it.", reason="declined")
    if approval.state != "approved":
        url = f"{context.runtime.config.public_url}/ui/approvals/{approval.id}"
        raise ApprovalRequired(
            f"A person must approve this first: ask them to open {url} and, once they have approved it, repeat the "
            f"same call within {APPROVAL_SECONDS // 60} minutes.",
            url=url,
            id=approval.id,
        )


def ask_for_approval(
    tx: Writer, context: Context, operation: Operation, params: Params, record: Record | None
) -> Approval:
    """The approval of this call; a new one that waits, if there is none.

    Raises:
        RateLimited: too many calls of this app wait already.
    """
    known = approval_of(tx, context, operation, params, record)
    if known is not None:
        return known
    delegation = context.principal.delegation or ""
    _make_room(tx, delegation, context.now)
    target = operation.target if isinstance(operation.target, Target) else None
    approval = Approval(
        id=new_id(),
        created_at=context.now,
        expires_at=context.now + APPROVAL_SECONDS,
        delegation=delegation,
        account=context.principal.id,
        operation=operation.name,
        fingerprint=_fingerprint(context.runtime.keyring, operation, params, record),
        target_kind="" if target is None or record is None else record.kind,
        target="" if record is None else record.id[:_ID_CHARACTERS],
        target_name=_shown(getattr(record, "name", "")),
        revision="" if record is None else _revision(context.runtime.keyring, record),
        shown=_shown_params(operation, params),
        source=context.source.label,
    )
    tx.put(approval)
    return approval


def use_approval(tx: Writer, context: Context, operation: Operation, params: Params, record: Record | None) -> None:
    """Use up the approval of a call that is about to run, if it needs one.

    Raises:
        ApprovalRequired: it is not approved, or not any more: the target may have changed meanwhile.
        TargetDenied: it was declined.
    """
    if not needs_approval(context, operation):
        return
    approval = approval_of(tx, context, operation, params, record)
    if approval is None:
        raise ApprovalRequired(
            "The approval of this call was used up, or what it would change has changed since: repeat the call to ask "
            "again.",
            url=f"{context.runtime.config.public_url}/ui/approvals",
        )
    check_approved(context, approval)
    tx.delete(Approval, approval.id)


def is_current(reader: Reader, runtime: Runtime, approval: Approval, now: int) -> bool:
    """Whether the approval has not ended, and its target is as it was when the app asked."""
    if not is_live(approval, now):
        return False
    if not approval.target_kind:
        return True
    record = reader.get(_TYPES[approval.target_kind], approval.target)
    return record is not None and hmac.compare_digest(_revision(runtime.keyring, record), approval.revision)


def is_live(approval: Approval, now: int) -> bool:
    """Whether it has not ended. One from the future was made while the clock was ahead, and would last as long."""
    return approval.created_at - CLOCK_SKEW <= now < (approval.expires_at or 0)


def _make_room(tx: Writer, delegation: str, now: int) -> None:
    """Delete what has ended of one delegation.

    Raises:
        RateLimited: too many of its calls are open.
    """
    known = tx.list(Approval, owner=delegation).items
    for approval in known:
        if not is_live(approval, now):
            tx.delete(Approval, approval.id)
    ends = [approval.expires_at or 0 for approval in known if is_live(approval, now) and approval.state != "declined"]
    if len(ends) >= MAX_OPEN:
        raise RateLimited(
            f"{MAX_OPEN} calls of this app wait for a person already: wait until they have decided.",
            retry_after=max(1, min(ends) - now),
            reason="open_approvals",
        )


def _fingerprint(keyring: Keyring, operation: Operation, params: Params, record: Record | None) -> str:
    revision = b"" if record is None else bytes.fromhex(_revision(keyring, record))
    return keyring.mac(Purpose.APPROVALS, b"call", operation.name.encode(), _canonical(params), revision).hex()


def _revision(keyring: Keyring, record: Record) -> str:
    return keyring.mac(Purpose.APPROVALS, b"target", record.kind.encode(), record.id.encode(), _exact(record)).hex()


def _shown_params(operation: Operation, params: Params) -> tuple[tuple[str, str], ...]:
    """The given parameters as people read them, without secrets."""
    given = {name: getattr(params, name) for name in params.__struct_fields__ if name not in operation.secret_fields}
    texts = {name: _shown(value) for name, value in given.items() if value not in (None, msgspec.UNSET, "", (), {})}
    return tuple(texts.items())


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else _canonical(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"
