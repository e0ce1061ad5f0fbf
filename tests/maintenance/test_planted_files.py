"""Offline commands run by root in a folder of the daemon's user, who has planted links to root's files."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from herod.credentials.accounts_file_encryption import encrypt_users
from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.import_accounts import import_accounts
from herod.maintenance.restore import restore
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.rotate_signing_key import rotate_signing
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.settings import Settings
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import RuntimeFailure, SettingsError, StartupError
from store.samples import account, key
from support.stopped_store import NEW, NOW, OLD, opened, put, save, settings

Command = Callable[[Settings, Path], object]

OWNER: Final = 4321
ROUNDS: Final = 3
SUFFIXES: Final = (
    "", "-wal", "-shm", "-journal", ".lock", ".snapshot.part", ".restoring.part", ".restoring.part-wal",
    ".restoring.part-journal", ".20270115T080000Z", ".20270115T080000Z-wal",
)  # fmt: skip
"""Every name beside a store that herod or SQLite gives."""

VICTIMS: Final = {"program": "program", "empty": "empty", "store": "herod.db", "nothing yet": "new"}
"""What a link leads to → its name among root's files."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work in a folder of somebody else's")


class Scene:
    """A store in the home of the daemon's user, and files that only root may access.

    Attributes:
        home: the user's home.
        folder: the store's folder in it.
        rooms: root's own folder.
    """

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.folder = self.home / "state"
        self.rooms = base / "roots"
        self.rooms.mkdir(mode=0o755)
        self.folder.mkdir(parents=True)
        trio.run(self._fill)
        self._whole = {one.name: one.read_bytes() for one in self.folder.iterdir()}

    @property
    def path(self) -> Path:
        return self.folder / "herod.db"

    async def _fill(self) -> None:
        async with opened(self.path) as store:
            await put(store, account("ada", scope=("admin",)), key("A" * 12, secret_hash=b"h" * 32))
            await store.write(partial(load_signing_keys, secret=OLD, algorithm="EdDSA", ttl=3600, now=NOW))
            await save(store, self.rooms / "backup")
        (self.rooms / "backup").chmod(0o600)
        (self.rooms / "import").write_bytes(encrypt_users('[[users]]\nemail = "eve@example.org"\n', OLD))
        (self.rooms / "import").chmod(0o600)
        shutil.copy(self.path, self.rooms / "store")

    def lay_out(self) -> dict[str, Path]:
        """Create the store, owned by the daemon's user, and files of root that must stay unchanged."""
        shutil.rmtree(self.home)
        self.folder.mkdir(parents=True, mode=0o700)
        for name, content in self._whole.items():
            (self.folder / name).write_bytes(content)
            (self.folder / name).chmod(0o600)
        for one in (self.home, self.folder, *self.folder.iterdir()):
            os.chown(one, OWNER, OWNER)
        victims = {name: self.rooms / file for name, file in VICTIMS.items()}
        for victim in victims.values():
            victim.unlink(missing_ok=True)
        victims["program"].write_bytes(b"#!/bin/sh\n")
        victims["program"].chmod(0o4755)
        victims["empty"].touch(0o644)
        shutil.copy(self.rooms / "store", victims["store"])
        victims["store"].chmod(0o640)
        return victims


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One scene for all tests of this file, which lay it out again."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        Path(name).chmod(0o755)
        yield Scene(Path(name))


COMMANDS: Final[dict[str, Command]] = {
    "restore": lambda given, rooms: restore(given, rooms / "backup", now=NOW),
    "rotate": lambda given, _: rotate_secret(given, NEW, now=NOW),
    "rotate --compromised": lambda given, _: rotate_secret(given, NEW, is_compromised=True, now=NOW),
    "rotate-signing": lambda given, _: rotate_signing(given, now=NOW),
    "export": lambda given, _: export_accounts(given, now=NOW),
    "import": lambda given, rooms: import_accounts(given, rooms / "import", now=NOW),
}


