"""Account enumeration by timing: equal work is asserted, times are only reported.

HEROD_LOGINS sign-ins of each kind, in pairs in random order (HEROD_SEED).
"""

import dataclasses
import math
import time
from collections.abc import Callable
from statistics import median

import pytest

from herod.credentials import passwords
from herod.operations.accounts import login_and_registration
from herod.operations.operation_table import OPERATIONS
from herod_client.core.errors import BadCredentials
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.soak_rounds import chance, count

LOGIN = dataclasses.replace(OPERATIONS["login"], limit=None)  # otherwise the limits would answer


def rank_test(first: list[float], second: list[float]) -> float:
    """The two-sided p of the Mann-Whitney U test, by the normal approximation: small if one tends to be larger."""
    together = sorted((value, which) for which, values in enumerate((first, second)) for value in values)
    ranks = sum(rank for rank, (_, which) in enumerate(together, 1) if which == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def test_the_rank_test() -> None:
    """The test detects a difference, and no difference where there is none."""
    assert rank_test([1.0, 3.0, 5.0, 7.0] * 10, [2.0, 4.0, 6.0, 8.0] * 10) > 0.05
    assert rank_test([float(n) for n in range(40)], [float(n) + 30 for n in range(40)]) < 0.001


@pytest.mark.soak
async def test_unknown_and_known(harness: Harness, say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown email, a known one and one without a password cost one hash each, with the same parameters."""
    await harness.user(email="known@example.org", password=PASSWORD)
    await harness.user(email="bare@example.org")
    worked: list[str] = []

    def verify(password: str, phc: str) -> bool:
        worked.append(phc.rpartition("$")[0].rpartition("$")[0])
        return passwords.verify_password(password, phc)

    monkeypatch.setattr(login_and_registration, "verify_password", verify)
    seconds: dict[str, list[float]] = {"known@example.org": [], "unknown@example.org": [], "bare@example.org": []}
    order = list(seconds)
    for _ in range(count("LOGINS")):
        chance("logins", len(worked)).shuffle(order)
        for email in order:
            params = LOGIN.params(email=email, password="a wrong password")
            started = time.perf_counter()
            with pytest.raises(BadCredentials):
                await harness.pipeline.call(LOGIN, params, None, TCP)
            seconds[email].append(time.perf_counter() - started)
    assert len(worked) == 3 * count("LOGINS")
    assert len(set(worked)) == 1
    known = seconds.pop("known@example.org")
    for email, times in seconds.items():
        say(
            f"{len(known)} sign-ins each: median known {1e3 * median(known):.3f} ms, {email.partition('@')[0]} "
            f"{1e3 * median(times):.3f} ms, rank test p={rank_test(known, times):.3f}"
        )
