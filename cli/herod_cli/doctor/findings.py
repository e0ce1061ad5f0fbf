"""What a check of `herod doctor` comes to."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Result", "fail", "ok", "warn"]


class Result(StrEnum):
    """How bad it is: a warning is something to know, a failure something to mend."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `herod doctor`.

    Attributes:
        check: its stable name.
        text: what was found.
        fix: how to mend it.
    """

    check: str
    result: Result
    text: str
    fix: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """As scripts read it."""
        return {"check": self.check, "result": str(self.result), "text": self.text, "fix": self.fix}


def ok(check: str, text: str) -> Finding:
    """As it should be."""
    return Finding(check, Result.OK, text)


def warn(check: str, text: str, fix: str | None = None) -> Finding:
    """Something to know."""
    return Finding(check, Result.WARN, text, fix)


def fail(check: str, text: str, fix: str | None = None) -> Finding:
    """Something to mend."""
    return Finding(check, Result.FAIL, text, fix)
