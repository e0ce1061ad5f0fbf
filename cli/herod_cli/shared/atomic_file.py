"""Atomic creation of a new file, for backups and exports.

The file is created, named and removed relative to the descriptor of its folder, which is opened first: another user
who owns that folder, or one above it, cannot redirect the command meanwhile.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from herod_cli.exit_codes import FailureError
from herod_cli.shared.secret_files import create_private, exists_already, give_name, is_taken, open_folder

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file (0600) that gets its name when the block succeeds, and is removed when the block fails.

    Raises:
        FailureError: the name exists, or writing fails.
    """
    if not path.name:
        raise FailureError(f"{path} is not the name of a file.", hint="give one, such as herod.backup")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with contextlib.ExitStack() as opened:
        folder = open_folder(path)
        opened.callback(os.close, folder)
        if is_taken(path, folder=folder):
            raise exists_already(path)
        descriptor = create_private(temporary, folder=folder)
        try:
            with os.fdopen(descriptor, "wb") as target:
                yield target
                target.flush()
                os.fsync(target.fileno())
            give_name(temporary, path, folder=folder)
        except OSError as error:
            raise FailureError(
                f"{path} cannot be written: {error.strerror or error}.",
                hint="check the folder and the free space on its disk",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary.name, dir_fd=folder)
