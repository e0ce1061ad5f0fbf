"""A look at a store's file beside the connections that serve: in a thread, by a connection of its own, then closed.

Must never be handed the event loop's connection, and writes nothing.
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
    """A connection that reads, for as long as the block.

    Args:
        path: the database file.
        failed: what to raise for an error of SQLite.

    Raises:
        Unavailable: it could not be opened.
        HerodError: what `failed` makes of an error inside the block.
    """
    try:
        connection = connect(path, apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:  # no descriptor left, most likely: says nothing about the file
        raise Unavailable(
            f"The store could not be opened once more ({describe(error)}): try again.", reason="unreadable"
        ) from error
    try:
        yield connection
    except apsw.Error as error:
        raise failed(error) from error
    finally:
        connection.close()  # which ends its transaction
