"""The embedded store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store.conformance import StoreConformance
from store.conformance_feed import FeedConformance
from store.samples import SECRET

from herod.store.sqlite import SqliteStore, open_sqlite


class TestSqliteStore(StoreConformance, FeedConformance):
    """Does what every store does."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """A fresh one."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1) as store:
            yield store

    @pytest.fixture
    async def kept(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """One that remembers three tombstones."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, kept_tombstones=3) as store:
            yield store


class TestWithoutCache(TestSqliteStore):
    """Does the same when nearly every record is read from the file."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """A fresh one that keeps one record in memory."""
        async with open_sqlite(tmp_path / "herod.db", SECRET, now=1, cached_records=1) as store:
            yield store
