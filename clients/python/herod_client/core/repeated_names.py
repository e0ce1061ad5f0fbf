"""The check that no JSON object has a name twice: two readers could take two values (RFC 8259, section 4). Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["RepeatedNameError", "check_names", "repeated_name"]


class RepeatedNameError(ValueError):
    """An object has a name twice; the message is that name."""


def check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build the object; the `object_pairs_hook` of a `json` decoder.

    Raises:
        RepeatedNameError: a name occurs twice, however it is escaped.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedNameError(repeated_name(pairs))
    return found


def repeated_name(pairs: Sequence[tuple[str, Any]]) -> str:
    """The first name that occurs twice."""
    return next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
