"""How the answer to "is this credential good?" is shown, for tokens and keys alike."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from herod_cli.failures import OK, REFUSED
from herod_cli.invocation import Invocation
from herod_cli.output import print_lines, show

__all__ = ["show_verdict"]


def show_verdict(invocation: Invocation, answer: Mapping[str, Any]) -> int:
    """Print it, times as people read them, and return the exit code."""
    is_valid = answer.get("valid") is True
    if invocation.is_json:
        invocation.show(answer)
    elif is_valid:
        invocation.show({**answer, **{name: _time(answer[name]) for name in ("exp", "iat") if name in answer}})
    else:
        print_lines([f"not valid: {show(answer.get('reason'))}"])
    return OK if is_valid else REFUSED


def _time(seconds: object) -> object:
    if not isinstance(seconds, int):
        return seconds
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return seconds
