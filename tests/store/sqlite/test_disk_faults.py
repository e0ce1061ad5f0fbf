"""Full and failing disks under the embedded store."""

import errno
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import apsw
import pytest
import trio
import trio.testing

from herod.records import Account, ApiKey
from herod.store.sqlite.disk.disk_faults import Condition, Fault, describe, fault_of
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Health, NotWritten, Usage, Writer
from herod_client.core.errors import Unavailable
from store.conformance import failing, putting
from store.samples import SECRET, account, event, key
from store.sqlite.batches import write_together


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the store."""
    return tmp_path / "herod.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """A store with one account."""
    async with open_sqlite(path, SECRET, now=1) as store:
        await store.write(putting(account()))
        yield store


@contextmanager
def full(store: SqliteStore) -> Iterator[None]:
    """Make the disk full: no room for another page."""
    writer = store.opened.writer
    pages = writer.pragma("page_count")
    writer.pragma("max_page_count", pages)
    try:
        yield
    finally:
        writer.pragma("max_page_count", 2**31)


@contextmanager
def limited(path: Path) -> Iterator[None]:
    """Make writes beyond the present end of the log fail: files may not become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store's write lock in another connection."""
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def fail_at(store: SqliteStore, statement: str, code: int, *, skip: int = 0) -> None:
    """Let a statement of the writer fail after the first `skip` times."""
    times = 0

    def trace(_cursor: object, sql: str, _bindings: object) -> bool:
        nonlocal times
        times += sql.startswith(statement)
        if times > skip:
            raise apsw.exception_for(code)
        return True

    store.opened.writer.exec_trace = trace


def big(number: int) -> Account:
    """An account that takes several pages."""
    return account(f"big{number}", name="x" * 20_000)


async def test_full_disk_refuses_the_batch_and_recovers(store: SqliteStore) -> None:
    """All writes of the batch that filled the disk are refused; with free space writing resumes by itself."""
    cursor = store.cursor
    with full(store):
        outcomes = await write_together(store, putting(key("small")), putting(*map(big, range(9))), failing())
        for one in outcomes:
            assert isinstance(one, Unavailable)
            assert one.reason == "disk_full"
            assert "disk is full" in one.message
        assert len({id(one) for one in outcomes}) == 3
        assert store.health[0] is Health.READ_ONLY
        assert store.get(ApiKey, "small") is None
        assert store.count(Account) == 1
        assert store.cursor == cursor
    await store.write(putting(*map(big, range(9)), key("small")))
    await store.write(lambda tx: tx.audit(event()))
    assert store.health == (Health.OK, None)
    assert store.count(Account) == 10
    assert store.cursor.rev == cursor.rev + 10
    assert (await store.verify_audit()).valid


async def test_full_disk_cannot_be_ignored(store: SqliteStore) -> None:
    """A function that catches the error of a full disk is refused all the same."""

    def stubborn(tx: Writer) -> str:
        for number in range(9):
            with suppress(Unavailable):
                tx.put(big(number))
        return "all is well"

    with full(store), pytest.raises(Unavailable, match="disk is full"):
        await store.write(stubborn)
    assert store.count(Account) == 1


