"""Times as people and programs write them: RFC 3339, or a date. In herod they are Unix seconds.

Pure: no clock, no time zone of the machine.
"""

import calendar
import re
from datetime import date, datetime, timedelta
from typing import Final

from herod_client.core.errors import InvalidRequest, quoted

__all__ = ["DAY", "LAST_SECOND", "LATEST", "MAX_CHARS", "TAKEN", "parse_time", "rfc3339_text"]

DAY: Final = 86_400  # seconds
LAST_SECOND: Final = DAY - 1
LATEST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that RFC 3339 can express
MAX_CHARS: Final = 64
TAKEN: Final = "2030-01-31T12:00:00Z (RFC 3339), or a date like 2030-01-31"
EXAMPLE: Final = "2030-01-31T12:00:00Z"
# RFC 3339, section 5.6; with a space for the T, as its note allows, and in either case.
_DATE: Final = re.compile(r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})")
_TIME: Final = re.compile(
    _DATE.pattern
    + r"[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(\.[0-9]+)?"
    + r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))?"
)


def parse_time(text: str, *, what: str, of_day: int) -> int:
    """A time or date in Unix seconds; fractions of a second are dropped.

    Args:
        text: RFC 3339, or a date, which is one in UTC.
        what: the parameter, for messages.
        of_day: the second of the day that a date stands for.

    Raises:
        InvalidRequest: it is neither, has no time zone, or its date or time of day does not exist.
    """
    if _DATE.fullmatch(text):
        return _day(text, what) + of_day
    found = _TIME.fullmatch(text)
    if found is None or len(text) > MAX_CHARS:
        raise InvalidRequest(f"{what} is not a time: {quoted(text)}. Write it like {TAKEN}.")
    if found["zone"] is None:
        raise InvalidRequest(
            f"{what} needs a time zone: write it like {EXAMPLE}, with Z for UTC, or +02:00 (RFC 3339)."
        )
    hour, minute, second = (int(found[part]) for part in ("hour", "minute", "second"))
    if int(found["hours"] or 0) > 23 or int(found["minutes"] or 0) > 59:
        raise InvalidRequest(f"{what} has an impossible offset: write Z for UTC, or -23:59 to +23:59.")
    offset = 60 * (60 * int(found["hours"] or 0) + int(found["minutes"] or 0))
    at = _day(found["date"], what) + 60 * (60 * hour + minute) + second
    at += offset if found["sign"] == "-" else -offset
    # A leap second is the last of a day in UTC, and Unix time counts it with the next.
    if hour > 23 or minute > 59 or second > 60 or (second == 60 and at % DAY != 0):
        raise InvalidRequest(f"{what} has an impossible time of day, {text[11:19]}: write 00:00:00 to 23:59:59.")
    return at


def rfc3339_text(at: int) -> str:
    """Unix seconds in UTC, as RFC 3339."""
    return (datetime(1970, 1, 1) + timedelta(seconds=at)).isoformat() + "Z"  # noqa: DTZ001 - UTC, as Unix time is


def _day(text: str, what: str) -> int:
    """The beginning of a day, in Unix seconds."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{what} has an impossible date, {text}: check its month and day.") from None
    return calendar.timegm(day.timetuple())
