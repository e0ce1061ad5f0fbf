"""The copies of the audit log that the settings ask for, and their lifetime beside the daemon's other tasks."""

from collections.abc import Callable
from typing import Final

import trio

from herod.audit_copies.audit_file import AuditFile
from herod.audit_copies.copy_to_file import AuditFileCopy
from herod.audit_copies.copy_to_log import AuditLogCopy
from herod.pipeline.process.deployment_info import AuditFileState
from herod.store.store_interface import Store

__all__ = ["AuditCopies"]

# For the last rows to reach the copies, when the daemon stops.
LAST_SECONDS: Final = 2


class AuditCopies:
    """Starts, reopens and finishes the copies.

    Args:
        store: the store with the audit log. Rows from now on are logged.
        file: the audit file, if there is one.
        has_room: as `AuditLogCopy`; None if rows are not logged.
    """

    def __init__(self, store: Store, *, file: AuditFile | None, has_room: Callable[[int], bool] | None) -> None:
        self._to_file = None if file is None else AuditFileCopy(store, file)
        self._to_log = None if has_room is None else AuditLogCopy(store, has_room=has_room)
        self._copies = [copy for copy in (self._to_file, self._to_log) if copy is not None]

    def file_state(self) -> AuditFileState | None:
        """The state of the audit file; None if there is none."""
        return None if self._to_file is None else self._to_file.state

    def reopen(self) -> None:
        """Continue in the audit file that has the path now."""
        if self._to_file is not None:
            self._to_file.reopen()

    async def run(self) -> None:
        """Copy rows until cancelled."""
        async with trio.open_nursery() as nursery:
            for copy in self._copies:
                nursery.start_soon(copy.run)

    async def finish(self) -> None:
        """Copy the last rows after `run` was cancelled, if that does not take long."""
        with trio.move_on_after(LAST_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.run)
                for copy in self._copies:
                    await copy.caught_up()
                nursery.cancel_scope.cancel()
