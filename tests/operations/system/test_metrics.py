"""Metrics for monitoring systems."""

from collections.abc import AsyncIterator

import pytest

from support.herod_in_memory import Harness, bearer, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness."""
    async with open_harness() as harness:
        yield harness


async def test_metrics_are_prometheus_text(harness: Harness) -> None:
    """Each metric has help, type and a value on its own line, and no label names a principal."""
    user = await harness.user(name="Grace")
    await harness.request("POST", "/validate", json={"token": "nothing"})
    answer = await harness.request("GET", "/metrics", headers=bearer(await user.token()))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.response.body.decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    values = dict(line.rsplit(" ", 1) for line in lines)
    assert values["herod_users"] == "1"
    assert values["herod_validations_total"] == values["herod_invalid_total"] == "1"
    assert values["herod_tokens_total"] == "1"
    assert values["herod_store_writable"] == "1"
    assert text.count("# HELP") == text.count("# TYPE") == len(lines)
    assert "Grace" not in text
    assert user.client_id not in text


async def test_metrics_need_read(harness: Harness) -> None:
    """Metrics are refused without a credential."""
    assert (await harness.request("GET", "/metrics")).status == 401
