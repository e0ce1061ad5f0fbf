"""Fixtures for every layer."""

from collections.abc import AsyncIterator

import pytest
from house import House, open_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A daemon without sockets, in memory."""
    async with open_house() as built:
        yield built
