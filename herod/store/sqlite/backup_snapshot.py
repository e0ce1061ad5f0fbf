"""A consistent snapshot of the whole store, sent encrypted while writes continue.

SQLite copies it in one read transaction to a file beside the store, which is unlinked before its first byte is sent: a
slow reader never holds back the store's write-ahead log, and nothing is left behind.
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

# So many chunks are read and sealed per call of a thread.
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
        """Take a snapshot with all writes that were acknowledged before the call.

        Raises:
            Conflict: another one is being taken.
            Unavailable: there is no space for the copy, or the store cannot be read.
        """
        if self.is_busy:
            raise Conflict("Another backup is being made: wait for it to end.", reason="busy")
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            connection = connect(self._path, apsw.SQLITE_OPEN_READONLY)
        except apsw.Error as error:
            raise _failure(error) from error
        self.is_busy = True
        try:
            # A limiter of its own: `_copy` must run in any case, because it resets `is_busy`.
            place = trio.CapacityLimiter(1)
            descriptor = await trio.to_thread.run_sync(self._copy, connection, abandon_on_cancel=True, limiter=place)
        except trio.Cancelled:
            with suppress(apsw.ConnectionClosedError):
                connection.interrupt()  # the thread then ends by itself; do not wait for it
            raise
        except (apsw.Error, OSError, StartupError) as error:
            raise _failure(error) from error
        return Snapshot(descriptor, BackupSealer(self._backup_key))

    def _copy(self, connection: apsw.Connection) -> int:
        """Copy the store, in a thread; return the copy's descriptor."""
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
    """The bytes of a backup file, piece by piece. `aclose` frees the copy's disk space."""

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
        """Close the copy; does nothing if called again."""
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
    logger.error("the backup failed: %s", describe(error))
    return Unavailable(
        "The store could not be copied: check the free space beside it, and herod's log.", reason="no_snapshot"
    )
