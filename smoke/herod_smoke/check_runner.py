"""Runs the checks one after the other, and always cleans up."""

import time
from collections.abc import Callable, Iterable, Mapping

from herod_smoke.checks import Check
from herod_smoke.fixtures import CheckError, Fixtures
from herod_smoke.http_connection import UnreachableError
from herod_smoke.report import Outcome

__all__ = ["run"]


def run(
    fixtures: Fixtures, checks: Mapping[str, Check], names: Iterable[str], *, tell: Callable[[Outcome], None]
) -> tuple[list[Outcome], list[str]]:
    """Run checks; return the outcome of each, and what could not be cleaned up.

    Args:
        fixtures: the connection and credentials of the run.
        checks: name → check.
        names: which of them, in which order.
        tell: called with each outcome as the check ends.
    """
    outcomes = []
    try:
        for name in names:
            outcome = _run_one(fixtures, name, checks[name])
            outcomes.append(outcome)
            tell(outcome)
    finally:
        left = fixtures.clean_up()
    return outcomes, left


def _run_one(fixtures: Fixtures, name: str, check: Check) -> Outcome:
    begun = time.monotonic()
    error: str | None = None
    try:
        check(fixtures)
    except CheckError as failure:
        error = f"expected: {failure}"
    except UnreachableError as failure:
        error = str(failure)
    except (LookupError, TypeError, ValueError, AttributeError) as failure:
        error = f"the answer has an unexpected shape: {type(failure).__name__}: {failure}"
    return Outcome(name, error, time.monotonic() - begun)
