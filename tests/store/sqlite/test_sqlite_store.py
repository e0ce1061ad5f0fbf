"""The embedded store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from herod.records import PeerRule
from herod.store.sqlite.sqlite_store import MAX_NOTED, SqliteStore, open_sqlite
from herod.store.store_interface import Cursor, Usage
from store.conformance import StoreConformance
from store.conformance_feed import FeedConformance
from store.samples import SECRET, account, rule


class TestSqliteStore(StoreConformance, FeedConformance):
    """The embedded store conforms."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """A new store."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
            yield store

    @pytest.fixture
    async def kept(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """A store that keeps three tombstones."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, kept_tombstones=3) as store:
            yield store


async def test_noted_uses_are_bounded(tmp_path: Path) -> None:
    """While nothing is written, uses are kept for a bounded number of credentials, evicting the oldest."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        for number in range(MAX_NOTED):
            store.note_use(f"id{number}", Usage(number, "uid:1"))
        store.note_use("id5", Usage(2, "uid:2"))
        assert store.usage("id0") is not None
        store.note_use("one more", Usage(3, "uid:3"))
        assert store.usage("id0") is None
        assert store.usage("id5") == Usage(2, "uid:2")
        await store.flush_usage()
        assert store.usage("one more") == Usage(3, "uid:3")


class TestWithoutCache(TestSqliteStore):
    """The embedded store conforms also when nearly every record is read from the file."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """A new store with one record in its cache."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, cached_records=1) as store:
            yield store


def trace(store: SqliteStore) -> list[str]:
    """The statements that are executed on the event loop from now on."""
    statements: list[str] = []

    def note(_cursor: object, sql: str, _values: object) -> bool:
        statements.append(sql)
        return True

    store.opened.reader.exec_trace = note
    return statements


async def test_many_readers_of_the_feed_share_one_read(tmp_path: Path) -> None:
    """All readers that wait at the same cursor cost one read of the store for each commit."""
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        since = store.cursor
        await store.write(lambda tx: tx.put(account()))
        statements = trace(store)
        first = store.changes(since)
        once = len(statements)
        assert all(store.changes(since) == first for _ in range(256))
        assert len(statements) == once
        await store.write(lambda tx: tx.put(account("bob")))
        assert store.changes(since).put == (account(), account("bob"))
        for rev in range(100):  # readers at many cursors take little memory
            store.changes(Cursor(since.generation, rev))
        assert store.changes(since).put == (account(), account("bob"))


async def test_rules_for_many_groups_are_read_once(tmp_path: Path) -> None:
    """The rules for a process's 256 groups cost one statement until a rule changes, which applies at once.

    Each request took one statement for each group: 3.4 ms, and a batch of 50 requests 184 ms.
    """
    words = [f"gid:{number}" for number in range(256)]
    async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
        await store.write(lambda tx: tx.put(rule("a", "gid:200")))
        statements = trace(store)
        for _ in range(20):
            assert store.find_any(PeerRule, "peer", words) == [rule("a", "gid:200")]
        await store.write(lambda tx: tx.put(account()))
        assert store.find_any(PeerRule, "peer", words) == [rule("a", "gid:200")]
        assert len(statements) == 1
        await store.write(lambda tx: tx.delete(PeerRule, "a"))
        assert store.find_any(PeerRule, "peer", words) == []
        assert len(statements) == 2