@pytest.mark.parametrize(
    ("refusing", "reason", "why"),
    [
        (lambda store, _: full(store), "disk_full", "the store's disk is full; free some space"),
        (lambda _, path: limited(path), "file_limit", "the store's file may not become larger; raise"),
        (lambda _, path: locked(path), "locked", "another program has locked the store's file; close"),
    ],
)
async def test_it_is_read_only_from_a_refusal_to_a_success(
    store: SqliteStore,
    path: Path,
    refusing: Callable[[SqliteStore, Path], AbstractContextManager[None]],
    reason: str,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a refused write, health says so until a write succeeds; the log has one line for each change."""
    store.opened.writer.set_busy_timeout(1)
    caplog.set_level("INFO", "herod.store")
    with refusing(store, path):
        for _ in range(3):
            with pytest.raises(NotWritten, match="nothing was changed") as caught:
                await store.write(putting(*map(big, range(9))))
            assert caught.value.reason == reason
            assert store.health[0] is Health.READ_ONLY
            assert why in (store.health[1] or "")
            assert "herod writes again by itself" in (store.health[1] or "")
    assert store.health[0] is Health.READ_ONLY
    await store.write(putting(key()))
    assert store.health == (Health.OK, None)
    said = [record.getMessage() for record in caplog.records if "writ" in record.getMessage()]
    assert ["read-only until" in line for line in said] == [True, False]


async def test_an_idle_store_notices_that_there_is_room_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs to change anything: the store tries by itself, and leaves nothing behind."""
    monkeypatch.setattr("herod.store.sqlite.group_commit.TRY_AGAIN_SECONDS", 0.01)
    with full(store):
        with pytest.raises(NotWritten):
            await store.write(putting(*map(big, range(9))))
        await trio.sleep(0.1)
        assert store.health[0] is Health.READ_ONLY
    with trio.fail_after(20):
        while store.condition.is_refusing:  # noqa: ASYNC110 - it is another thread that notices
            await trio.sleep(0.01)
    assert store.health == (Health.OK, None)
    assert store.opened.reader.execute("SELECT name FROM meta ORDER BY name").fetchall() == [("head",), ("wraps",)]
    await store.write(putting(key()))


async def test_a_small_change_that_still_fits_does_not_say_that_all_is_well(store: SqliteStore) -> None:
    """As long as most changes would be refused, the store counts as read-only."""
    with full(store):
        with pytest.raises(NotWritten):
            await store.write(putting(*map(big, range(9))))
        await store.write(putting(key("small")))
        assert store.get(ApiKey, "small") is not None
        assert store.health[0] is Health.READ_ONLY


async def test_a_commit_that_failed_halfway(store: SqliteStore) -> None:
    """After a failed sync, the answer does not promise that nothing was changed: a restart may find it."""
    (outcome,) = await write_together(
        store, putting(key()), then=lambda: fail_at(store, "COMMIT", apsw.SQLITE_IOERR_FSYNC, skip=1)
    )
    assert isinstance(outcome, NotWritten)
    assert "only the restart shows whether this was changed" in outcome.message
    with pytest.raises(NotWritten, match="nothing was changed"):
        await store.write(putting(key("later")))


async def test_io_error_makes_it_read_only(path: Path) -> None:
    """After a write error the store is read-only until a restart, and the restart finds all records."""
    async with open_sqlite(path, SECRET, now=1, cached_records=1) as store:
        await store.write(putting(account()))
        await store.write(lambda tx: tx.audit(event()))
        fail_at(store, "INSERT OR IGNORE INTO records", apsw.SQLITE_IOERR_WRITE)
        with pytest.raises(Unavailable) as caught:
            await store.write(putting(big(1)))
        assert caught.value.reason == "read_only"
        assert "check the disk, then restart herod" in caught.value.message
        health, why = store.health
        assert health is Health.READ_ONLY
        assert why is not None
        assert "SQLITE_IOERR" in why
        for function in (putting(key()), lambda tx: tx.audit(event())):
            with pytest.raises(Unavailable, match="is read-only after a disk error"):
                await store.write(function)
        with pytest.raises(Unavailable):
            await store.purge_expired(1)
        store.note_use("ada", Usage(1, "uid:1"))
        assert store.get(Account, "bob") is None  # evicts the only entry of the cache
        assert store.get(Account, "ada") == account()
        assert [one.id for one in store.list(Account).items] == ["ada"]
        assert store.find(Account, "email", "x") == []
        assert (await store.verify_audit()).valid
    async with open_sqlite(path, SECRET, now=1) as again:
        assert again.get(Account, "ada") == account()
        await again.write(putting(key()))
        assert (await again.verify_audit()).rows == 1


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_CORRUPT, apsw.SQLITE_READONLY])
async def test_failing_commit(store: SqliteStore, code: int) -> None:
    """A commit that fails is never acknowledged, and makes the store read-only."""
    outcomes = await write_together(
        store,
        putting(key()),
        putting(account("bob")),
        then=lambda: fail_at(store, "COMMIT", code, skip=1),
    )
    assert all(isinstance(one, Unavailable) and one.reason == "read_only" for one in outcomes)
    assert store.health[0] is Health.READ_ONLY
    assert store.get(ApiKey, "key1") is None
    with pytest.raises(Unavailable):
        await store.write(putting(key()))


