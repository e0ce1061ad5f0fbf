"""A separate read-only connection for long reads in a thread, closed afterwards.

Must never use the event loop's connection, and writes nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from herod.store.sqlite.disk.disk_faults import describe
from herod.store.sqlite.disk.open_database import connect
from herod_client.core.errors import HerodError, Unavailable

__all__ = ["read_only_connection"]


@contextmanager
def read_only_connection(path: Path, failed: Callable[[apsw.Error], HerodError]) -> Iterator[apsw.Connection]:
    """A read-only connection for the length of the block.

    Args:
        path: the database file.
        failed: maps an error of SQLite to the exception to raise.

    Raises:
        Unavailable: the connection could not be opened.
        HerodError: the result of `failed`, for an error inside the block.
    """
    try:
        connection = connect(path, apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:  # most likely no descriptor is left; the file may be fine
        raise Unavailable(
            f"Another connection to the store could not be opened ({describe(error)}): try again.", reason="unreadable"
        ) from error
    try:
        yield connection
    except apsw.Error as error:
        raise failed(error) from error
    finally:
        connection.close()  # which ends its transaction
