"""The memory store."""

from collections.abc import AsyncIterator

import pytest

from herod.store.memory_store import MemoryStore
from herod_client.core.errors import Unavailable
from store.conformance import StoreConformance, putting
from store.conformance_feed import FeedConformance
from store.samples import SECRET, account


class TestMemoryStore(StoreConformance, FeedConformance):
    """The memory store conforms."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        """A new store."""
        async with MemoryStore(SECRET) as store:
            yield store

    @pytest.fixture
    async def kept(self) -> AsyncIterator[MemoryStore]:
        """A store that keeps three tombstones."""
        async with MemoryStore(SECRET, kept_tombstones=3) as store:
            yield store


async def test_closed() -> None:
    """A closed store refuses writes."""
    async with MemoryStore(SECRET) as store:
        await store.write(putting(account()))
    with pytest.raises(Unavailable, match="stopping"):
        await store.write(putting(account()))
