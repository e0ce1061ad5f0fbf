"""Making a file that only its owner can read: the one place that creates them, for daemon and command alike.

A file that is there is never opened, and a link never followed.
"""

import os
from pathlib import Path
from typing import Final

__all__ = ["PRIVATE_MODE", "create_private", "write_private"]

PRIVATE_MODE: Final = 0o600
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def create_private(path: Path, *, folder: int | None = None) -> int:
    """Create a file, whatever the umask is, and open it to read and write.

    Args:
        path: where; with `folder` its name alone counts.
        folder: the descriptor of its folder, where names that are looked up again could lead elsewhere.

    Raises:
        OSError: it cannot be made, or something has that name.
    """
    name = path if folder is None else path.name
    descriptor = os.open(name, _CREATE, PRIVATE_MODE, dir_fd=folder)
    os.fchmod(descriptor, PRIVATE_MODE)
    return descriptor


def write_private(path: Path, content: bytes) -> os.stat_result:
    """Create a file with its content; what it is, to know it again. It is gone if it cannot be written whole.

    Raises:
        OSError: as of `create_private`, or the disk says no.
    """
    descriptor = create_private(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            return os.fstat(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
