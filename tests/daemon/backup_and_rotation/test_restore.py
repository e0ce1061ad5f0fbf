"""Restoring: the backup's records come back, and nothing revoked since becomes valid again."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from herod.maintenance.restore import Restoration, restore
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.records import Account, ApiKey, App, PeerRule, Revocation, Session, SigningKeyRecord
from herod.store.sqlite.sqlite_store import SqliteStore
from herod_client.core.errors import Conflict, RuntimeFailure, SettingsError
from herod_client.core.signing_keys import PlainAlgorithm
from store.samples import account, app, event, key, revocation, rule, session
from support.stopped_store import NEW, NOW, OLD, STORE, contents, opened, put, save, settings


async def lived(path: Path, file: Path) -> Path:
    """A store with a backup and later deletions, revocations, disablings, changes and additions."""
    async with opened(path) as store:
        await put(
            store,
            account("ada", email="ada@example.org", password="old hash", epoch=4),
            account("bob", email="bob@example.org", scope=("admin",)),
            account("eve", email="eve@example.org"),
            key("kept"),
            key("deleted"),
            key("disabled"),
            key("rotated", secret_hash=b"old"),
            session("s1"),
            rule("r1", "uid:1"),
            rule("r2", "uid:2"),
        )
        await store.write(lambda tx: tx.audit(event(1)))
        await sign(store, "HS256")
        await save(store, file)
        await put(
            store,
            account("ada", email="ada@example.org", password="new hash", secret_hash=b"new", epoch=9),
            account("bob", email="bob@example.org", scope=("read",), networks=("lab",)),
            key("disabled", enabled=False),
            key("rotated", secret_hash=b"new", expires_at=500),
            key("later"),
            revocation("jti9", expires_at=NOW + 900),
            session("s2"),
        )
        await store.write(lambda tx: tx.delete(ApiKey, "deleted"))
        await store.write(lambda tx: tx.delete(Account, "eve"))
        await store.write(lambda tx: tx.delete(PeerRule, "r2"))
    return file


async def sign(store: SqliteStore, algorithm: PlainAlgorithm) -> None:
    """Start signing with an algorithm, as the daemon does."""
    await store.write(lambda tx: load_signing_keys(tx, secret=OLD, algorithm=algorithm, ttl=3600, now=NOW))


@pytest.fixture
async def restored(tmp_path: Path) -> tuple[Path, Restoration]:
    """A store that was restored from its earlier backup."""
    path = tmp_path / "herod.db"
    file = await lived(path, tmp_path / "b")
    return path, restore(settings(path), file, now=NOW)


async def test_what_was_taken_back_stays_so(restored: tuple[Path, Restoration]) -> None:
    """Deleted, revoked and disabled records stay so, and replaced passwords and secrets stay invalid."""
    path, done = restored
    async with opened(path) as store:
        assert {one.id for one in store.scan(ApiKey)} == {"kept", "disabled", "rotated"}
        assert store.get(Account, "eve") is None
        assert store.get(PeerRule, "r2") is None
        assert store.get(Revocation, "ada/jti9") is not None
        disabled, rotated, ada = store.get(ApiKey, "disabled"), store.get(ApiKey, "rotated"), store.get(Account, "ada")
        assert disabled is not None
        assert not disabled.enabled
        assert rotated is not None
        assert rotated.secret_hash == b"new"
        assert ada is not None
        assert (ada.password, ada.secret_hash) == ("new hash", b"new")
        verdict = await store.verify_audit()
        assert verdict.valid, verdict.reason
        last = store.audit_rows()[-1].event
        assert (last.operation, last.target) == ("restore", store.cursor.generation)
    assert sorted(done.restored.deleted) == [("account", "eve"), ("key", "deleted"), ("peer", "r2")]
    assert done.restored.disabled == [("key", "disabled")]
    assert (done.accounts, done.keys, done.restored.sessions, done.unread, done.bad_audit) == (2, 3, 1, None, None)


async def test_what_lives_again_is_listed(restored: tuple[Path, Restoration]) -> None:
    """A scope, networks and an expiry that the restore sets back are listed."""
    assert sorted(restored[1].restored.revived) == [
        ("account", "bob", "has networks * again"),
        ("account", "bob", "has scope admin again"),
        ("key", "rotated", "has its former expiry again"),
    ]


async def test_a_confirmation_that_was_taken_back_stays_so(tmp_path: Path) -> None:
    """An account whose confirmation was taken back since the backup is not confirmed again."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        await put(store, account("eve", registered=True, confirmed=True), account("ada"))
        await save(store, tmp_path / "b")
        await put(store, account("eve", registered=True), account("ada"))
    restore(settings(path), tmp_path / "b", now=NOW)
    async with opened(path) as store:
        assert {one.id: one.is_confirmed for one in store.scan(Account)} == {"eve": False, "ada": True}


