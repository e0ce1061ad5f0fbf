"""Offline commands on a store whose daemon was stopped while it deleted a large account's records."""

from pathlib import Path

from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.import_accounts import import_accounts
from herod.maintenance.restore import restore
from herod.records import Account, ApiKey, Deletion, Resource, ResourceTally
from herod.store.owned_records import DELETED_AT_ONCE, delete_with_owned, finish_deletions
from herod.store.resource_tallies import tally_of
from herod.store.sqlite.sqlite_store import SqliteStore
from store.samples import account, key, resource
from support.stopped_store import NOW, opened, put, save, settings, written

KEYS = 2 * DELETED_AT_ONCE


async def fill(store: SqliteStore) -> None:
    """An account with many keys, another with one, and counted resources."""
    await put(
        store,
        account("ada", email="ada@example.org"),
        account("eve", email="eve@example.org"),
        key("of-eve", name="eve's", owner="eve", secret_hash=b"y" * 32),
        *(key(f"k{number:011}", name=f"{number}", owner="ada") for number in range(KEYS)),
        *(resource(f"r{number}", counted=True) for number in range(3)),
        ResourceTally(id="compute", created_at=1, number=3),
    )


async def delete(store: SqliteStore) -> None:
    """Delete the large account, and stop before its keys are all deleted."""
    await store.write(lambda tx: delete_with_owned(tx, account("ada"), now=NOW))
    assert store.count(ApiKey) == KEYS - DELETED_AT_ONCE + 1


async def test_restored_keys_do_not_outlive_their_account(tmp_path: Path) -> None:
    """A restore keeps the account deleted, and the daemon deletes the keys that the backup brought back.

    Resources are counted as they are after the restore.
    """
    path, file = tmp_path / "herod.db", tmp_path / "backup"
    async with opened(path) as store:
        await fill(store)
        await save(store, file)
        await delete(store)
        await store.write(lambda tx: tx.delete(Resource, "r0"))
    restore(settings(path), file, now=NOW)
    async with opened(path) as store:
        assert store.get(Account, "ada") is None
        assert store.get(Deletion, "ada") is not None
        assert tally_of(store, "compute") == store.count(Resource) == 2
        await finish_deletions(store)
        assert [one.id for one in store.scan(ApiKey)] == ["of-eve"]
        assert store.get(Account, "eve") is not None


async def test_an_imported_account_is_not_the_deleted_one(tmp_path: Path) -> None:
    """An account that is imported with the id of a deleted one gets the keys of the import and no others.

    The export leaves out keys of deleted accounts.
    """
    path, other = tmp_path / "a" / "herod.db", tmp_path / "b" / "herod.db"
    async with opened(other) as store:
        await put(
            store, account("ada", email="ada@example.org"), key("importedxxxx", owner="ada", secret_hash=b"x" * 32)
        )
    file = written(tmp_path / "file", export_accounts(settings(other), now=NOW).content)
    async with opened(path) as store:
        await fill(store)
        await delete(store)
    assert export_accounts(settings(path), now=NOW).keys == 1
    import_accounts(settings(path), file, now=NOW)
    async with opened(path) as store:
        assert store.get(Account, "ada") is not None
        assert {one.id for one in store.scan(ApiKey)} == {"importedxxxx", "of-eve"}
        await finish_deletions(store)
        assert store.get(ApiKey, "importedxxxx") is not None
