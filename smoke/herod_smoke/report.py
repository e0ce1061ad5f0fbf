"""Reports of the checks for people, programs and CI."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

__all__ = ["FORMATS", "Outcome", "as_json", "as_junit", "line_of", "summary"]

FORMATS: Final = ("text", "json", "junit")
SUITE: Final = "herod-smoke"


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Attributes:
        error: why it failed; None when it passed.
        seconds: how long it took.
    """

    name: str
    error: str | None
    seconds: float

    @property
    def has_passed(self) -> bool:
        """Whether it passed."""
        return self.error is None


def line_of(outcome: Outcome) -> str:
    """Return one line for people."""
    word = "ok" if outcome.has_passed else "FAIL"
    line = f"{word:<4}  {outcome.name:<18}  {outcome.seconds * 1000:5.0f} ms"
    return line if outcome.error is None else f"{line}  {outcome.error}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """The last line: how many passed and how many failed."""
    passed = sum(outcome.has_passed for outcome in outcomes)
    return f"{passed} passed, {len(outcomes) - passed} failed"


def as_json(url: str, outcomes: Sequence[Outcome], left: Sequence[str]) -> str:
    """One object: the address, each check, how many passed and failed, and what could not be cleaned up."""
    checks = [
        {"name": one.name, "passed": one.has_passed, "error": one.error, "seconds": round(one.seconds, 4)}
        for one in outcomes
    ]
    passed = sum(outcome.has_passed for outcome in outcomes)
    found = {"url": url, "passed": passed, "failed": len(outcomes) - passed, "checks": checks, "left": list(left)}
    return json.dumps(found, indent=2)


def as_junit(url: str, outcomes: Sequence[Outcome]) -> str:
    """Return JUnit XML for CI servers."""
    failed = sum(not outcome.has_passed for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": SUITE, "hostname": url, **counts})
    for outcome in outcomes:
        facts = {"classname": SUITE, "name": outcome.name, "time": f"{outcome.seconds:.3f}"}
        case = ET.SubElement(suite, "testcase", facts)
        if outcome.error is not None:
            ET.SubElement(case, "failure", {"message": outcome.error}).text = outcome.error
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)