def states(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Owner, mode and content of files, which must not change."""
    found = {path: path.lstat() for path in folder.iterdir()}
    return {
        path.name: (one.st_uid, one.st_gid, stat.S_IMODE(one.st_mode), path.read_bytes()) for path, one in found.items()
    }


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_links_to_roots_files(scene: Scene, command: Command, kind: str) -> None:
    """The target of a link in the folder keeps content, mode, setuid bit and owner, whatever the link's name.

    Of 462 such links 123 did damage: a database replaced a program of root's, or its setuid bit was removed.
    """
    harmed = []
    for suffix in SUFFIXES:
        for name in VICTIMS:
            if (kind, name) == ("hard", "nothing yet"):
                continue
            victim = scene.lay_out()[name]
            place = scene.path.with_name(scene.path.name + suffix)
            place.unlink(missing_ok=True)
            place.symlink_to(victim) if kind == "symbolic" else place.hardlink_to(victim)
            before = states(scene.rooms)
            with suppress(StartupError):
                command(settings(scene.path), scene.rooms)
            if states(scene.rooms) != before:
                harmed.append((suffix, name))
    assert harmed == []


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_folder_that_is_a_link(scene: Scene, command: Command) -> None:
    """If the folder is a link to one of root's, root's store is not used, and nothing is created there."""
    scene.lay_out()
    shutil.rmtree(scene.folder)
    scene.folder.symlink_to(scene.rooms)
    os.chown(scene.folder, OWNER, OWNER, follow_symlinks=False)
    before = states(scene.rooms)
    with pytest.raises(RuntimeFailure, match="let uid 4321 write"):
        command(settings(scene.path), scene.rooms)
    assert states(scene.rooms) == before


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_root_does_is_the_owners(scene: Scene, command: Command, tmp_path: Path) -> None:
    """All files belong to the user afterwards, the audit log names root, and the process is root again."""
    scene.lay_out()
    ids = os.getresuid(), os.getresgid(), os.getgroups()
    before = states(scene.rooms)
    command(settings(scene.path), scene.rooms)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == ids
    assert {(uid, gid, mode) for uid, gid, mode, _ in states(scene.folder).values()} == {(OWNER, OWNER, 0o600)}
    assert states(scene.rooms) == before
    copy = shutil.copytree(scene.folder, tmp_path / "copy")
    for secret in (OLD, NEW):
        with suppress(SettingsError), closing(open_sqlite(copy / "herod.db", secret, now=NOW)) as store:
            assert store.audit_rows()[-1].event.source == "uid:0"
            return
    raise AssertionError("no secret opens the store")


# Makes the path a link to root's file and back, in turns, until killed.
SWAPPER: Final = """
import contextlib, os, sys
user, place, own, victim = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
make = os.symlink if os.path.isdir(own) else os.link
print("ready", flush=True)
while True:
    for link, aim in ((os.symlink, victim), (make, own)):
        with contextlib.suppress(OSError):
            link(aim, place + "~")
            os.rename(place + "~", place)
        with contextlib.suppress(OSError):
            os.unlink(place + "~")
"""


@contextmanager
def swapping(place: Path, own: Path, victim: Path) -> Iterator[None]:
    """Run the swapping process as the daemon's user."""
    command = [sys.executable, "-I", "-S", "-c", SWAPPER, str(OWNER), str(place), str(own), str(victim)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock", ".restoring.part", None])
def test_links_that_come_and_go(scene: Scene, suffix: str | None) -> None:
    """A path, or the folder itself (None), that changes during a command gives no access beyond the user's own."""
    for _ in range(ROUNDS):
        victim, own = scene.lay_out()["program"], scene.home / "own"
        before = states(scene.rooms)
        if suffix is None:
            place, own, victim = scene.home / "swapped", scene.folder, scene.rooms
        else:
            place = scene.path.with_name(scene.path.name + suffix)
            shutil.copy(scene.path, own)
            os.chown(own, OWNER, OWNER)
        with swapping(place, own, victim):
            for command in COMMANDS.values():
                with suppress(StartupError):
                    command(settings(place / "herod.db" if suffix is None else scene.path), scene.rooms)
        assert states(scene.rooms) == before
