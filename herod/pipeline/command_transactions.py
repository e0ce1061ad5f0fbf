"""What happens in a command's write transaction: admit again, run the handler, check what it changed, audit it.

Everything here is rolled back together if one step refuses. Only `Pipeline` calls it, after it has admitted the caller
once and done the slow work; nothing that it found then is trusted here.
"""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from herod.identity.credential_types import Presented
from herod.identity.identify import identify
from herod.identity.runtime_state import Runtime
from herod.pipeline.admission import authorize
from herod.pipeline.approvals import ASKED, ask_for_approval, use_approval
from herod.pipeline.auditing.audit_recorder import AuditRecorder
from herod.pipeline.auditing.audited_calls import event_of
from herod.pipeline.ceilings.given_grants import check_given
from herod.pipeline.ceilings.issue_rate import IssueRate
from herod.pipeline.ceilings.privilege_ceilings import check_last_admin, is_admin
from herod.pipeline.operation_definition import Context, Operation, Params, Target, Unwritten
from herod.pipeline.targets import find_target
from herod.records import Account, ApiKey, Approval
from herod.scopes.decisions import Access
from herod.scopes.principal import ANONYMOUS, PrincipalKind
from herod.store.owned_records import delete_delegations
from herod.store.store_interface import Store, Writer
from herod.throttle.limiter import AttemptLimiter
from herod.throttle.source_shares import share_of
from herod_client.core.scope_graph import ADMIN

__all__ = ["CommandTransactions", "hold_in_memory"]

logger = logging.getLogger("herod.operations")


class CommandTransactions:
    """Runs commands of one runtime, each on the writer of its transaction.

    Args:
        clock: Unix seconds.
        attempts: settles the attempts that a call was counted for.
        trail: writes the audit rows, or counts them.
    """

    def __init__(
        self, runtime: Runtime, *, clock: Callable[[], int], attempts: AttemptLimiter, trail: AuditRecorder
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._attempts = attempts
        self._trail = trail
        self._issued = IssueRate()

    def run(
        self, context: Context, operation: Operation, presented: Presented | None, params: Params, tx: Writer
    ) -> Any:
        """Run a command; its result. `context` learns what the pipeline does after the commit.

        Raises:
            HerodError: it is refused, and nothing was changed.
        """
        context.now = self._clock()  # slow work and the writer's queue have taken time
        if operation.needs is not Access.PUBLIC:
            authorize(context, operation, identify(tx, self._runtime, presented, context.source, context.now))
        before = tx.revision
        result = self._issue(tx, context, operation, params)
        has_changed = tx.revision != before
        for counted in context.counted:
            self._attempts.settle(tx, counted)
        if context.refused is not None:
            reason = context.refused.reason
            event = event_of(operation, context, outcome="denied", reason=reason, target=context.target)
            self._trail.record(tx, event, source=share_of(context.source), is_own_row=True)
        elif (has_changed and not operation.is_routine) or operation.always_audited:
            event = event_of(
                operation, context, outcome="ok", reason=context.said, target=context.target, by_admin=is_admin(context)
            )
            is_own_row = has_changed or operation.needs == ADMIN
            self._trail.record(tx, event, source=share_of(context.source), is_own_row=is_own_row)
        return result

    def ask_person(
        self, context: Context, operation: Operation, presented: Presented | None, params: Params, tx: Writer
    ) -> Approval:
        """Ask the person of an app's call to approve it, unless they are asked already; the approval.

        Raises:
            HerodError: the app may not call this, or waits for too many.
        """
        context.now = self._clock()
        authorize(context, operation, identify(tx, self._runtime, presented, context.source, context.now))
        before = tx.revision
        record = find_target(tx, context, operation.target, params) if isinstance(operation.target, Target) else None
        approval = ask_for_approval(tx, context, operation, params, record)
        event = event_of(operation, context, outcome="ok", target=approval.id)
        if tx.revision != before:  # else it waits already
            row = msgspec.structs.replace(event, operation=ASKED)
            self._trail.record(tx, row, source=share_of(context.source), is_own_row=True)
        return approval

    def _issue(self, tx: Writer, context: Context, operation: Operation, params: Params) -> Any:
        """Run a command's handler; if it issues a credential, within its principal's rate."""
        if not operation.issues:
            return self._handle(tx, context, operation, params)
        if context.principal is not ANONYMOUS and context.principal.kind is not PrincipalKind.APP:
            self._issued.check(context)
            result = self._handle(tx, context, operation, params)
        else:  # the handler finds out who signs in, and its writes are rolled back if they may not
            result = self._handle(tx, context, operation, params)
            if context.refused is not None:
                return result
            self._issued.check(context)
        self._issued.count(context)
        return result

    def _handle(self, tx: Writer, context: Context, operation: Operation, params: Params) -> Any:
        """Run a command's handler on its target, after checking it again, and check what the handler changed."""
        if isinstance(operation.target, Target):
            record = find_target(tx, context, operation.target, params)
            use_approval(tx, context, operation, params, record)
            result = operation.handler(tx, context, params, record)
        else:
            use_approval(tx, context, operation, params, None)
            record, result = None, operation.handler(tx, context, params)
        if isinstance(operation.gives, type):
            check_given(tx, context, operation, record)
        if isinstance(record, Account | ApiKey):
            after = tx.get(type(record), record.id)
            if after != record:
                check_last_admin(tx, context, record, after)
            if isinstance(after, Account) and isinstance(record, Account) and after.epoch != record.epoch:
                delete_delegations(tx, after, now=context.now)
        return result


def hold_in_memory(store: Store, context: Context, operation: Operation, params: Params, unwritten: Unwritten) -> None:
    """Apply in memory a change that the store cannot write, if it is allowed."""
    record = None
    if isinstance(operation.target, Target):
        record = find_target(store, context, operation.target, params)
    unwritten(store, context, params, record)
    store.change_notifier.send()
    logger.warning(
        "in force until the restart, because the store cannot be written: repeat it when it can",
        extra={"operation": operation.name, "target": context.target, "actor": context.principal.id},
    )
