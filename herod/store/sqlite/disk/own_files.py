"""Files of this process's own user alone: opened by their name once, and asked and changed by that descriptor.

A link, or a file of somebody else's, is refused before anything is written to it or changed about it.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from herod.file_ownership import name_user
from herod.private_files import PRIVATE_MODE
from herod_client.core.errors import RuntimeFailure

__all__ = ["close_to_others", "open_own", "own_file"]

logger = logging.getLogger("herod.store")

_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
# What opening something that is no file, nor a link, ends with.
_NO_FILE: Final = frozenset({errno.ENXIO, errno.EISDIR})


@contextmanager
def own_file(name: Path, *, may_create: bool = False) -> Iterator[int]:
    """As `open_own`, for the length of the block."""
    descriptor = open_own(name, may_create=may_create)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_own(name: Path, *, may_create: bool = False) -> int:
    """Open a file of this process's own user to read and write it.

    Args:
        name: where it is.
        may_create: make it, empty, where there is none.

    Raises:
        RuntimeFailure: it is something else, or may be one that somebody else has linked to.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(name, _OPEN | (os.O_CREAT if may_create else 0), PRIVATE_MODE)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_file(name) from None
        if error.errno == errno.ELOOP:
            raise RuntimeFailure(
                f"{name} is a link to another file, and not followed: remove the symbolic link, or name another store"
            ) from None
        raise
    try:
        _check(os.fstat(descriptor), name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def close_to_others(descriptor: int, name: Path) -> None:
    """Let nobody but its owner read or write an open file."""
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & ~PRIVATE_MODE:
        os.fchmod(descriptor, PRIVATE_MODE)
        logger.warning("%s could be read by others (mode %04o): it is 0600 now", name, mode)


def _check(found: os.stat_result, name: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _no_file(name)
    me = os.geteuid()
    if found.st_uid != me:
        raise RuntimeFailure(
            f"{name} belongs to {name_user(found.st_uid)}, and this herod works as {name_user(me)}: give it to that "
            "one, or name another store"
        )
    folder = name.parent.stat()
    is_shared = folder.st_uid not in {0, me} or bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if found.st_nlink > 1 and is_shared:
        raise RuntimeFailure(
            f"{name} has another name as well (a hard link), and others than {name_user(me)} can make such names in "
            f"its folder: remove the one that is not meant, and close the folder (chmod 700 {name.parent})"
        )


def _no_file(name: Path) -> RuntimeFailure:
    return RuntimeFailure(f"{name} is not a regular file: move it away, or name another store")
