"""The file with the code that creates the first admin; it exists only while there is no enabled admin.

The code is renewed before it expires, so the one in the file is always valid for some more minutes. The file must never
be readable by anyone but the daemon's owner and root, nor prevent the start: an admin can be created in a terminal too.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from herod.file_ownership import require_own_path
from herod.identity.runtime_state import Runtime
from herod.operations.accounts import FIRST_CODE_SECONDS, has_admin, make_first_code
from herod.pipeline.process.admin_presence import AdminPresence
from herod.private_files import write_private
from herod.records import Account, ApiKey
from herod.store.store_interface import Store
from herod_client.core.errors import RuntimeFailure, Unavailable

__all__ = ["FILE_NAME", "FirstAdminCodeFile"]

logger = logging.getLogger("herod")

FILE_NAME: Final = "first-admin.code"
RENEWED_SECONDS: Final = FIRST_CODE_SECONDS - 5 * 60
BY_TERMINAL: Final = "create one with `herod user add EMAIL --scope admin --password`"
# Only these can be admins.
ADMINS: Final = frozenset({Account.kind, ApiKey.kind})
# A burst of changes is checked once.
PAUSE_SECONDS: Final = 1


class FirstAdminCodeFile:
    """Writes, renews and removes the file.

    Args:
        folder: the folder of the store, or of the socket if the store is in memory.
        clock: Unix seconds.
    """

    def __init__(
        self, folder: Path, *, store: Store, runtime: Runtime, admins: AdminPresence, clock: Callable[[], int]
    ) -> None:
        self._path = folder / FILE_NAME
        self._store = store
        self._runtime = runtime
        self._admins = admins
        self._clock = clock
        self._is_said = False
        self._written: tuple[int, int] | None = None  # device and inode: any other file of this name is not ours

    async def keep(self) -> None:
        """Write, renew and remove the file until cancelled, then remove it: its code is only valid in this process."""
        try:
            while True:
                is_needed = self.settle()  # the first call also replaces or removes the file of a killed daemon
                with trio.move_on_after(RENEWED_SECONDS if is_needed else math.inf) as waiting:
                    await self._wait_for_change(is_needed=is_needed)
                if not waiting.cancelled_caught:
                    await trio.sleep(PAUSE_SECONDS)
        finally:
            self._remove()

    def settle(self) -> bool:
        """Write a fresh code to the file if there is no admin, else remove the file; return whether there is none."""
        try:
            if has_admin(self._store, self._runtime, self._admins, self._clock()):
                self._remove()
                return False
        except Unavailable:
            return True  # no admin could be created now; check again later
        self._write(make_first_code(self._runtime, now=self._clock()))
        return True

    async def _wait_for_change(self, *, is_needed: bool) -> None:
        """Wait until the first admin appears, or the last one disappears."""
        while True:
            await self._store.change_notifier.wait(ADMINS)
            with suppress(Unavailable):
                if has_admin(self._store, self._runtime, self._admins, self._clock()) is is_needed:
                    return

    def _write(self, code: str) -> None:
        temporary = self._path.with_name(f"{FILE_NAME}.new")
        try:
            require_own_path(self._path, "the file with the code", may_share=True)
            temporary.unlink(missing_ok=True)
            found = write_private(temporary, f"{code}\n".encode())
            temporary.replace(self._path)
            self._written = (found.st_dev, found.st_ino)
        except (OSError, RuntimeFailure) as error:
            why = error.strerror if isinstance(error, OSError) else error
            logger.warning("there is no admin yet, and %s cannot be written (%s): %s", self._path, why, BY_TERMINAL)
            return
        if not self._is_said:
            logger.info("there is no admin yet: %s, or in a browser with the code in %s", BY_TERMINAL, self._path)
            self._is_said = True

    def _remove(self) -> None:
        try:
            require_own_path(self._path, "the file with the code", may_share=True)
            found = self._path.lstat()
            if self._written in (None, (found.st_dev, found.st_ino)):
                self._path.unlink()
        except (FileNotFoundError, RuntimeFailure):  # a path that we refuse to write to is not ours
            return
        except OSError as error:  # harmless: its code is no longer valid
            logger.warning("%s cannot be removed: %s", self._path, error.strerror)
