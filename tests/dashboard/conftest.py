"""Fixtures of the dashboard tests."""

from functools import partial

import pytest

from dashboard.browser_sign_in import EMAIL
from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.server.dashboard_requests import PageRequests
from support.herod_in_memory import PASSWORD, Harness


@pytest.fixture
async def dashboard(harness: Harness) -> Harness:
    """A harness with pages and an account that can sign in."""
    pages = PageRequests(partial(make_app, harness.pipeline, OPERATIONS))
    harness.router = Router(harness.pipeline, OPERATIONS, Guard(origins=frozenset({"http://friend.example"})), pages)
    await harness.service_key("admin", "the admin")
    await harness.user(scope="write", networks=["lab"], email=EMAIL, name="Ada <b>", password=PASSWORD)
    return harness
