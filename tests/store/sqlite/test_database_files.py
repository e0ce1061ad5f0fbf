"""The store's files: their owner, and which leftovers are removed."""

import os
import re
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from herod.maintenance.restore import restore
from herod.store.sqlite.disk.database_files import RESTORING, SNAPSHOT
from herod.store.sqlite.sqlite_store import open_sqlite
from herod_client.core.errors import RuntimeFailure, SettingsError
from support.stopped_store import NOW, OLD, contents, opened, save, settings

OWNER = 4321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")


@contextmanager
def owned_by(folder: Path, uid: int) -> Iterator[None]:
    """Give a folder and its files to this uid; afterwards all files must still be its own and private."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, uid, uid)
    yield
    stats = {path.name: path.stat() for path in folder.iterdir()}
    owners = {name: (one.st_uid, one.st_gid, one.st_mode & 0o777) for name, one in stats.items()}
    assert set(owners.values()) == {(uid, uid, 0o600)}, owners


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_root
@pytest.mark.parametrize("has_store", [True, False])
async def test_what_root_restores_belongs_to_the_daemons_user(open_folder: Path, has_store: bool) -> None:
    """After `sudo herod restore`, the files belong to the daemon's user."""
    folder = open_folder / "state"
    folder.mkdir(mode=0o700)
    path = folder / "herod.db"
    async with opened(path) as store:
        file = await save(store, open_folder / "b")
    if not has_store:
        for one in folder.iterdir():
            one.unlink()
    with owned_by(folder, OWNER):
        await trio.to_thread.run_sync(lambda: restore(settings(path), file, now=NOW))


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "symbolic link": lambda place, victim: place.symlink_to(victim),
    "hard link": lambda place, victim: place.hardlink_to(victim),
    "pipe": lambda place, _: os.mkfifo(place),
    "socket": lambda place, _: bind(place),
    "folder": lambda place, _: place.mkdir(),
}


def bind(place: Path) -> None:
    """Create a socket."""
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(place))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        (kind, suffix)
        for kind in PLANTED
        for suffix in ("", "-wal", "-shm", "-journal", ".lock")
        if (kind, suffix) != ("symbolic link", "")  # this user's own link, which is allowed
    ],
)
def test_what_is_planted_in_a_shared_folder(tmp_path: Path, kind: str, suffix: str) -> None:
    """A file planted by another user is refused with its path, and the target of a link stays unchanged."""
    folder = tmp_path / "shared"
    folder.mkdir()
    path = folder / "herod.db"
    place = path.with_name(path.name + suffix)
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    victim.chmod(0o4755)
    PLANTED[kind](place, victim)
    folder.chmod(0o2775)  # a group of root's, if the tests run as root
    with pytest.raises((RuntimeFailure, SettingsError), match=re.escape(str(place))):
        open_sqlite(path, OLD, now=NOW).close()
    assert (victim.read_bytes(), stat.S_IMODE(victim.stat().st_mode)) == (b"", 0o4755)


@needs_root
@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_file_of_another_user(tmp_path: Path, suffix: str) -> None:
    """A file of another user is not written to, even if its permissions would allow it."""
    place = tmp_path / f"herod.db{suffix}"
    place.touch()
    os.chown(place, OWNER, OWNER)
    with pytest.raises(RuntimeFailure, match=f"{place} belongs to uid {OWNER}"):
        open_sqlite(tmp_path / "herod.db", OLD, now=NOW).close()
    assert (place.stat().st_uid, place.read_bytes()) == (OWNER, b"")


def test_second_name_in_an_own_folder(tmp_path: Path) -> None:
    """A hard link that only this user can have created, as a killed restore leaves, is accepted."""
    path = tmp_path / "herod.db"
    open_sqlite(path, OLD, now=NOW).close()
    (tmp_path / "herod.db.20270115T080000Z").hardlink_to(path)
    open_sqlite(path, OLD, now=NOW).close()


async def test_a_backup_beside_the_store_stays(tmp_path: Path) -> None:
    """Only herod's own temporary names are removed at startup."""
    kept = [tmp_path / f"herod.db{end}" for end in (".snapshot", ".backup", ".restoring")]
    for path in (*kept, *(tmp_path / f"herod.db{end}" for end in (SNAPSHOT, RESTORING))):
        path.write_bytes(b"x")
    async with opened(tmp_path / "herod.db"):
        pass
    assert set(contents(tmp_path)) == {"herod.db", *(path.name for path in kept)}
