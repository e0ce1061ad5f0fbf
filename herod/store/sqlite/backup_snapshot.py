"""A copy of the whole store as of one moment, handed out encrypted while writing goes on.

The copy is made by SQLite in one read transaction, into a file beside the store whose name is gone before its first
byte is sent: how slowly somebody reads never holds back the store's log, and nothing stays behind.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import apsw
import trio

from herod.credentials.backup_encryption import CHUNK_BYTES, BackupSealer
from herod.store.sqlite.disk.database_files import SNAPSHOT, create_beside, drop_temporary
from herod.store.sqlite.disk.disk_faults import describe
from herod.store.sqlite.disk.open_database import connect
from herod.store.sqlite.sealed_rows import logger
from herod_client.core.errors import Conflict, StartupError, Unavailable

__all__ = ["Snapshot", "Snapshots"]

# So many chunks are read and sealed in a thread at once.
CHUNKS_AT_ONCE: Final = 8


class Snapshots:
    """Takes snapshots of one store, one at a time.

    Args:
        path: the database file.
        backup_key: from `derive_backup_key`.
    """

    def __init__(self, path: Path, backup_key: bytes) -> None:
        self._path = path
        self._backup_key = backup_key
        self.is_busy = False

    async def take(self) -> "Snapshot":
        """All that was acknowledged before the call, and nothing half.

        Raises:
            Conflict: one is being taken already.
            Unavailable: there is no room for the copy, or the store cannot be read.
        """
        if self.is_busy:
            raise Conflict("A backup is being made already: wait for it to end.", reason="busy")
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            connection = connect(self._path, apsw.SQLITE_OPEN_READONLY)
        except apsw.Error as error:
            raise _failure(error) from error
        self.is_busy = True
        try:
            # A place of its own: `_copy` runs in any case, for it alone says when this is over.
            place = trio.CapacityLimiter(1)
            descriptor = await trio.to_thread.run_sync(self._copy, connection, abandon_on_cancel=True, limiter=place)
        except trio.Cancelled:
            with suppress(apsw.ConnectionClosedError):
                connection.interrupt()  # the thread ends by itself, and nobody waits for it
            raise
        except (apsw.Error, OSError, StartupError) as error:
            raise _failure(error) from error
        return Snapshot(descriptor, BackupSealer(self._backup_key))

    def _copy(self, connection: apsw.Connection) -> int:
        """In a thread: the copy's descriptor."""
        try:
            temporary = create_beside(self._path, SNAPSHOT)
            try:
                connection.execute("VACUUM INTO ?", (str(temporary),)).fetchall()
                return os.open(temporary, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            finally:
                drop_temporary(temporary)
        finally:
            connection.close()
            self.is_busy = False


class Snapshot:
    """The bytes of a backup file, piece by piece. `aclose` gives the copy's room back."""

    def __init__(self, descriptor: int, sealer: BackupSealer) -> None:
        self._descriptor = descriptor
        self._sealer = sealer
        self._next: bytes | None = None
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        return await trio.to_thread.run_sync(self._take)

    async def aclose(self) -> None:
        """Close the copy; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        self._is_over = True
        if descriptor >= 0:
            os.close(descriptor)
        await trio.lowlevel.checkpoint_if_cancelled()

    def _take(self) -> bytes:
        pieces: list[bytes] = []
        if self._next is None:
            pieces.append(self._sealer.header)
            self._next = self._read()
        for _ in range(CHUNKS_AT_ONCE):
            chunk, self._next = self._next, self._read()
            self._is_over = not self._next
            pieces.append(self._sealer.seal(chunk, is_last=self._is_over))
            if self._is_over:
                break
        return b"".join(pieces)

    def _read(self) -> bytes:
        chunk = b""
        while len(chunk) < CHUNK_BYTES and (more := os.read(self._descriptor, CHUNK_BYTES - len(chunk))):
            chunk += more
        return chunk


def _failure(error: Exception) -> Unavailable:
    logger.error("no backup could be made: %s", describe(error))
    return Unavailable(
        "The store could not be copied: there may be no room beside it; herod's log says more.", reason="no_snapshot"
    )
