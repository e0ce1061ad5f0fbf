"""Backups of a store under writes: consistent, complete, and unreadable without the secret.

HEROD_BACKUP_ROUNDS rounds (20).
"""

from functools import partial
from pathlib import Path

import apsw
import pytest
import trio

from herod.credentials.keyring import derive_backup_key
from herod.records import ApiKey
from herod.store.memory_store import MemoryStore
from herod.store.sqlite.backup_unpacking import open_backup, unpack
from herod.store.sqlite.disk.database_files import RESTORING, SNAPSHOT
from herod.store.sqlite.disk.open_database import open_file
from herod.store.sqlite.offline_transaction import check_all
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Store, Usage, Writer
from herod_client.core.errors import Conflict, RuntimeFailure, SettingsError, Unavailable
from store.samples import SECRET, account, event, key
from support.soak_rounds import count

ROUNDS = count("BACKUP_ROUNDS")


async def save(store: Store, file: Path) -> Path:
    """Write a backup."""
    stream = await store.backup()
    pieces = [piece async for piece in stream]
    await stream.aclose()
    file.write_bytes(b"".join(pieces))  # noqa: ASYNC240 - no other task is waiting in a test
    return file


def names(folder: Path) -> list[str]:
    """Its files, except SQLite's own."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


def put_keys(tx: Writer, *, count: int, padding: int = 0) -> None:
    """Write many keys."""
    for number in range(count):
        tx.put(key(f"k{number}", name="n" * padding + str(number)))


def unpacked(file: Path, secret: str, path: Path) -> Path:
    """The database of a backup, beside a store."""
    with open_backup(file) as source:
        return unpack(source, secret, path)


def keys_in(file: Path, folder: Path) -> set[str]:
    """The ids of the keys in a backup, after checking that all rows open and the audit chain is intact."""
    folder.mkdir()
    opened = open_file(unpacked(file, SECRET, folder / "herod.db"), SECRET)
    try:
        assert check_all(opened).valid
        rows = opened.connection.execute("SELECT id FROM records WHERE kind = 'key'").fetchall()
        return {str(id_) for (id_,) in rows}
    finally:
        opened.connection.close()


async def test_backups_under_write_load(tmp_path: Path) -> None:
    """Every record acknowledged before a backup is in it, in every round."""
    acknowledged: set[str] = set()
    stop = trio.Event()

    async def write(store: SqliteStore, task: int) -> None:
        number = 0
        while not stop.is_set():
            id_ = f"{task}-{number}"

            def add(tx: Writer, id_: str = id_) -> None:
                tx.put(key(id_))
                tx.audit(event(1, target=id_))

            await store.write(add)
            acknowledged.add(id_)
            number += 1

    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store, trio.open_nursery() as nursery:
        for task in range(4):
            nursery.start_soon(write, store, task)
        for number in range(ROUNDS):
            before = set(acknowledged)
            file = await save(store, tmp_path / f"{number}.backup")
            lost = before - await trio.to_thread.run_sync(keys_in, file, tmp_path / f"{number}")
            assert not lost, f"round {number}: {len(lost)} records are missing"
        stop.set()
    assert len(acknowledged) > ROUNDS


async def test_nothing_can_be_read_in_a_backup_and_nothing_stays_behind(tmp_path: Path) -> None:
    """A backup contains no email, id, source or secret, and its snapshot is unlinked before the first byte is sent."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(lambda tx: tx.put(account("canary-id", email="canary@example.org", name="Canary")))
        await store.write(lambda tx: tx.put(key("canary-key", owner="canary-id")))
        await store.write(lambda tx: tx.audit(event(1, actor="canary-actor", source="canary-source")))
        store.note_use("canary-key", Usage(1, "canary-source"))
        await store.flush_usage()
        stream = await store.backup()
        assert names(tmp_path) == ["herod.db", "herod.db.lock"]
        content = b"".join([piece async for piece in stream])
        await stream.aclose()
        await stream.aclose()
        assert [piece async for piece in stream] == []
    assert b"canary" not in content.lower()
    assert b"sqlite" not in content.lower()
    assert SECRET.encode() not in content
    assert derive_backup_key(SECRET) not in content
    plain = (tmp_path / "herod.db").read_bytes()
    assert b"canary-actor" in plain  # proves that the search above can find it
    assert b"canary@" not in plain


