"""The findings of `herod doctor`."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Result", "fail", "ok", "warn"]


class Result(StrEnum):
    """Severity: a warning is worth knowing, a failure must be fixed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `herod doctor`.

    Attributes:
        check: its stable name.
        text: what was found.
        fix: how to fix it, or None.
    """

    check: str
    result: Result
    text: str
    fix: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the finding as JSON for scripts."""
        return {"check": self.check, "result": str(self.result), "text": self.text, "fix": self.fix}


def ok(check: str, text: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(check, Result.OK, text)


def warn(check: str, text: str, fix: str | None = None) -> Finding:
    """Return a warning."""
    return Finding(check, Result.WARN, text, fix)


def fail(check: str, text: str, fix: str | None = None) -> Finding:
    """Return a failure."""
    return Finding(check, Result.FAIL, text, fix)
