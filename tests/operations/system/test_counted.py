"""What operations count is shown: by `/metrics`, and as a sign-in by the overview."""

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.operations.system.metrics import COUNTED
from herod_client.core.errors import HerodError, SecondFactorNeeded
from support.herod_in_memory import PASSWORD, TCP, Harness, bearer
from support.persons import new_person

METRICS = {name for name, _ in COUNTED}


def test_every_counter_is_a_metric() -> None:
    """Whatever the table counts has a metric, with a meaning that is not another's."""
    assert {name for one in OPERATIONS.values() for name in one.counts} <= METRICS
    assert len({meaning for _, meaning in COUNTED}) == len(METRICS) == len(COUNTED)


async def counters(harness: Harness) -> dict[str, int]:
    """The values of `/metrics`."""
    answer = await harness.request("GET", "/metrics", headers=bearer(await harness.service_key("read", "metrics")))
    lines = answer.response.body.decode().splitlines()
    return {
        name: int(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")
        if name.endswith("_total")
    }


async def test_sign_ins(harness: Harness) -> None:
    """Each way to sign in is one sign-in, in the metrics, the statistics and the overview's chart."""
    ada = await new_person(harness)  # by password
    device = await ada.enrol()
    await ada.set_up_app()
    await ada.sign_in_with(device)  # by passkey
    with pytest.raises(SecondFactorNeeded) as asked:
        await ada.sign_in()
    pending = asked.value.pending
    with pytest.raises(HerodError):
        await harness.call("session.confirm", None, TCP, pending=pending, otp="000000")
    await harness.call("session.confirm", None, TCP, pending=pending, otp=ada.otp())  # by password and code
    await harness.call("login", None, TCP, email=ada.email, password=PASSWORD, otp=ada.otp())  # in a terminal
    await ada.user.session()  # by `herod ui` or a key
    await harness.pipeline.flush(is_last=True)
    seen = await counters(harness)
    assert (seen["herod_sign_ins_total"], seen["herod_passkey_sign_ins_total"]) == (5, 1)
    assert seen["herod_wrong_codes_total"] == 1
    assert (await harness.admin("stats")).sign_ins == 5
    assert sum(hour.sign_ins for hour in (await harness.admin("overview")).hours) == 5