async def test_apps_keep_what_was_taken_from_them(tmp_path: Path) -> None:
    """A deleted app stays deleted, a disabled one disabled, and only the newest secret is valid."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        await put(store, app("gone"), app("off"), app("rotated", secret_hash=b"old"), app("moved", scope=("admin",)))
        await save(store, tmp_path / "b")
        await put(store, app("off", enabled=False), app("rotated", secret_hash=b"new"))
        await put(store, app("moved", redirect_uris=("https://new.example.org/callback",)))
        await store.write(lambda tx: tx.delete(App, "gone"))
    done = restore(settings(path), tmp_path / "b", now=NOW)
    async with opened(path) as store:
        apps = {one.id: (one.enabled, one.secret_hash) for one in store.scan(App)}
    assert apps == {"off": (False, None), "rotated": (True, b"new"), "moved": (True, None)}
    assert (done.restored.deleted, done.restored.disabled) == ([("app", "gone")], [("app", "off")])
    assert done.restored.revived == [
        ("app", "moved", "has scope admin again"),
        ("app", "moved", "has its former redirect URIs again"),
    ]


async def test_sessions_end_and_epochs_leap(restored: tuple[Path, Restoration]) -> None:
    """Sessions end, and epochs exceed those of the backup and of the store, so no earlier token is valid."""
    async with opened(restored[0]) as store:
        assert list(store.scan(Session)) == []
        assert store.count(Session) == 0
        ada = store.get(Account, "ada")
        assert ada is not None
        assert ada.epoch > 9 + 1000
        assert {one.id: one.epoch > 1000 for one in store.scan(PeerRule)} == {"r1": True}


async def test_the_feed_begins_anew(tmp_path: Path) -> None:
    """Feed clients get a reset, and the earlier store is kept intact under another name."""
    path = tmp_path / "herod.db"
    file = await lived(path, tmp_path / "b")
    async with opened(path) as store:
        cursor = store.cursor
    done = restore(settings(path), file, now=NOW)
    async with opened(path) as store:
        assert store.changes(cursor).is_reset
    assert done.moved_to == f"{path}.20270115T080000Z"
    async with opened(Path(done.moved_to)) as before:
        assert before.cursor == cursor
        assert before.get(ApiKey, "later") is not None
    again = restore(settings(path), file, now=NOW)
    assert again.moved_to == f"{path}.20270115T080000Z-2"
    assert again.restored.deleted == done.restored.deleted  # the tombstones are kept


async def test_a_running_daemon_refuses(tmp_path: Path) -> None:
    """Restore and rotation are refused while a daemon has the store open."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        file = await save(store, tmp_path / "b")
        with pytest.raises(RuntimeFailure, match="in use"):
            restore(settings(path), file)
        with pytest.raises(RuntimeFailure, match="in use"):
            rotate_secret(settings(path), NEW)


