"""A small disk for a test: a tmpfs in a mount namespace, or the machine's shared memory if that is small.

Nothing has to be unmounted: the mount ends with the process that holds it, however the test ends.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a container's is 64 MiB, and a private folder is created in it
SMALL = 256 * 1024 * 1024
MOUNT = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && echo mounted && exec cat'


@dataclass
class Disk:
    """A disk that can be filled.

    Attributes:
        command: prefix that starts a process inside the namespace.
        inside: its path for such a process.
        outside: its path for the test.
    """

    command: tuple[str, ...]
    inside: Path
    outside: Path

    @property
    def filler(self) -> Path:
        return self.outside / "filler"

    def fill(self, *, leave: int = 0) -> None:
        """Fill the disk, leaving at most so many bytes."""
        with self.filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
            if leave:
                os.ftruncate(file.fileno(), file.tell() - leave)

    def empty(self) -> None:
        """Free the space again."""
        self.filler.unlink()


@contextmanager
def small_disk(folder: Path, size: int = 4 * 1024 * 1024) -> Iterator[Disk]:
    """A disk of that size mounted at `folder`, which exists."""
    for rights in ((), ("--user", "--map-root-user")):
        holder = subprocess.Popen(
            ["unshare", *rights, "--mount", "sh", "-c", MOUNT, "sh", str(size), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            if holder.stdout.readline() == b"mounted\n":
                enter = ("--user", "--preserve-credentials") if rights else ()
                command = ("nsenter", f"--target={holder.pid}", "--mount", *enter, "--")
                try:
                    yield Disk(command, folder, Path(f"/proc/{holder.pid}/root{folder}"))
                finally:
                    holder.stdin.close()
                return
    room = os.statvfs(SHARED_MEMORY)
    if room.f_blocks * room.f_frsize > SMALL:
        pytest.skip("needs the right to mount, or a small /dev/shm as containers have it")
    with tempfile.TemporaryDirectory(prefix="herod-test-", dir=SHARED_MEMORY) as name:
        yield Disk((), Path(name), Path(name))