async def test_failing_rollback(store: SqliteStore) -> None:
    """A rollback that fails makes the store read-only."""
    fail_at(store, "RO", apsw.SQLITE_IOERR_READ)
    with pytest.raises(Unavailable):
        await store.write(failing())
    assert store.health[0] is Health.READ_ONLY


async def test_writes_behind_the_error_are_refused(store: SqliteStore) -> None:
    """Writes queued behind a failing batch are refused too."""
    error = apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
    (outcome,) = await write_together(store, putting(key()), then=lambda: store.condition.stop_writing(error))
    assert isinstance(outcome, Unavailable)
    assert "is read-only after a disk error" in outcome.message


async def test_locked_by_another_program(path: Path, store: SqliteStore) -> None:
    """A write is refused while another program holds a lock on the file, and the next one succeeds."""
    store.opened.writer.set_busy_timeout(1)
    with locked(path), pytest.raises(Unavailable, match="Another program has locked"):
        await store.write(putting(key()))
    await store.write(putting(key()))


def putting_before_failing_checkpoints(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> Callable[[Writer], None]:
    """A function for `write` that puts a key, after which every checkpoint fails."""

    def fail() -> None:
        raise apsw.exception_for(code)

    def work(tx: Writer) -> None:
        monkeypatch.setattr("herod.store.sqlite.group_commit.CHECKPOINT_PAGES", 1)
        monkeypatch.setattr(store.group_writer, "write_log_back", fail)
        tx.put(key("a"))

    return work


async def test_checkpoint_on_a_full_disk(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no space for a checkpoint, the changes stay in the log and writing continues."""
    await store.write(putting_before_failing_checkpoints(store, monkeypatch, apsw.SQLITE_FULL))
    await store.write(putting(key("b")))
    assert store.health == (Health.OK, None)


async def test_checkpoint_on_a_broken_disk(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error at a checkpoint makes the store read-only; acknowledged records are kept."""
    await store.write(putting_before_failing_checkpoints(store, monkeypatch, apsw.SQLITE_IOERR_FSYNC))
    while store.condition.is_writable:  # the checkpoint follows the answer
        await trio.lowlevel.checkpoint()
    with pytest.raises(Unavailable, match="is read-only after a disk error"):
        await store.write(putting(key("b")))
    assert store.health[0] is Health.READ_ONLY
    assert store.get(ApiKey, "a") is not None


async def test_log_is_written_back(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints keep the log from growing without bound."""
    monkeypatch.setattr("herod.store.sqlite.group_commit.CHECKPOINT_PAGES", 20)
    for number in range(100):
        await store.write(putting(account("bob", name=f"{number}" * 100)))
    assert path.with_name("herod.db-wal").stat().st_size < 100 * 4096


async def test_failing_reads(store: SqliteStore) -> None:
    """If the file cannot be read, cached records are served, others refused, and health is failing."""
    assert store.get(Account, "ada") == account()

    def fail(*_: object) -> bool:
        raise apsw.exception_for(apsw.SQLITE_IOERR_READ)

    store.opened.reader.exec_trace = fail
    with pytest.raises(Unavailable) as caught:
        store.get(ApiKey, "key1")
    assert caught.value.reason == "unreadable"
    assert store.get(Account, "ada") == account()
    health, why = store.health
    assert health is Health.FAILING
    assert why is not None
    assert "reading" in why
    with pytest.raises(Unavailable):
        await store.write(putting(key()))


async def test_failing_feed_and_verification(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed and the verification fail too if the file cannot be read."""

    def fail(*arguments: object) -> None:
        raise apsw.exception_for(apsw.SQLITE_IOERR_READ)

    monkeypatch.setattr("herod.store.sqlite.sqlite_store.load_head", fail)
    monkeypatch.setattr("herod.store.sqlite.threaded_audit_scans.load_head", fail)
    with pytest.raises(Unavailable, match="cannot be read"):
        store.changes(store.cursor)
    with pytest.raises(Unavailable, match="cannot be read"):
        await store.verify_audit()
    assert store.health[0] is Health.FAILING


async def test_no_descriptor_left(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing to open another connection does not change the store's health."""

    def fail(*arguments: object) -> None:
        raise apsw.exception_for(apsw.SQLITE_CANTOPEN)

    monkeypatch.setattr("herod.store.sqlite.read_only_connection.connect", fail)
    with pytest.raises(Unavailable, match="try again"):
        await store.verify_audit()
    assert store.health == (Health.OK, None)


async def test_uses_wait_for_room(store: SqliteStore) -> None:
    """Uses that met a full disk are kept and written later, without making callers' writes fail."""
    with full(store):
        for number in range(400):
            store.note_use(f"id{number}", Usage(number, "x" * 100))
        with pytest.raises(Unavailable):
            await store.flush_usage()
        assert store.usage("id399") == Usage(399, "x" * 100)
        store.note_use("id399", Usage(400, "newer"))
    await store.flush_usage()
    assert await store.write(lambda tx: (tx.usage("id399"), tx.usage("id0"))) == (
        Usage(400, "newer"),
        Usage(0, "x" * 100),
    )


def test_faults() -> None:
    """Errors are classified as a full disk, a locked file or a broken disk."""
    cases = {
        (apsw.SQLITE_FULL, 0): Fault.FULL,
        (apsw.SQLITE_IOERR_WRITE, errno.EDQUOT): Fault.FULL,
        (apsw.SQLITE_IOERR_WRITE, errno.EFBIG): Fault.LIMITED,
        (apsw.SQLITE_IOERR_WRITE, errno.EIO): Fault.BROKEN,
        (apsw.SQLITE_IOERR_WRITE, errno.EROFS): Fault.BROKEN,
        (apsw.SQLITE_IOERR_SHMSIZE, 0): Fault.FULL,
        (apsw.SQLITE_IOERR_FSYNC, 0): Fault.BROKEN,
        (apsw.SQLITE_CORRUPT, errno.ENOSPC): Fault.BROKEN,
        (apsw.SQLITE_BUSY, 0): Fault.LOCKED,
        (apsw.SQLITE_LOCKED, 0): Fault.LOCKED,
        (apsw.SQLITE_NOTADB, 0): Fault.BROKEN,
    }
    for (code, number), fault in cases.items():
        error = apsw.exception_for(code)
        assert isinstance(error, apsw.Error)
        assert fault_of(error, number) is fault
    assert "SQLITE_IOERR_FSYNC" in describe(apsw.exception_for(apsw.SQLITE_IOERR_FSYNC))
    assert describe(ValueError("why")) == "why"
    assert describe(ValueError()) == "ValueError"


def test_condition_only_gets_worse() -> None:
    """The first cause is kept, and failing to read is worse than failing to write."""
    condition = Condition()
    condition.stop_writing(OSError(5, "first", "/a/path"))
    condition.stop_writing(ValueError("second"))
    assert condition.health == (
        Health.READ_ONLY,
        "writing to the store failed: first; check the disk, then restart herod",
    )
    condition.stop_reading(ValueError("third"))
    condition.stop_reading(ValueError("fourth"))
    condition.stop_writing(ValueError("fifth"))
    assert condition.health == (
        Health.FAILING,
        "reading the store failed: ValueError; check the disk, then restart herod",
    )
