"""Every path that the daemon writes to, with everything that can be there before it starts.

It replaces what is there, or refuses to start: the target of a link keeps content, mode and owner, and nothing waits.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import trio

from herod.audit_copies.audit_file import open_audit_file
from herod.first_admin_code_file import FILE_NAME, FirstAdminCodeFile
from herod.server.sockets.listeners import open_listeners
from herod.settings.bind_addresses import UnixBind
from herod_client.core.errors import HerodError, StartupError
from support import soak_rounds
from support.herod_in_memory import open_harness
from support.planted_things import NOWHERE, PRECIOUS, THINGS, USER, folder_of_user, precious
from support.stopped_store import opened

pytestmark = pytest.mark.usefixtures("no_secret")

Start = Callable[[Path], Awaitable[None]]


@pytest.fixture
def no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's own environment."""
    monkeypatch.delenv("HERO_SECRET", raising=False)


async def open_store(folder: Path) -> None:
    """Open and close the store."""
    async with opened(folder / "herod.db"):
        pass


async def back_up(folder: Path) -> None:
    """Take a backup of a store that is open."""
    async with opened(folder / "herod.db") as store:
        stream = await store.backup()
        await stream.aclose()


async def listen(folder: Path) -> None:
    """Listen on a socket, and stop."""
    open_listeners([UnixBind(folder / "s")]).close()


async def write_code(folder: Path) -> None:
    """Write the code for the first admin."""
    async with open_harness() as harness:
        FirstAdminCodeFile(
            folder,
            store=harness.store,
            runtime=harness.runtime,
            admins=harness.pipeline.process.admins,
            clock=harness.clock,
        ).settle()


async def write_audit(folder: Path) -> None:
    """Append to the audit file."""
    file = open_audit_file(folder / "audit.jsonl")
    file.append([b'{"seq":1}\n'])
    file.close()


PATHS: Final[dict[str, Start]] = {
    **{f"herod.db{suffix}": open_store for suffix in ("", "-wal", "-shm", "-journal", ".lock")},
    "herod.db.snapshot.part": back_up,
    "herod.db.restoring.part": open_store,
    "s": listen,
    "s.lock": listen,
    "s.cookie": listen,
    FILE_NAME: write_code,
    f"{FILE_NAME}.new": write_code,
    "audit.jsonl": write_audit,
}

OWN_LINKS: Final = {("herod.db", kind) for kind in ("dangling link", "link to a file", "link to a pipe")}
"""The store may be named by a link of one's own. What is no store is refused there, too, and a missing one created."""


@pytest.mark.parametrize("user", ["root", "user"])
@pytest.mark.parametrize("name", PATHS)
def test_planted(monkeypatch: pytest.MonkeyPatch, name: str, user: str) -> None:
    """Nothing outside the path is changed or created, whatever is at it."""
    for kind, make in THINGS.items():
        with folder_of_user(user, monkeypatch) as folder:
            folder.chmod(0o2775)  # others may have put it there
            path, kept = folder / name, precious(folder)
            make(path)
            before = kept.lstat()
            with suppress(StartupError, HerodError, OSError):
                trio.run(PATHS[name], folder)
            now = kept.lstat()
            assert (kept.read_bytes(), now.st_mode, now.st_uid) == (PRECIOUS, before.st_mode, before.st_uid), kind
            assert (name, kind) in OWN_LINKS or not (folder / NOWHERE).exists(), kind
            monkeypatch.chdir("/")


# Makes each name lead to root's file and to one's own, in turns, until killed.
SWAPPER: Final = """
import contextlib, os, sys
user, victim, *places = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
print("ready", flush=True)
while True:
    for place in places:
        for aim in (victim, "own", None):
            with contextlib.suppress(OSError):
                os.symlink(aim, place + "~") if aim else open(place + "~", "w").close()
                os.rename(place + "~", place)
"""


@contextmanager
def swapping(victim: Path, *places: Path) -> Iterator[None]:
    """Swap links as a member of the folder's group for the length of the block."""
    command = [sys.executable, "-I", "-S", "-c", SWAPPER, str(USER), str(victim), *map(str, places)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can share a folder with another group")
@pytest.mark.parametrize("names", [("s", "s.lock", "s.cookie"), ("audit.jsonl",), (FILE_NAME, f"{FILE_NAME}.new")])
def test_swapped_in_the_middle(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    """In a folder that root shares with a group, its member can hinder the daemon, and redirect nothing."""
    with folder_of_user("root", monkeypatch) as folder:
        os.chown(folder, 0, USER)
        folder.chmod(0o775)
        (folder / "roots").mkdir(mode=0o755)
        kept = precious(folder / "roots")
        before = kept.lstat()
        with swapping(kept, *(folder / name for name in names)):
            for _ in range(soak_rounds.count("SWAPS") // 20):
                with suppress(StartupError, HerodError, OSError):
                    trio.run(PATHS[names[0]], folder)
        now = kept.lstat()
        assert (kept.read_bytes(), stat.S_IMODE(now.st_mode), now.st_uid) == (PRECIOUS, 0o4755, 0)
        assert (now.st_ino, now.st_nlink) == (before.st_ino, before.st_nlink)
        monkeypatch.chdir("/")
