"""Replaces a file of one's own: atomically, so that only its owner can read it, with room for it found first.

What replaces a refresh token must be on the disk before that is used up. So `Replacement` takes the room that the new
content needs before anything happens, and says then that the disk is full or read-only.
"""

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import create_private, open_folder, sync_folder, write_all

__all__ = ["Replacement", "replace_private"]


class Replacement:
    """A new file (0600) with room for `size` bytes, which takes the place of `path` once it is written.

    Use as a context manager; leaving it without `write` removes the new file and keeps the old one.

    Raises:
        FailureError: the folder or the disk has no place for it.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
        self._opened = contextlib.ExitStack()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = open_folder(path)
            self._opened.callback(os.close, self._folder)
            self._descriptor = create_private(self._temporary, folder=self._folder)
            self._opened.callback(os.close, self._descriptor)
            self._opened.callback(self._remove)
            write_all(self._descriptor, bytes(size))
        except OSError as error:
            self._opened.close()
            raise self._failure(error) from error
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def write(self, content: bytes) -> None:
        """Write the content, and give the file its name.

        Raises:
            FailureError: it cannot be written; the old file is as it was.
        """
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            write_all(self._descriptor, content)
            os.ftruncate(self._descriptor, len(content))
            os.fsync(self._descriptor)
            os.rename(self._temporary.name, self.path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            sync_folder(self._folder)
        except OSError as error:
            raise self._failure(error) from error

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # it has got its name
            os.unlink(self._temporary.name, dir_fd=self._folder)

    def _failure(self, error: OSError) -> FailureError:
        return FailureError(
            f"{self.path} cannot be written: {error.strerror}.",
            hint="check the folder, its permissions, and the free space on its disk",
        )


def replace_private(path: Path, content: bytes) -> None:
    """Replace `path` atomically with a file that only its owner can read.

    Raises:
        FailureError: it cannot be written.
    """
    with Replacement(path, 0) as replacement:
        replacement.write(content)
