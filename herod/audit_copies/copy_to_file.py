"""Copies each committed audit row to the audit file, in order, without a queue: what is missing is read from the store.

The file is written in a thread, a page of rows at a time, so neither the event loop nor the store's writer waits for
its disk. The last line of the file says where to continue, so rows that were committed just before a crash, or while
the file could not be written, follow later.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import trio

from herod.audit_copies.audit_file import AuditFile
from herod.operations.audit import AuditEntry, audit_entry
from herod.pipeline.process.deployment_info import AuditFileState
from herod.store.notifier import ChangeNotifier
from herod.store.store_interface import AuditRow, Store
from herod_client.core.errors import RuntimeFailure, Unavailable

__all__ = ["RETRY_SECONDS", "AuditFileCopy"]

logger = logging.getLogger("herod.audit_file")

T = TypeVar("T")

RETRY_SECONDS: Final = 5
LOOKUPS_AT_ONCE: Final = 50

_encode: Final = msgspec.json.Encoder().encode


class AuditFileCopy:
    """Keeps the file complete while `run` runs.

    Args:
        store: the store with the audit log; its notifier announces new rows.
        file: where the rows go.
    """

    def __init__(self, store: Store, file: AuditFile) -> None:
        self._store = store
        self._file = file
        self._position = 0  # the last row in the file
        self._is_known = False  # otherwise the file must tell the position
        self._problem: str | None = None
        self._is_outdated = False
        self._progress = ChangeNotifier()
        self._limiter = trio.CapacityLimiter(1)

    @property
    def state(self) -> AuditFileState:
        """How many rows are not in the file yet, and what prevents it."""
        return AuditFileState(waiting=max(0, self._store.audit_head[0] - self._position), problem=self._problem)

    def reopen(self) -> None:
        """Continue in the file that has the path now: after `logrotate` has renamed the one that is open."""
        self._is_outdated = True
        self._store.audit_notifier.send()

    async def run(self) -> None:
        """Copy rows until cancelled."""
        while True:
            try:
                await self._copy_page()
            except (OSError, RuntimeFailure, Unavailable) as error:
                self._note(error)
            else:
                if self._problem is not None:
                    logger.info("the audit file %s is written again", self._file.path)
                    self._problem = None
            self._progress.send()
            if self._problem is not None:
                with trio.move_on_after(RETRY_SECONDS):
                    while not self._is_outdated:  # SIGHUP need not wait
                        await self._store.audit_notifier.wait()
            elif not self.state.waiting and not self._is_outdated:
                await self._store.audit_notifier.wait()

    async def caught_up(self) -> None:
        """Wait until every row is in the file, or something prevents it."""
        while self._problem is None and (self.state.waiting or not self._is_known):
            await self._progress.wait()

    async def _copy_page(self) -> None:
        """Append the next rows, after opening the file and finding its end if necessary.

        Raises:
            OSError, RuntimeFailure: the file cannot be written.
            Unavailable: the store cannot be read.
        """
        if self._is_outdated or not self._file.is_open:
            self._is_outdated = False
            await self._in_thread(self._file.reopen)
        if not self._is_known:
            self._position = await self._find_position()
            self._is_known = True
        rows = self._read(self._position)
        if not rows:
            return
        lines = [_encode(audit_entry(row)) + b"\n" for row in rows]
        self._is_known = False  # if this is cancelled, the file tells how far it got
        count, error = await self._in_thread(lambda: self._file.append(lines))
        self._is_known = True
        self._position = rows[count - 1].seq if count else self._position
        if error is not None:
            raise error

    def _read(self, position: int) -> list[AuditRow]:
        try:
            return self._store.audit_rows(after=position)
        except Unavailable as error:
            if error.reason != "damaged":
                raise
        try:  # up to the damaged row
            return self._store.audit_rows(after=position, limit=1)
        except Unavailable as error:
            if error.reason != "damaged":
                raise
        logger.error("audit row %d is damaged and not in the audit file: run `herod audit verify`", position + 1)
        self._position = position + 1
        return []

    async def _find_position(self) -> int:
        """The last row of the file that is in the store's log too; 0 if there is none."""
        end = await self._in_thread(lambda: self._file.size)
        last: AuditEntry | None = None
        while end > 0:
            before = end
            end, found = await self._in_thread(lambda: self._file.rows_before(before))  # noqa: B023 - called at once
            for number, row in enumerate(reversed(found)):
                last = last or row
                if number % LOOKUPS_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
                if self._has(row):
                    if row != last:
                        self._say_other_log(last, row.seq)
                    return row.seq
        if last is not None:
            self._say_other_log(last, 0)
        return 0

    def _has(self, entry: AuditEntry) -> bool:
        """Whether the store's log contains the row, as far as can be known: retention removes the oldest.

        Its HMAC is another one if the store has got new keys since then.
        """
        if entry.seq <= self._store.audit_anchor[0]:
            return True
        try:
            rows = self._store.audit_rows(after=max(0, entry.seq - 1), limit=1)
        except Unavailable:  # damaged
            return False
        return [msgspec.structs.replace(audit_entry(row), mac=entry.mac) for row in rows] == [entry]

    def _say_other_log(self, last: AuditEntry, seq: int) -> None:
        logger.warning(
            "the audit file %s ends with row %d, which the store's audit log does not contain: a backup was restored, "
            "or the log was replaced; the rows after row %d follow in the file",
            self._file.path,
            last.seq,
            seq,
        )

    def _note(self, error: OSError | RuntimeFailure | Unavailable) -> None:
        before = self._problem
        match error:
            case OSError():
                self._problem = f"{self._file.path}: {error.strerror or error}"
            case Unavailable():
                self._problem = error.message
            case _:
                self._problem = str(error)
        if before is None:
            logger.error(
                "the audit file is not written: its rows wait in the store, and herod tries again",
                extra={"reason": self._problem},
            )

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that may block; if the daemon stops meanwhile, it is left alone."""
        result: Any = await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._limiter)
        return result  # type: ignore[no-any-return]
