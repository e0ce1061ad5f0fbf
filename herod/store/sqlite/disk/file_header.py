"""Judges by the first bytes of a file whether it can be a store, before SQLite or anything else touches it.

It only reads bytes. A file that is not a store must never be changed, not even its mode; and merely opening a database
of another program lets SQLite change it, if that program left a write-ahead log.
"""

from enum import Enum
from typing import Final

__all__ = ["APPLICATION_ID", "HEADER_BYTES", "Content", "judge_header"]

APPLICATION_ID: Final = 0x6865726F  # "hero"
HEADER_BYTES: Final = 108  # the file's header of 100 bytes, and that of its first page (sqlite.org/fileformat2.html)
_MAGIC: Final = b"SQLite format 3\0"
_USER_VERSION: Final = slice(60, 64)
_APPLICATION_ID: Final = slice(68, 72)
_ROOT_CELLS: Final = slice(103, 105)


class Content(Enum):
    """What a file contains, judged by its header."""

    NOTHING = "nothing yet"
    UNFINISHED = "a first page with nothing on it"
    STORE = "a store"
    OTHER_DATABASE = "a database of another program"
    OTHER = "something else"


def judge_header(header: bytes) -> Content:
    """What a file with this header contains.

    A store whose process was killed while it was being created has an empty first page: its data is in the write-ahead
    log.

    Args:
        header: the file's first HEADER_BYTES; fewer if it is shorter.
    """
    if not header:
        return Content.NOTHING
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        return Content.OTHER
    if int.from_bytes(header[_APPLICATION_ID]) == APPLICATION_ID:
        return Content.STORE
    is_empty = not any((*header[_APPLICATION_ID], *header[_USER_VERSION], *header[_ROOT_CELLS]))
    return Content.UNFINISHED if is_empty else Content.OTHER_DATABASE
