"""Everything that can be at a path instead of a file, for tests of all paths that herod reads or writes."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

__all__ = ["NOWHERE", "PRECIOUS", "THINGS", "USER", "acting_as", "folder_of_user", "precious"]

USER: Final = 4321
PRECIOUS: Final = b"precious, without a line end"
NOWHERE: Final = "nowhere"


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _link_to_pipe(path: Path) -> None:
    os.mkfifo("pipe")
    path.symlink_to("pipe")


THINGS: Final[dict[str, Callable[[Path], object]]] = {
    "pipe": os.mkfifo,
    "socket": _bind,
    "folder": Path.mkdir,
    "dangling link": lambda path: path.symlink_to(NOWHERE),
    "loop": lambda path: path.symlink_to(path.name),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "link to a pipe": _link_to_pipe,
    "link to a file": lambda path: path.symlink_to("precious"),
    "hard link": lambda path: path.hardlink_to("precious"),
}
"""How to make each; relative to the current folder, which has a file `precious`."""


def precious(folder: Path) -> Path:
    """Create the file that links lead to; anybody may run it."""
    path = folder / "precious"
    path.write_bytes(PRECIOUS)
    path.chmod(0o4755)
    return path


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Be another user for the length of the block."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def folder_of_user(kind: str, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new current folder of this process's user: root's, or, for "user", that of another whom it becomes.

    Without root, both are the user who runs the tests.
    """
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        base = Path(name).resolve()
        patch.chdir(base)
        uid = USER if kind == "user" and os.geteuid() == 0 else os.geteuid()
        os.chown(base, uid, -1)
        with acting_as(uid):
            yield base
