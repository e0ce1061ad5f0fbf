"""Times and durations as people type them: 90d, 1y, 2030-01-31, 2030-01-31T12:00:00Z, never."""

import re
from datetime import UTC, datetime
from typing import Final

import click

__all__ = ["END", "NEVER", "parse_duration", "parse_end", "parse_past", "utc_now"]

END: Final = "90d, 12h, 1y, 2030-01-31 (the end of that day, UTC), 2030-01-31T12:00:00Z, or never."
NEVER: Final = "never"
DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhdwy])\Z")
# In seconds; a year is 365 days.
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def utc_now() -> int:
    """Unix seconds."""
    return int(datetime.now(UTC).timestamp())


def parse_duration(text: str, *, option: str) -> int:
    """Parse a duration into seconds.

    Raises:
        BadParameter: it is not a duration.
    """
    seconds = _seconds(text)
    if seconds is None:
        raise click.BadParameter(f"invalid duration {text!r}: write 30s, 10m, 12h or 7d.", param_hint=f"'{option}'")
    return seconds


def parse_end(text: str, *, now: int, option: str = "--expires") -> str | None:
    """When something is to end, as operations take it: a duration from `now`, a time or a date; None for never.

    Raises:
        BadParameter: it is none of these.
    """
    if text.lower() == NEVER:
        return None
    return _moment(text, now, 1, option, "90d, 12h or 1y, or never")


def parse_past(text: str, *, now: int, option: str) -> str:
    """A time that has passed, as operations take it: how long before `now`, a time or a date.

    Raises:
        BadParameter: it is none of these.
    """
    return _moment(text, now, -1, option, "30m, 12h or 7d for that long ago")


def _moment(text: str, now: int, sign: int, option: str, others: str) -> str:
    from herod_client.core.errors import InvalidRequest  # keeps `--help` fast
    from herod_client.core.times import LATEST, parse_time, rfc3339_text

    seconds = _seconds(text)
    try:
        if seconds is None:
            at = parse_time(text, what="it", of_day=0)
            return text if len(text) == len("2030-01-31") else rfc3339_text(at)  # herod knows which end of the day
        if 0 <= now + sign * seconds <= LATEST:
            return rfc3339_text(now + sign * seconds)
        problem = f"it is too far away: {text}."
    except InvalidRequest as error:
        problem = error.message
    except OverflowError:
        problem = "it is not in the years 1 to 9999 in UTC."
    raise click.BadParameter(f"{problem} You can also write {others}.", param_hint=f"'{option}'")


def _seconds(text: str) -> int | None:
    match = DURATION.match(text)
    return None if match is None else int(match[1]) * UNITS[match[2]]
