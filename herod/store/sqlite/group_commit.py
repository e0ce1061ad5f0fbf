"""Group commit: one thread takes all waiting writes, runs them in one transaction, commits once and answers all.

A write that returned a result is durable (`synchronous=FULL`). A refused write left nothing; but after a disk error
that is uncertain for the last transaction, which a restart may find committed. The thread must never end while callers
wait, and never answer before the commit.

After a refused write it tries at once with the next one, or after a while on its own, whether there is room again. The
attempt is larger than most changes: one that just fits into what is left would say that all is well again.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, cast

import apsw
import outcome
import trio

from herod.credentials.keyring import Keyring
from herod.store.integrity_head import StoreHead
from herod.store.record_cache import Key
from herod.store.sqlite.disk.disk_faults import Condition, Fault, describe, extended_code, fault_of
from herod.store.sqlite.sealed_rows import logger
from herod.store.sqlite.write_transaction import Transaction, write_head
from herod.store.store_interface import NotWritten, StoreStats

__all__ = ["GroupWriter"]

T = TypeVar("T")

Outcome = outcome.Value[Any] | outcome.Error
Function = Callable[[Transaction], Any]
Answer = Callable[[Outcome], None]
Job = tuple[Function, Answer]
OnCommit = Callable[[StoreHead, frozenset[Key]], None]

MAX_BATCH: Final = 256
CHECKPOINT_PAGES: Final = 1000  # SQLite's own default: 4 MiB of log
LOG_HEAD_EVERY: Final = 1000  # audit rows
# How long a refused write leaves the store read-only, if nothing else is written meanwhile.
TRY_AGAIN_SECONDS: Final = 5
# Rolled back again. Most changes are smaller.
_TAKE_ROOM: Final = "INSERT INTO meta (name, rev, value) VALUES ('room', 0, zeroblob(65536))"
# The commit failed before its last page was written, so a restart does not find it either.
_LEAVES_NOTHING: Final = (apsw.SQLITE_FULL, apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE)


class GroupWriter:
    """Runs functions in the write transaction, in the order of their arrival.

    Args:
        transaction: uses a connection of its own.
        connection: that connection.
        keyring: seals the head.
        condition: updated when the disk fails; checked before each batch.
        on_commit: called on the event loop after a commit and before any of its answers.
        check: called in the thread before each transaction; updates `condition` if the store must not be written.
        note: called in the thread with the head of each commit.

    Attributes:
        write_log_back: moves the write-ahead log into the database file (`sqlite3_wal_checkpoint_v2`).
    """

    def __init__(
        self,
        transaction: Transaction,
        connection: apsw.Connection,
        keyring: Keyring,
        condition: Condition,
        on_commit: OnCommit,
        *,
        check: Callable[[], None],
        note: Callable[[StoreHead], None],
    ) -> None:
        self._transaction = transaction
        self._connection = connection
        self._keyring = keyring
        self._condition = condition
        self._on_commit = on_commit
        self._check = check
        self._note = note
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended = trio.Event()
        self._wal_pages = 0
        self._is_committing = False
        self._writes = self._commits = 0
        self.write_log_back: Callable[[], object] = partial(
            connection.wal_checkpoint, mode=apsw.SQLITE_CHECKPOINT_PASSIVE
        )
        # Checkpoints are run here: SQLite's automatic ones would delay the answers and hide their errors.
        connection.wal_autocheckpoint(0)
        connection.set_wal_hook(self._note_wal)

    @property
    def stats(self) -> StoreStats:
        """The number of functions that succeeded, and of commits."""
        return StoreStats(writes=self._writes, commits=self._commits)

    def start(self) -> None:
        """Start the thread; called inside trio."""
        self._token = trio.lowlevel.current_trio_token()
        threading.Thread(target=self._work, args=(self._token,), name="herod-store-writer", daemon=True).start()

    async def stop(self) -> None:
        """Refuse new writes, finish the waiting ones, and end the thread that `start` started."""
        self._token = None
        self._queue.put(None)
        with trio.CancelScope(shield=True):
            await self._ended.wait()

    async def run(self, function: Callable[[Transaction], T]) -> T:
        """Run a function in the next transaction; return its result once that is durable, or raise its exception.

        Once submitted it cannot be cancelled: the call returns what happened, and the cancellation takes effect at the
        caller's next checkpoint.

        Raises:
            NotWritten: the store did not take it.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.submit(function, partial(trio.lowlevel.reschedule, trio.lowlevel.current_task()))
        return cast("T", await trio.lowlevel.wait_task_rescheduled(_cannot_be_cancelled))

    def submit(self, function: Function, answer: Answer) -> None:
        """Submit a function; `answer` is called on the event loop.

        Raises:
            NotWritten: the store is not open for writing.
        """
        if self._token is None:
            raise NotWritten("Herod is stopping", "wait until it is running", reason="closed")
        if not self._condition.is_writable:
            raise self._condition.refusal()
        self._queue.put((function, answer))

    def _work(self, token: trio.lowlevel.TrioToken) -> None:
        is_last = False
        while not is_last:
            jobs, is_last = self._take()
            commits = self._commits
            outcomes, changed = self._commit([function for function, _ in jobs])
            answers = [(answer, result) for (_, answer), result in zip(jobs, outcomes, strict=True)]
            if self._commits != commits and self._condition.is_refusing:
                self._try_again()
            with suppress(trio.RunFinishedError):  # no caller is left
                token.run_sync_soon(self._settle, self._transaction.head, changed, answers)
            self._checkpoint()
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(self._ended.set)

    def _take(self) -> tuple[list[Job], bool]:
        """Take all waiting jobs, at least one; and whether the thread must end."""
        jobs: list[Job] = []
        job = self._first()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _first(self) -> Job | None:
        """Wait for a job."""
        while self._condition.is_refusing:
            try:
                return self._queue.get(timeout=TRY_AGAIN_SECONDS)
            except queue.Empty:
                self._try_again()
        return self._queue.get()

    def _try_again(self) -> None:
        """Note whether there is room for changes again: write some to the log, and take it back."""
        try:
            self._execute("BEGIN IMMEDIATE")
            self._execute(_TAKE_ROOM)
            self._connection.cache_flush()
        except apsw.Error:  # as before; if the disk has failed meanwhile, the next write finds out
            pass
        else:
            self._condition.accept()
        self._roll_back()

    def _settle(self, head: StoreHead, changed: frozenset[Key], answers: list[tuple[Answer, Outcome]]) -> None:
        self._on_commit(head, changed)
        for answer, result in answers:
            answer(result)

    def _commit(self, functions: list[Function]) -> tuple[list[Outcome], frozenset[Key]]:
        before = self._transaction.head
        self._transaction.changed = set()
        self._transaction.fault = None
        self._is_committing = False
        try:
            return self._attempt(functions, before), frozenset(self._transaction.changed)
        except apsw.Error as error:
            refusal = self._refusal(fault_of(error, self._connection.system_errno), error)
        except Exception:  # noqa: BLE001 - a bug must not leave callers waiting
            logger.exception("a batch of writes failed")
            refusal = NotWritten("The store could not write", "read herod's log", reason="internal")
        self._transaction.head = before
        self._roll_back()
        return _refuse(functions, refusal), frozenset()

    def _attempt(self, functions: list[Function], before: StoreHead) -> list[Outcome]:
        self._check()
        if not self._condition.is_writable:  # this may have changed since they were submitted
            return _refuse(functions, self._condition.refusal())
        changes = self._connection.total_changes()
        self._execute("BEGIN IMMEDIATE")
        outcomes = [self._run_one(function) for function in functions]
        head = self._transaction.head
        if head is not before:
            write_head(self._connection, self._keyring, head)
        self._is_committing = True
        self._execute("COMMIT")
        if head is not before:
            self._note(head)
        self._commits += self._connection.total_changes() != changes
        self._writes += sum(isinstance(result, outcome.Value) for result in outcomes)
        if head.audit.seq // LOG_HEAD_EVERY != before.audit.seq // LOG_HEAD_EVERY:
            logger.info("audit chain at row %d, HMAC %s", head.audit.seq, head.audit.mac.hex())
        return outcomes

    def _run_one(self, function: Function) -> Outcome:
        transaction = self._transaction
        before = transaction.head
        self._execute("SAVEPOINT one")
        result: Outcome
        try:
            result = outcome.Value(function(transaction))
        except BaseException as error:  # noqa: BLE001 - any exception is raised in its caller
            result = outcome.Error(error)
        if transaction.fault is not None:  # SQLite may have rolled back the transaction, with the others' writes
            raise transaction.fault
        if isinstance(result, outcome.Error):
            self._execute("ROLLBACK TO one")
            transaction.head = before
        self._execute("RELEASE one")
        return result

    def _refusal(self, fault: Fault, error: apsw.Error) -> NotWritten:
        is_unknown = self._is_committing and extended_code(error) not in _LEAVES_NOTHING
        if fault is Fault.BROKEN:
            self._condition.stop_writing(error)
            return self._condition.refusal(is_unknown=is_unknown)
        self._condition.refuse(fault, error)
        return fault.refusal()

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
        except apsw.Error as error:
            self._condition.stop_writing(error)

    def _checkpoint(self) -> None:
        if self._wal_pages < CHECKPOINT_PAGES or not self._condition.is_writable:
            return
        try:
            self.write_log_back()
        except apsw.Error as error:
            match fault_of(error, self._connection.system_errno):
                case Fault.BROKEN:
                    self._condition.stop_writing(error)
                case _:  # everything is still in the log; the next commit tries again
                    logger.warning("the store's write-ahead log cannot be written back yet: %s", describe(error))

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _execute(self, sql: str) -> None:
        self._connection.execute(sql).fetchall()


def _refuse(functions: list[Function], refusal: NotWritten) -> list[Outcome]:
    """A separate exception for each function, because they are raised in different tasks."""
    return [outcome.Error(refusal.again()) for _ in functions]


def _cannot_be_cancelled(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
