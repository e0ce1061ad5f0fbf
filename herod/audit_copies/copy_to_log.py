"""Writes each committed audit row as a line of the daemon's own log, for a journal that is collected elsewhere.

A journal cannot be read back, so the lines begin with the first row after the start.
"""

import logging
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from herod.operations.audit import audit_entry
from herod.store.notifier import ChangeNotifier
from herod.store.store_interface import AuditRow, Store
from herod_client.core.errors import Unavailable

__all__ = ["AuditLogCopy"]

logger = logging.getLogger("herod.audit")

ROWS_AT_ONCE: Final = 100
PAUSE_SECONDS: Final = 0.1


class AuditLogCopy:
    """Logs the rows while `run` runs, at every log level.

    Args:
        store: the store with the audit log.
        has_room: whether the log can take so many lines without dropping one; until then, rows wait in the store.
    """

    def __init__(self, store: Store, *, has_room: Callable[[int], bool]) -> None:
        self._store = store
        self._has_room = has_room
        self._position = store.audit_head[0]
        self._progress = ChangeNotifier()
        logger.setLevel(logging.INFO)  # a row is a row, also where only warnings are logged

    async def run(self) -> None:
        """Log rows until cancelled."""
        while True:
            if not self._has_room(ROWS_AT_ONCE):
                await trio.sleep(PAUSE_SECONDS)
            elif not self._log_some():
                self._progress.send()
                await self._store.audit_notifier.wait()

    async def caught_up(self) -> None:
        """Wait until every row is logged."""
        while self._position < self._store.audit_head[0]:
            await self._progress.wait()

    def _log_some(self) -> bool:
        """Log a page of rows, and return whether there were any."""
        try:
            rows = self._store.audit_rows(after=self._position, limit=ROWS_AT_ONCE)
        except Unavailable as error:  # a row was changed outside herod, or the store cannot be read
            logger.error(  # noqa: TRY400 - the reason says it all
                "audit rows cannot be read, and are not in this log", extra={"reason": error.message}
            )
            self._position = self._store.audit_head[0]
            return False
        for row in rows:
            _log(row)
            self._position = row.seq
        return bool(rows)


def _log(row: AuditRow) -> None:
    fields = msgspec.structs.asdict(audit_entry(row))
    del fields["at"]
    extra = {"event": "audit", **fields}
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, "", (), None, extra=extra)
    record.created = row.event.at  # the line's time is the row's
    logger.handle(record)