async def test_refusals_touch_nothing(tmp_path: Path) -> None:
    """A refused restore, as with a wrong secret or a damaged backup, leaves every byte unchanged."""
    path = tmp_path / "herod.db"
    file = await lived(path, tmp_path / "b")
    before = contents(tmp_path)
    with pytest.raises(SettingsError, match="another secret"):
        restore(settings(path, NEW), file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(RuntimeFailure, match="damaged"):
        restore(settings(path), tmp_path / "bad")
    with pytest.raises(SettingsError, match="in a file"):
        restore(dataclasses.replace(settings(path), store=None), file)
    (tmp_path / "bad").unlink()
    assert contents(tmp_path) == before


async def test_into_an_empty_place(tmp_path: Path) -> None:
    """Without an earlier store everything is as in the backup, except tokens and sessions."""
    file = await lived(tmp_path / "herod.db", tmp_path / "b")
    path = tmp_path / "new" / "herod.db"
    done = restore(settings(path), file)
    assert (done.moved_to, done.unread, done.restored.revived) == (None, None, [])
    async with opened(path) as store:
        assert {one.id for one in store.scan(ApiKey)} == {"kept", "deleted", "disabled", "rotated"}
        with pytest.raises(Conflict):
            await put(store, account("new", email="ada@example.org"))


async def test_over_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    """An unreadable store is kept aside, and what could not be carried forward is reported."""
    file = await lived(tmp_path / "herod.db", tmp_path / "b")
    path = tmp_path / "other" / "herod.db"
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    done = restore(settings(path), file, now=NOW)
    assert done.unread is not None
    assert done.moved_to is not None
    assert b"rubbish" * 1000 in contents(path.parent).values()
    async with opened(path) as store:
        assert store.count(ApiKey) == 4


async def test_over_another_store(tmp_path: Path) -> None:
    """Deletions of an unrelated store are not applied; keys of the backup work under a new root."""
    file = await lived(tmp_path / "herod.db", tmp_path / "b")
    path = tmp_path / "other" / "herod.db"
    async with opened(path) as store:
        await put(store, account("zoe", email="zoe@example.org"))
    done = restore(settings(path), file)
    assert done.restored.revived == []
    async with opened(tmp_path / "herod.db") as before, opened(path) as store:
        assert store.get(Account, "zoe") is None
        assert store.count(ApiKey) == 4
        old, new = before.keyring, store.keyring
        assert old.row_key("key", "kept", 1) != new.row_key("key", "kept", 1)
        assert (await store.verify_audit()).valid


async def test_signing_keys_are_the_newest(tmp_path: Path) -> None:
    """A key retired since the backup does not sign again."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        await sign(store, "EdDSA")
        file = await save(store, tmp_path / "b")
        await sign(store, "HS256")
        wanted = {one.id: one.expires_at for one in store.scan(SigningKeyRecord)}
    restore(settings(path), file)
    async with opened(path) as store:
        assert {one.id: one.expires_at for one in store.scan(SigningKeyRecord)} == wanted


@pytest.mark.parametrize("is_compromised", [False, True])
async def test_a_backup_from_before_a_change_of_the_secret(tmp_path: Path, is_compromised: bool) -> None:
    """A backup opens with its former secret, and the store with today's only; the old root does not come back."""
    path = tmp_path / "herod.db"
    file = await lived(path, tmp_path / "b")
    rotate_secret(settings(path), NEW, is_compromised=is_compromised)
    with pytest.raises(SettingsError, match="--backup-secret-file"):
        restore(settings(path, NEW), file)
    done = restore(settings(path, NEW), file, backup_secret=OLD)
    assert ("key", "deleted") in done.restored.deleted
    with pytest.raises(SettingsError):
        opened(path, OLD)
    async with opened(path, NEW) as store:
        ada = store.get(Account, "ada")
        assert ada is not None
        assert ada.password == "new hash"
        assert all(msgspec.structs.asdict(one) for one in store.scan(ApiKey))


async def test_the_store_secret_opens_a_backup(tmp_path: Path) -> None:
    """HEROD_STORE_SECRET opens backups of its store."""
    path = tmp_path / "herod.db"
    async with opened(path, STORE) as store:
        await put(store, key())
        file = await save(store, tmp_path / "b")
    with pytest.raises(SettingsError):
        restore(settings(path, OLD), file)
    assert restore(settings(path, OLD, store_secret=STORE), file).keys == 1


async def test_no_epoch_comes_twice(tmp_path: Path) -> None:
    """Restoring a backup twice gives different epochs, so tokens issued in between are refused."""
    file = await lived(tmp_path / "herod.db", tmp_path / "b")
    epochs: set[int] = set()
    for name in ("first", "second"):
        restore(settings(tmp_path / name / "herod.db"), file, now=NOW)
        async with opened(tmp_path / name / "herod.db") as store:
            epochs |= {one.epoch for one in store.scan(Account) if one.id == "ada"}
    assert len(epochs) == 2


async def test_an_older_backup_that_was_restored_first_is_not_the_newest(tmp_path: Path) -> None:
    """An older backup restored first by mistake does not revert passwords and secrets of the newer one."""
    path = tmp_path / "herod.db"
    older = await lived(path, tmp_path / "older")
    async with opened(path) as store:
        newer = await save(store, tmp_path / "newer")
    mistaken = tmp_path / "new" / "herod.db"
    restore(settings(mistaken), older, now=NOW)
    async with opened(mistaken) as store:
        await put(store, key("rotated", secret_hash=b"old", enabled=False))
    restore(settings(mistaken), newer, now=NOW)
    async with opened(mistaken) as store:
        rotated, ada = store.get(ApiKey, "rotated"), store.get(Account, "ada")
        assert rotated is not None
        assert ada is not None
        assert (rotated.secret_hash, rotated.enabled, ada.password) == (b"new", False, "new hash")
        later = store.cursor.rev
    restore(settings(mistaken), older, now=NOW)
    async with opened(mistaken) as store:
        rotated = store.get(ApiKey, "rotated")
        assert rotated is not None
        assert (rotated.secret_hash, rotated.enabled) == (b"new", False)
        assert store.cursor.rev >= later


async def test_over_a_store_that_another_secret_opens(tmp_path: Path) -> None:
    """A store that opens with another secret is refused, because nothing could be carried forward from it."""
    path = tmp_path / "herod.db"
    file = await lived(path, tmp_path / "b")
    rotate_secret(settings(path), STORE)
    async with opened(path, STORE):
        pass
    before = contents(tmp_path)
    with pytest.raises(SettingsError, match="needs another secret"):
        restore(settings(path, NEW), file, backup_secret=OLD)
    assert contents(tmp_path) == before
    rotate_secret(settings(path, STORE), OLD)
    done = restore(settings(path, NEW), file, backup_secret=OLD)
    assert (done.unread, ("key", "deleted") in done.restored.deleted) == (None, True)
    async with opened(path, NEW) as store:
        assert store.get(ApiKey, "deleted") is None


async def test_the_root_of_an_older_secret_does_not_come_back(tmp_path: Path) -> None:
    """If the earlier store is lost, the root of a former secret, which others may know, is replaced."""
    file = await lived(tmp_path / "herod.db", tmp_path / "b")
    path = tmp_path / "new" / "herod.db"
    restore(settings(path, NEW), file, backup_secret=OLD)
    async with opened(tmp_path / "herod.db") as before, opened(path, NEW) as store:
        assert store.count(ApiKey) == 4
        assert before.keyring.row_key("key", "kept", 1) != store.keyring.row_key("key", "kept", 1)


@pytest.mark.parametrize(
    "damage", ["DELETE FROM records WHERE id = 'kept'", "UPDATE records SET sealed = zeroblob(60) WHERE id = 'kept'"]
)
async def test_over_a_damaged_store(damage: str, tmp_path: Path) -> None:
    """What is readable of a damaged store, such as a revocation, is carried forward."""
    backup = await lived(tmp_path / STORE, tmp_path / "b")
    with closing(sqlite3.connect(tmp_path / STORE)) as connection, connection:
        connection.execute(damage)
    done = restore(settings(tmp_path / STORE), backup, now=NOW)
    assert done.is_salvaged == (done.unread is not None) == damage.startswith("DELETE")
    assert ("key", "deleted") in done.restored.deleted
    assert ("key", "disabled") in done.restored.disabled
    async with opened(tmp_path / STORE) as store:
        assert store.get(ApiKey, "kept") is not None  # an unreadable record does not count as deleted
        assert store.count(Revocation) == 1
        found = store.get(Account, "ada")
        assert found is not None
        assert found.password == "new hash"
