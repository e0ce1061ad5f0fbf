"""Fixtures for every layer."""

from collections.abc import AsyncIterator

import pytest
from house import House, open_house
from hypothesis import settings

# No test asserts a time, and a busy machine is no failure.
settings.register_profile("herod", deadline=None)
settings.load_profile("herod")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A daemon without sockets, in memory."""
    async with open_house() as built:
        yield built
