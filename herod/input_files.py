"""Reads files that a person named: secrets, settings, certificates, backups, lists of accounts.

A path can lead to anything: a pipe that nobody writes to, a device without end, a folder. Must never wait longer than
stated here, nor read more than was asked for; and root is not redirected (`path_walk.py`).
"""

import errno
import io
import os
import select
import stat
import time
from pathlib import Path
from typing import BinaryIO, Final, cast

from herod.path_walk import open_file

__all__ = ["OPENING_SECONDS", "PIPE_SECONDS", "open_input", "open_regular", "read_input"]

OPENING_SECONDS: Final = 5
"""How long a named pipe may have no writer."""

PIPE_SECONDS: Final = 60
"""How long the writer of a pipe, or a terminal, may send nothing."""


def read_input(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """Read a small file, pipe or device: at most `limit` bytes and one more, which shows that it is longer.

    Returns:
        The content, and the status of what was opened.

    Raises:
        OSError: it cannot be read; `strerror` says why.
        ValueError: the path contains a NUL.
    """
    with open_input(path) as file:
        content = file.read(limit + 1)
        return content, os.fstat(file.fileno())


def open_input(path: Path) -> BinaryIO:
    """Open a file, pipe or device for reading; its `name` is the path.

    Raises:
        OSError: it cannot be opened, or is a folder; also from reading, when a pipe's writer sends nothing.
        ValueError: the path contains a NUL.
    """
    descriptor = open_file(path)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kind = _Pipe if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) else _Named
    return cast("BinaryIO", io.BufferedReader(kind(descriptor, path)))


def open_regular(path: Path) -> int:
    """Open a regular file for reading, and return its descriptor.

    Raises:
        OSError: it cannot be opened, or is something else.
        ValueError: the path contains a NUL.
    """
    descriptor = open_file(path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


class _Named(io.FileIO):
    """An open file that knows its path."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "rb")
        self.name = str(path)


class _Pipe(_Named):
    """A pipe or device, such as a terminal, opened without waiting, whose reads wait within the bounds above."""

    _has_writer = False

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # as BufferedReader calls it
        """Read what arrives next; 0 at the end of input."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        until = time.monotonic() + PIPE_SECONDS
        while True:
            ready = poll.poll(OPENING_SECONDS * 1000)
            count = super().readinto(buffer)
            if count:
                self._has_writer = True
                return count
            if count == 0:
                if not ready and not self._has_writer:
                    raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe that nobody has opened for {OPENING_SECONDS} s")
                return 0
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, f"nothing came from it for {PIPE_SECONDS} s")
