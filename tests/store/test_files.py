"""The store's files: whose they are, and what is removed beside them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from offline_store import NOW, contents, opened, save, settings

from herod.offline import restore
from herod.store.files import RESTORING, SNAPSHOT, StoreLock, create_beside

OWNER = 4321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")


@contextmanager
def owned_by(folder: Path, uid: int) -> Iterator[None]:
    """A folder and its files that are somebody's; afterwards all in it must be theirs, and private."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, uid, uid)
    yield
    stats = {path.name: path.stat() for path in folder.iterdir()}
    owners = {name: (one.st_uid, one.st_gid, one.st_mode & 0o777) for name, one in stats.items()}
    assert set(owners.values()) == {(uid, uid, 0o600)}, owners


@needs_root
@pytest.mark.parametrize("has_store", [True, False])
async def test_what_root_restores_belongs_to_the_daemons_user(tmp_path: Path, has_store: bool) -> None:
    """As it stands after `sudo herod restore` on a machine whose daemon runs as a user of its own."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    path = folder / "herod.db"
    async with opened(path) as store:
        file = await save(store, tmp_path / "b")
    if not has_store:
        for one in folder.iterdir():
            one.unlink()
    with owned_by(folder, OWNER):
        await trio.to_thread.run_sync(lambda: restore(settings(path), file, now=NOW))


@needs_root
def test_what_another_name_leads_to_is_not_given_away(tmp_path: Path) -> None:
    """A link in the place of the lock may lead to any file of root's."""
    folder = tmp_path / "state"
    folder.mkdir()
    other = tmp_path / "other"
    other.write_bytes(b"")
    (folder / "herod.db.lock").hardlink_to(other)
    os.chown(folder, OWNER, OWNER)
    StoreLock(folder / "herod.db").release()
    assert other.stat().st_uid == 0
    made = create_beside(folder / "herod.db", RESTORING)
    assert made.stat().st_uid == OWNER


async def test_a_backup_beside_the_store_stays(tmp_path: Path) -> None:
    """Only names that nobody gives are swept away at a start."""
    kept = [tmp_path / f"herod.db{end}" for end in (".snapshot", ".backup", ".restoring")]
    for path in (*kept, *(tmp_path / f"herod.db{end}" for end in (SNAPSHOT, RESTORING))):
        path.write_bytes(b"x")
    async with opened(tmp_path / "herod.db"):
        pass
    assert set(contents(tmp_path)) == {"herod.db", *(path.name for path in kept)}
