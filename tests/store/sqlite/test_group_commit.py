"""Concurrent writers: one commit for all, an answer for each, and an orderly shutdown."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import trio
import trio.testing

from herod.records import Account, ApiKey
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Usage, Writer
from herod_client.core.errors import Unavailable
from store.conformance import Refused, failing, putting
from store.samples import SECRET, account, event, key
from store.sqlite.batches import held_up, write_together


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


async def test_writes_share_a_commit(store: SqliteStore) -> None:
    """Waiting writes are committed together, and each gets its own answer."""
    before = store.stats
    outcomes = await write_together(
        store, *(putting(key(f"id{n}")) for n in range(50)), failing(key("no")), lambda tx: tx.count(Account)
    )
    assert outcomes[:50] == [None] * 50
    assert isinstance(outcomes[50], Refused)
    assert outcomes[51] == 1
    assert store.stats.commits == before.commits + 1
    assert store.stats.writes == before.writes + 52
    assert store.count(ApiKey) == 50


async def test_sixty_four_writers(store: SqliteStore) -> None:
    """Sixty-four writers need at most one commit for sixteen writes."""
    before = store.stats

    async def write(task: int) -> None:
        for number in range(20):
            await store.write(putting(key(f"{task}-{number}")))

    async with trio.open_nursery() as nursery:
        for task in range(64):
            nursery.start_soon(write, task)
    assert store.stats.writes - before.writes == 64 * 20
    assert (store.stats.commits - before.commits) * 16 <= 64 * 20


async def test_batches_have_a_limit(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More writes than fit into a batch take several commits, and each is answered."""
    monkeypatch.setattr("herod.store.sqlite.group_commit.MAX_BATCH", 4)
    before = store.stats.commits
    assert await write_together(store, *(putting(key(f"id{n}")) for n in range(10))) == [None] * 10
    assert store.stats.commits == before + 3


async def test_audit_head_is_logged(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The head of the audit chain is logged occasionally, so that an old copy of the file can be detected."""
    monkeypatch.setattr("herod.store.sqlite.group_commit.LOG_HEAD_EVERY", 3)
    caplog.set_level("INFO", "herod.store")
    for number in range(4):
        await store.write(lambda tx, number=number: tx.audit(event(number)))  # type: ignore[misc]
    assert [record.getMessage() for record in caplog.records if "audit chain at" in record.getMessage()] == [
        f"audit chain at row 3, HMAC {store.audit_rows()[2].mac}"
    ]


async def test_mistake_leaves_nobody_waiting(store: SqliteStore) -> None:
    """A bug in the writer itself is logged and answered, and the next write succeeds."""

    def broken(*_: object) -> bool:
        raise ZeroDivisionError

    store.opened.writer.exec_trace = broken
    with pytest.raises(Unavailable, match="could not write"):
        await store.write(putting(key()))
    store.opened.writer.exec_trace = None
    await store.write(putting(key()))


async def test_programmers_mistake_is_the_functions_own(store: SqliteStore) -> None:
    """A bug in a handler, or a record that SQLite cannot store, fails that write only."""

    def fail(_tx: Writer) -> None:
        raise ZeroDivisionError

    outcomes = await write_together(
        store, putting(key()), fail, putting(account("x", created_at="now")), putting(account("bob"))
    )
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert isinstance(outcomes[2], apsw.ConstraintError)
    assert outcomes[0] is outcomes[3] is None
    assert store.count(Account) == 2
    assert store.count(ApiKey) == 1


async def test_cancelled_write_is_answered(store: SqliteStore) -> None:
    """A queued write returns its result; cancellation takes effect afterwards."""
    steps: list[str] = []

    async def write() -> None:
        await store.write(putting(key()))
        steps.append("written")
        await trio.lowlevel.checkpoint()
        steps.append("not cancelled")

    async with held_up(store) as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert steps == ["written"]
    assert store.get(ApiKey, "key1") == key()


async def test_closing_finishes_what_waits(path: Path) -> None:
    """Writes and uses queued before closing are kept, and later ones are refused."""
    store = open_sqlite(path, SECRET, now=1)
    with pytest.raises(Unavailable):
        await store.write(putting(account()))
    async with trio.open_nursery() as nursery:
        async with store:
            store.note_use("key1", Usage(7, "uid:1"))
            for number in range(20):
                nursery.start_soon(store.write, putting(key(f"id{number}")))
            await trio.lowlevel.checkpoint()
        with pytest.raises(Unavailable, match="stopping"):
            await store.write(putting(key("late")))
    with pytest.raises(Unavailable):
        store.get(Account, "ada")
    with closing(open_sqlite(path, SECRET, now=1)) as again:
        assert again.count(ApiKey) == 20
        assert again.usage("key1") == Usage(7, "uid:1")


async def test_use_that_cannot_be_written(store: SqliteStore) -> None:
    """A use with an invalid id is dropped rather than retried forever."""
    store.note_use("\ud800", Usage(1, "uid:1"))
    await store.flush_usage()  # terminates, although this one was not written
    store.note_use("ada", Usage(2, "uid:1"))
    await store.flush_usage()
    assert await store.write(lambda tx: tx.usage("ada")) == Usage(2, "uid:1")
