"""Times as parameters: RFC 3339 or a date, and what is neither."""

from datetime import datetime

import pytest

from herod_client.core.errors import InvalidRequest
from herod_client.core.times import DAY, LAST_SECOND, parse_time, rfc3339_text


def unix(text: str) -> int:
    """Unix seconds, by the standard library."""
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31t12:00:00z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31 12:00:00Z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31T12:00:00.987654321Z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00+00:00"),
        ("2030-01-31T23:30:00-01:45", "2030-02-01T01:15:00+00:00"),
        ("2030-01-31T12:00:00-00:00", "2030-01-31T12:00:00+00:00"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        # Leap seconds of RFC 3339's own examples.
        ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00+00:00"),
        ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_is_rfc_3339(text: str, meant: str) -> None:
    """Every form of RFC 3339, section 5.6, is the second it says."""
    assert parse_time(text, what="until", of_day=LAST_SECOND) == unix(meant)


@pytest.mark.parametrize(
    ("text", "of_day", "meant"),
    [
        ("2026-12-31", LAST_SECOND, "2026-12-31T23:59:59+00:00"),
        ("2028-02-29", LAST_SECOND, "2028-02-29T23:59:59+00:00"),
        ("2026-12-31", 0, "2026-12-31T00:00:00+00:00"),
        ("2026-12-31", DAY, "2027-01-01T00:00:00+00:00"),
    ],
)
def test_a_date_is_a_second_of_its_day_in_utc(text: str, of_day: int, meant: str) -> None:
    """A date is the end of its day for what ends, and its beginning for what begins."""
    assert parse_time(text, what="expires_at", of_day=of_day) == unix(meant)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a time"),
        ("tomorrow", "not a time"),
        ("1893456000", "not a time"),
        ("2030-1-31", "not a time"),
        ("20300131", "not a time"),
        ("2030-01", "not a time"),
        ("2030-W05-4", "not a time"),
        ("10000-01-01", "not a time"),
        ("+12030-01-01T00:00:00Z", "not a time"),
        ("2030-01-31T12:00Z", "not a time"),
        ("2030-01-31T12:00:00+0200", "not a time"),
        ("2030-01-31T12:00:00.Z", "not a time"),
        (" 2030-01-31", "not a time"),
        ("2030-01-31\n", "not a time"),
        ("٢٠٣٠-01-31", "not a time"),
        ("2030-01-31T12:00:00", "needs a time zone"),
        ("2030-02-30", "impossible date, 2030-02-30"),
        ("2027-02-29T12:00:00Z", "impossible date, 2027-02-29"),
        ("2030-13-01", "impossible date"),
        ("0000-01-01", "impossible date"),
        ("2030-01-31T24:00:00Z", "impossible time of day, 24:00:00"),
        ("2030-01-31T12:60:00Z", "impossible time of day"),
        ("2030-01-31T12:00:60Z", "impossible time of day"),
        ("2030-01-31T23:59:60+01:00", "impossible time of day"),
        ("2030-01-31T23:59:61Z", "impossible time of day"),
        ("2030-01-31T12:00:00+24:00", "impossible offset"),
        ("2030-01-31T12:00:00-01:60", "impossible offset"),
    ],
)
def test_anything_else_is_named(text: str, problem: str) -> None:
    """What is neither is refused with the parameter's name and what is wrong with it."""
    with pytest.raises(InvalidRequest, match=problem) as caught:
        parse_time(text, what="expires_at", of_day=0)
    assert caught.value.message.startswith("expires_at ")


@pytest.mark.parametrize("text", ["2030-01-31T12:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_time_is_written_as_it_is_read(text: str) -> None:
    """Writing what was read gives the same text."""
    assert rfc3339_text(parse_time(text, what="at", of_day=0)) == text
