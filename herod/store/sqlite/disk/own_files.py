"""Opens files that must belong to this process's user: by name once, then checked and changed by descriptor.

A link, or another user's file, is refused before its content or mode is changed.
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

# Without waiting, in case it is a device.
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# Errors of opening something that is neither a file nor a link.
_NO_FILE: Final = frozenset({errno.ENXIO, errno.EISDIR})


@contextmanager
def own_file(name: Path, *, may_create: bool = False) -> Iterator[int]:
    """Like `open_own`, for the length of the block."""
    descriptor = open_own(name, may_create=may_create)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_own(name: Path, *, may_create: bool = False) -> int:
    """Open a file of this process's user for reading and writing.

    Args:
        name: its path.
        may_create: create an empty one if there is none.

    Raises:
        RuntimeFailure: it is not a file of this user, or may be a link that another user created.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(name, _OPEN | (os.O_CREAT if may_create else 0), PRIVATE_MODE)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_file(name) from None
        if error.errno == errno.ELOOP:
            raise RuntimeFailure(
                f"{name} is a symbolic link, which herod does not follow: remove the link, or choose another store"
            ) from None
        raise
    try:
        _check(os.fstat(descriptor), name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def close_to_others(descriptor: int, name: Path) -> None:
    """Remove all permissions of an open file except its owner's."""
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & ~PRIVATE_MODE:
        os.fchmod(descriptor, PRIVATE_MODE)
        logger.warning("%s was accessible to other users (mode %04o): its mode is now 0600", name, mode)


def _check(found: os.stat_result, name: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _no_file(name)
    me = os.geteuid()
    if found.st_uid != me:
        raise RuntimeFailure(
            f"{name} belongs to {name_user(found.st_uid)}, but this herod runs as {name_user(me)}: change its owner "
            f"to {name_user(me)}, or choose another store"
        )
    folder = name.parent.stat()
    is_shared = folder.st_uid not in {0, me} or bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if found.st_nlink > 1 and is_shared:
        raise RuntimeFailure(
            f"{name} has another name as well (a hard link), and users other than {name_user(me)} can create links in "
            f"its folder: remove the wrong name, and make the folder private (chmod 700 {name.parent})"
        )


def _no_file(name: Path) -> RuntimeFailure:
    return RuntimeFailure(f"{name} is not a regular file: move it away, or choose another store")