async def test_a_large_store_comes_in_pieces(tmp_path: Path) -> None:
    """A large store is sent in pieces of whole chunks; a client that disconnects midway leaves nothing behind."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(partial(put_keys, count=400, padding=3000))
        stream = await store.backup()
        pieces = [piece async for piece in stream]
        assert len(pieces) > 1
        left = await store.backup()
        async for piece in left:
            assert piece
            break
        await left.aclose()
        (tmp_path / "b").write_bytes(b"".join(pieces))
    assert len(keys_in(tmp_path / "b", tmp_path / "out")) == 400


async def test_one_at_a_time_and_a_cancelled_one_ends(tmp_path: Path) -> None:
    """A second concurrent backup is refused, and cancelling the first one frees its slot."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        store.snapshots.is_busy = True
        with pytest.raises(Conflict):
            await store.backup()
        store.snapshots.is_busy = False
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.backup()
        assert scope.cancelled_caught
        with trio.fail_after(60):
            while store.snapshots.is_busy:
                await trio.lowlevel.checkpoint()
        await (await store.backup()).aclose()


async def test_no_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the snapshot cannot be written, the backup is refused and nothing else is affected."""

    def fail(*_: object) -> Path:
        raise apsw.FullError("disk full")

    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        monkeypatch.setattr("herod.store.sqlite.backup_snapshot.create_beside", fail)
        with pytest.raises(Unavailable):
            await store.backup()
        monkeypatch.setattr("herod.store.sqlite.backup_snapshot.connect", fail)
        with pytest.raises(Unavailable):
            await store.backup()
        await store.write(lambda tx: tx.put(key()))
        assert store.get(ApiKey, "key1") is not None


async def test_memory_has_no_backup() -> None:
    """A memory store refuses backups."""
    with pytest.raises(Conflict, match="nothing to back up"):
        await MemoryStore(SECRET).backup()


async def test_damaged_backups_are_refused_at_every_place(tmp_path: Path) -> None:
    """A backup with a flipped byte or truncated anywhere is refused, and leaves no files."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(partial(put_keys, count=300))
        whole = (await save(store, tmp_path / "b")).read_bytes()
    places = sorted({0, 8, 9, 40, 41, 56, 57, 58, len(whole) - 17, len(whole) - 1, *range(100, len(whole), 9973)})
    bad = tmp_path / "bad"
    target = tmp_path / "out" / "herod.db"
    target.parent.mkdir()
    changed = [whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :] for place in places]
    for content in (*changed, *(whole[:place] for place in places), whole + b"x"):
        bad.write_bytes(content)
        with pytest.raises((RuntimeFailure, SettingsError)):
            unpacked(bad, SECRET, target)
        assert list(target.parent.iterdir()) == []
    bad.write_bytes(whole)
    with pytest.raises(SettingsError, match="another secret"):
        unpacked(bad, "another secret that is long enough as well", target)
    with pytest.raises(RuntimeFailure, match="cannot be read"):
        unpacked(tmp_path / "missing", SECRET, target)


async def test_leftovers_of_killed_commands_go_at_the_next_start(tmp_path: Path) -> None:
    """Incomplete snapshots and restores of killed commands are removed at the next start."""
    for suffix in (SNAPSHOT, RESTORING):
        (tmp_path / f"herod.db{suffix}").write_bytes(b"half")
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1):
        assert names(tmp_path) == ["herod.db", "herod.db.lock"]


async def test_other_work_in_threads_holds_up_no_backup(tmp_path: Path) -> None:
    """A backup starts while all worker threads are busy; waiting for one could leave the slot taken forever."""
    limiter = trio.to_thread.current_default_thread_limiter()
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        tokens, limiter.total_tokens = limiter.total_tokens, 1
        async with limiter:
            with trio.fail_after(60):
                stream = await store.backup()
        limiter.total_tokens = tokens
        await stream.aclose()
