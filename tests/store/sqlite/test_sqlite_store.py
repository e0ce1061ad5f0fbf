"""The embedded store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from herod.store.sqlite.sqlite_store import MAX_NOTED, SqliteStore, open_sqlite
from herod.store.store_interface import Usage
from store.conformance import StoreConformance
from store.conformance_feed import FeedConformance
from store.samples import SECRET


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
