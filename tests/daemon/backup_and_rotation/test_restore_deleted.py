"""Restoring over a store that has forgotten its tombstones: records deleted since the backup stay deleted.

The attack: an admin key is deleted, and a `read` account creates and deletes 101,000 keys (about half a minute over
the socket). The feed keeps 100,000 tombstones, so the admin key's was gone, and `herod restore` brought the key back.
"""

from pathlib import Path

import pytest

from herod.maintenance.restore import restore
from herod.records import Account, ApiKey, PeerRule, Resource
from herod.store.sqlite.sqlite_store import KEPT_TOMBSTONES, SqliteStore, open_sqlite
from herod.store.store_interface import Writer
from store.samples import account, key, resource, rule
from support.stopped_store import NOW, OLD, put, save, settings

AT_ONCE = 1000


async def churn(store: SqliteStore, count: int) -> None:
    """Create and delete this many keys, as any account can."""

    def make_and_delete(tx: Writer) -> None:
        for number in range(min(AT_ONCE, count)):
            tx.put(key(f"churn{number}"))
        for number in range(min(AT_ONCE, count)):
            tx.delete(ApiKey, f"churn{number}")

    for _ in range(-(-count // AT_ONCE)):
        await store.write(make_and_delete)
        await store.purge_expired(NOW)


def delete(tx: Writer) -> None:
    """Delete one record of each kind."""
    tx.delete(ApiKey, "stolen")
    tx.delete(Account, "eve")
    tx.delete(PeerRule, "r2")
    tx.delete(Resource, "vm2")


async def forgotten(path: Path, file: Path, *, kept: int, churned: int) -> None:
    """A store with a backup that has since deleted a record of each kind, and forgotten the tombstones."""
    async with open_sqlite(path, OLD, now=NOW, kept_tombstones=kept) as store:
        await put(
            store,
            account("ada", email="ada@example.org", scope=("admin",)),
            account("eve", email="eve@example.org", scope=("admin",)),
            key("stolen", scope=("admin",)),
            key("kept"),
            rule("r1", "uid:1"),
            rule("r2", "uid:2"),
            resource("vm1"),
            resource("vm2"),
        )
        await save(store, file)
        await store.write(delete)
        await churn(store, churned)


async def check(path: Path, file: Path) -> None:
    """Restore, and check that the deleted records are missing."""
    done = restore(settings(path), file, now=NOW)
    assert {("key", "stolen"), ("account", "eve"), ("peer", "r2"), ("resource", "vm2")} <= set(done.restored.deleted)
    assert done.restored.revived == []
    async with open_sqlite(path, OLD, now=NOW) as store:
        assert {one.id for one in store.scan(ApiKey)} == {"kept"}
        assert {one.id for one in store.scan(Account)} == {"ada"}
        assert {one.id for one in store.scan(PeerRule)} == {"r1"}
        assert {one.id for one in store.scan(Resource)} == {"vm1"}


async def test_what_was_deleted_stays_so_without_its_tombstone(tmp_path: Path) -> None:
    """A record that is missing from a later, intact store of the same descent counts as deleted."""
    await forgotten(tmp_path / "herod.db", tmp_path / "b", kept=10, churned=100)
    await check(tmp_path / "herod.db", tmp_path / "b")


@pytest.mark.soak
async def test_what_was_deleted_stays_so_at_the_size_of_the_attack(tmp_path: Path) -> None:
    """Deletions survive 101,000 keys created and deleted, with a daemon's number of tombstones."""
    await forgotten(tmp_path / "herod.db", tmp_path / "b", kept=KEPT_TOMBSTONES, churned=KEPT_TOMBSTONES + 1000)
    await check(tmp_path / "herod.db", tmp_path / "b")
