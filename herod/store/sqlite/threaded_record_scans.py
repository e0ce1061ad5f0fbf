"""Runs long reads of many records in a thread, with a separate connection, one at a time.

The event loop keeps serving meanwhile. Must never use the event loop's connection.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec
import trio

from herod.credentials.keyring import Keyring
from herod.credentials.sealing import SealBroken
from herod.store.sqlite.disk.disk_faults import Condition
from herod.store.sqlite.disk.open_database import load_head
from herod.store.sqlite.read_only_connection import read_only_connection
from herod.store.sqlite.sealed_rows import RowCodec, damaged
from herod.store.sqlite.sql_reader import SqlReader
from herod.store.store_interface import Reader
from herod_client.core.errors import HerodError

__all__ = ["SURVEYS_AT_ONCE", "RecordScans"]

T = TypeVar("T")

SURVEYS_AT_ONCE: Final = 1  # others wait: long reads may not take all processors


class RecordScans:
    """Runs functions that read the records of one file.

    Args:
        path: the database file.
        keyring: opens the head.
        codec: opens the rows.
        condition: updated when reading fails.
        failed: maps an error of SQLite to the exception to raise.
    """

    def __init__(
        self,
        path: Path,
        keyring: Keyring,
        codec: RowCodec,
        condition: Condition,
        failed: Callable[[apsw.Error], HerodError],
    ) -> None:
        self._path = path
        self._keyring = keyring
        self._codec = codec
        self._condition = condition
        self._failed = failed
        self._limiter = trio.CapacityLimiter(SURVEYS_AT_ONCE)

    async def run(self, function: Callable[[Reader], T]) -> T:
        """As `Store.survey`.

        Raises:
            Unavailable: a row is damaged, or the store cannot be read.
        """
        return await trio.to_thread.run_sync(self._with_connection, function, limiter=self._limiter)

    def _with_connection(self, function: Callable[[Reader], T]) -> T:
        with read_only_connection(self._path, self._failed) as connection:
            connection.execute("BEGIN").fetchall()  # read one snapshot
            try:
                head = load_head(connection, self._keyring)
            except (SealBroken, msgspec.DecodeError):
                raise damaged("head", "head") from None
            return function(SqlReader(connection, self._codec, self._condition, head))
