"""The pipeline of every request: identify → authorize → run → audit. The only caller of handlers.

Deny by default: a handler is reached through `Pipeline.call` or not at all. A command is admitted twice: once before
any slow work, and again inside its write transaction, so that no check is outdated when it commits.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from herod.audit_event import AuditEvent
from herod.identity.credential_types import Presented, SessionCookie
from herod.identity.identify import identify
from herod.identity.runtime_state import Runtime
from herod.pipeline.admission import admitted, authorize, check_direct, check_fresh, check_person
from herod.pipeline.approvals import approval_of, check_approved, needs_approval
from herod.pipeline.auditing.audit_recorder import AuditRecorder
from herod.pipeline.auditing.audited_calls import event_of, refused_request
from herod.pipeline.auditing.denial_queue import DenialQueue
from herod.pipeline.auditing.refused_credential_id import presented_id
from herod.pipeline.command_transactions import CommandTransactions, hold_in_memory
from herod.pipeline.credential_last_used import note_use
from herod.pipeline.credential_verification import allow_verification
from herod.pipeline.guessed_credentials import guess_counters
from herod.pipeline.operation_definition import Context, Operation, Params, Target, Wait
from herod.pipeline.parameters.given_params import normalized, take_credential
from herod.pipeline.process.process_state import ProcessState
from herod.pipeline.process.worker_thread import WorkerThread
from herod.pipeline.targets import find_target
from herod.scopes.decisions import Access
from herod.scopes.principal import ANONYMOUS, AuthMethod, Principal, Source
from herod.store.store_interface import Health, Page, Store, Writer, in_force_until_restart
from herod.throttle.limiter import AttemptLimiter
from herod.throttle.rules import Counter, legacy_counters
from herod.throttle.source_shares import share_of
from herod_client.core.errors import (
    HerodError,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

__all__ = ["Pipeline"]

logger = logging.getLogger("herod.operations")

# Other writes take place in between.
EVENTS_AT_ONCE: Final = 500


class Pipeline:
    """Runs operations against one store for one runtime.

    Args:
        clock: Unix seconds.
    """

    def __init__(
        self, store: Store, runtime: Runtime, *, clock: Callable[[], int], process: ProcessState | None = None
    ) -> None:
        self.store = store
        self.runtime = runtime
        self.process = process or ProcessState()
        self.process.steady.start(runtime.started_at)
        self.denials = DenialQueue()
        self.trail = AuditRecorder()
        self.attempts = AttemptLimiter(store)
        self._clock = clock
        self._commands = CommandTransactions(runtime, clock=clock, attempts=self.attempts, trail=self.trail)
        self.worker = WorkerThread()

    async def call(self, operation: Operation, params: Params, presented: Presented | None, source: Source) -> Any:
        """Answer one request.

        Args:
            operation: the operation to call.
            params: converted to `operation.params`.
            presented: the credential of the request, if any.
            source: where the request comes from.

        Raises:
            HerodError: the request failed; a denial has been queued for the audit log.
        """
        if operation.credential_field is not None:
            params, presented = take_credential(operation, params, presented)
        context = self._context(source)
        try:
            check_direct(context, operation)
            if operation.needs is not Access.PUBLIC:
                authorize(context, operation, self._identify(context, presented))
            if context.principal is not ANONYMOUS:
                note_use(self.store, context, context.principal)
            if operation.verifies is not None:
                allow_verification(self.store, self.attempts, context, presented, getattr(params, operation.verifies))
            if not operation.is_command and operation.wait is None and operation.misses is None:
                return operation.handler(self.store, context, params)  # frequent requests take few steps
            if operation.wait is not None:
                return await self._wait(context, operation, presented, params, operation.wait)
            counter = operation.misses(context, params) if operation.misses is not None else None
            if counter is not None:
                return await self._find(context, operation, presented, params, counter)
            return await self._answer(context, operation, presented, params)
        except (Unauthenticated, PermissionDenied, RateLimited, NotFound) as error:
            self._note(error, operation, context, presented)
            raise

    async def visit(
        self, operation: Operation, params: Params, presented: Presented, source: Source, *, among: Iterable[Operation]
    ) -> tuple[Any, frozenset[str]]:
        """Answer a plain query, and say which operations `among` others its caller may call, by one identification.

        Raises:
            Unauthenticated, PermissionDenied, RateLimited: as `call`.
            TypeError: the operation is a command, waits, is limited, or takes a credential as a parameter.
        """
        if operation.is_command or operation.wait or operation.misses or operation.credential_field:
            raise TypeError(f"{operation.name} is not a plain query")
        context = self._enter(operation, presented, source)
        note_use(self.store, context, context.principal)
        return operation.handler(self.store, context, params), admitted(context, among)

    def admitted(self, operations: Iterable[Operation], presented: Presented | None, source: Source) -> frozenset[str]:
        """Which of them `call` would admit now. Nothing runs and nothing is noted."""
        context = self._context(source)
        with suppress(Unauthenticated):
            context.principal = self._identify(context, presented)
        return admitted(context, operations)

    def check_caller(self, operations: Sequence[Operation], presented: Presented | None, source: Source) -> None:
        """Refuse a caller who may call none of the operations, when the parameters cannot be read: it is judged first.

        Who presents nothing passes, if it comes from where it may: it may have been among the parameters.

        Args:
            operations: the one that is called, or all that the unreadable parameters may mean.
            presented: the credential of the request, if any.
            source: where the request comes from.

        Raises:
            Unauthenticated, PermissionDenied, RateLimited: as `call`.
        """
        if any(operation.only_direct for operation in operations):
            self._enter(operations[0], presented, source)
        elif presented is not None and all(operation.needs is not Access.PUBLIC for operation in operations):
            self._enter_any(operations, presented, source)

    def _enter_any(self, operations: Sequence[Operation], presented: Presented, source: Source) -> None:
        """Refuse a caller who may call none of the operations; the denial is queued as one of the first."""
        context = self._context(source)
        try:
            context.principal = principal = self._identify(context, presented)
            if len(operations) == 1 or not admitted(context, operations):
                authorize(context, operations[0], principal)
        except (Unauthenticated, PermissionDenied, RateLimited) as error:
            self._note(error, operations[0], context, presented)
            raise

    def require_fresh(self, operation: Operation, presented: Presented, source: Source) -> None:
        """Refuse a browser session that must sign in again to call the operation. Nothing runs and nothing is noted.

        Raises:
            ExpiredToken: its sign-in is too old.
            PersonNeeded: no person opened it.
            Unauthenticated: the credential is not valid now.
        """
        context = self._context(source)
        context.principal = self._identify(context, presented)
        check_person(context, operation)
        check_fresh(context, operation)

    def note_refused_request(self, source: Source, reason: str) -> None:
        """Note for the audit log that a request was refused before any operation was called.

        Args:
            source: where it came from.
            reason: why, from a fixed list.
        """
        self.runtime.counters["denials"] += 1
        self.denials.add(refused_request(source, reason, now=self._clock()), share=share_of(source))

    def now(self) -> int:
        """Unix seconds, by the pipeline's clock."""
        return self._clock()

    async def flush(self, *, is_last: bool = False) -> None:
        """Write the counted lines that are due to the audit log, and the counts of guesses.

        Called every second, and once at shutdown to write everything.
        """
        await self.attempts.flush()
        self.runtime.client_documents.expire(self._clock())
        if not await self.process.legacy_usage.flush(self.store, now=self._clock(), is_last=is_last):
            self._say_unwritten("the uses of legacy secrets", is_last=is_last)
        now = None if is_last else self._clock()
        denied, done = self.denials.take(now), self.trail.take(now)
        events = [*denied, *done]
        written = 0

        def put_back() -> None:
            self.denials.put_back(denied[written:])
            self.trail.put_back(done[max(0, written - len(denied)) :])

        try:
            for written in range(0, len(events), EVENTS_AT_ONCE):
                await self.store.write(partial(_append, events[written : written + EVENTS_AT_ONCE]))
        except Unavailable:
            put_back()
            self._say_unwritten("the counted audit events", is_last=is_last)
        except trio.Cancelled:  # not yet in the store's queue: a queued write cannot be cancelled
            put_back()
            raise

    def _say_unwritten(self, what: str, *, is_last: bool) -> None:
        health, why = self.store.health
        if is_last or health is Health.OK:  # the store has logged already that it is not well
            logger.warning("%s could not be written to the store", what, extra={"reason": why})

    async def _answer(self, context: Context, operation: Operation, presented: Presented | None, params: Params) -> Any:
        if not operation.is_command:
            return operation.handler(self.store, context, params)
        params = normalized(operation, params)
        if isinstance(operation.target, Target):  # refused before any slow work, and checked again after it
            context.record = find_target(self.store, context, operation.target, params)
        if needs_approval(context, operation):
            await self._wait_for_person(context, operation, presented, params)
        attempt = operation.limit(self.store, context, params) if operation.limit is not None else None
        if attempt is None:
            return await self._change(context, operation, presented, params)
        async with self.attempts.counting(attempt, context.now) as counted:
            context.counted += (counted,)
            return await self._change(context, operation, presented, params)

    async def _wait_for_person(
        self, context: Context, operation: Operation, presented: Presented | None, params: Params
    ) -> None:
        """Refuse a call until its person has approved it; they are asked if they were not yet.

        Raises:
            ApprovalRequired, TargetDenied, RateLimited: it is not approved.
        """
        approval = approval_of(self.store, context, operation, params, context.record)
        if approval is None:
            approval = await self.store.write(partial(self._commands.ask_person, context, operation, presented, params))
            self.runtime.counters["approvals_asked"] += 1
        check_approved(context, approval)

    async def _find(
        self, context: Context, operation: Operation, presented: Presented | None, params: Params, counter: Counter
    ) -> Any:
        """Answer, unless there were too many misses before; nothing else runs between lookup and count."""
        now = context.now
        self.attempts.check(counter, now=now)
        try:
            result = await self._answer(context, operation, presented, params)
        except NotFound:
            self.attempts.count(counter, now=now)
            raise
        if isinstance(result, Page) and not result.items:
            self.attempts.count(counter, now=now)
        return result

    async def _wait(
        self, context: Context, operation: Operation, presented: Presented | None, params: Params, wait: Wait
    ) -> Any:
        result = await wait(self.store, context, params)
        if operation.needs is not Access.PUBLIC:  # the caller may have lost access meanwhile
            context.now = self._clock()
            authorize(context, operation, self._identify(context, presented))
        return result

    async def _change(self, context: Context, operation: Operation, presented: Presented | None, params: Params) -> Any:
        if operation.prepare is not None:
            work = operation.prepare(self.store, context, params)
            if work is not None:
                context.prepared = await self.worker.run(work, share_of(context.source))
        attempt = operation.then_limit(self.store, context, params) if operation.then_limit is not None else None
        if attempt is None:
            return await self._write(context, operation, presented, params)
        async with self.attempts.counting(attempt, context.now) as counted:
            context.counted += (counted,)
            return await self._write(context, operation, presented, params)

    async def _write(self, context: Context, operation: Operation, presented: Presented | None, params: Params) -> Any:
        try:
            result = await self.store.write(partial(self._commands.run, context, operation, presented, params))
        except Unavailable as error:
            if operation.unwritten is None or needs_approval(context, operation):
                raise
            hold_in_memory(self.store, context, operation, params, operation.unwritten)
            raise in_force_until_restart(error) from error
        for change in context.on_commit:
            change()
        if context.refused is not None:
            self.runtime.counters["denials"] += 1
            raise context.refused
        self.runtime.counters.update(operation.counts)
        if context.principal.method is AuthMethod.DELEGATION:  # the handler found out for whom an app got tokens
            note_use(self.store, context, context.principal)
        if operation.written is not None:
            operation.written(context)
        return result

    def _enter(self, operation: Operation, presented: Presented | None, source: Source) -> Context:
        """The context of an identified caller who may call the operation; a denial is queued for the audit log."""
        context = self._context(source)
        try:
            check_direct(context, operation)
            authorize(context, operation, self._identify(context, presented))
        except (Unauthenticated, PermissionDenied, RateLimited) as error:
            self._note(error, operation, context, presented)
            raise
        return context

    def _context(self, source: Source) -> Context:
        now = self._clock()
        return Context(runtime=self.runtime, process=self.process, principal=ANONYMOUS, source=source, now=now)

    def _identify(self, context: Context, presented: Presented | None) -> Principal:
        """The current principal of the caller; guesses at secrets that people choose are limited."""
        counters = guess_counters(self.store, self.runtime, presented, context.source)
        try:
            principal = identify(self.store, self.runtime, presented, context.source, context.now)
        except Unauthenticated:
            self.attempts.count(*counters, now=context.now)
            raise
        if isinstance(presented, SessionCookie) and not presented.is_automatic:
            self.runtime.session_activity.note(principal.credential, context.now)
        if principal.method is AuthMethod.LEGACY_SECRET:  # it may look like a token
            counters = legacy_counters(context.source)
        self.attempts.check(*counters, now=context.now)
        return principal

    def _note(self, error: HerodError, operation: Operation, context: Context, presented: Presented | None) -> None:
        if isinstance(error, NotFound) and error.reason == error.code:
            return  # there is no such record, and no secret was tried
        self.runtime.counters["denials"] += 1
        target = context.target
        if target is None and context.principal is ANONYMOUS:
            target = presented_id(self.store, presented)
        event = event_of(operation, context, outcome="denied", reason=error.reason, target=target)
        self.denials.add(event, share=share_of(context.source))


def _append(events: list[AuditEvent], tx: Writer) -> None:
    for event in events:
        tx.audit(event)
