"""What monitoring systems collect."""

from collections.abc import AsyncIterator

import pytest

from support.herod_in_memory import House, bearer, open_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A house."""
    async with open_house() as house:
        yield house


async def test_metrics_are_prometheus_text(house: House) -> None:
    """Each metric has its help and type, and its value on a line of its own; nothing names anybody."""
    user = await house.user(name="Grace")
    await house.request("POST", "/validate", json={"token": "nothing"})
    answer = await house.request("GET", "/metrics", headers=bearer(await user.token()))
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


async def test_metrics_need_read(house: House) -> None:
    """Without a credential there are none."""
    assert (await house.request("GET", "/metrics")).status == 401
