"""A house with pages for tests of the dashboard."""

from functools import partial

import pytest

from dashboard.browser_sign_in import EMAIL
from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.server.dashboard_requests import PageRequests
from support.herod_in_memory import PASSWORD, House


@pytest.fixture
async def dashboard(house: House) -> House:
    """A house with pages, and an account that may sign in."""
    pages = PageRequests(partial(make_app, house.pipeline, OPERATIONS))
    house.router = Router(house.pipeline, OPERATIONS, Guard(origins=frozenset({"http://friend.example"})), pages)
    await house.service_key("admin", "the admin")
    await house.user(scope="write", networks=["lab"], email=EMAIL, name="Ada <b>", password=PASSWORD)
    return house
