"""Creates files that only their owner can read: the only code that does, for the daemon and the commands.

It never opens an existing file and never follows a link.
"""

import os
from pathlib import Path
from typing import Final

__all__ = ["PRIVATE_MODE", "create_private", "write_private"]

PRIVATE_MODE: Final = 0o600
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def create_private(path: Path, *, folder: int | None = None) -> int:
    """Create a file with mode 0600, whatever the umask, and open it for reading and writing.

    Args:
        path: where to create it; with `folder`, only its name is used.
        folder: the descriptor of its folder, for when a second lookup of the path could lead elsewhere.

    Raises:
        OSError: it cannot be created, or something already has that name.
    """
    name = path if folder is None else path.name
    descriptor = os.open(name, _CREATE, PRIVATE_MODE, dir_fd=folder)
    os.fchmod(descriptor, PRIVATE_MODE)
    return descriptor


def write_private(path: Path, content: bytes, *, is_durable: bool = False) -> os.stat_result:
    """Create a file with its content and return its status, to recognize it later; remove it if the write fails.

    Args:
        path: where to create it.
        content: all of it.
        is_durable: wait until it survives a power failure, under its name.

    Raises:
        OSError: as for `create_private`, or the write fails.
    """
    descriptor = create_private(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if is_durable:
                os.fsync(descriptor)
                _sync_folder(path.parent)
            return os.fstat(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
