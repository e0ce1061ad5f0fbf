"""Times and durations as people type them."""

import click
import pytest

from herod_cli.shared.times import parse_end, parse_past
from herod_client.core.times import parse_time

NOW = parse_time("2026-01-31T12:00:00Z", what="now", of_day=0)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("90d", "2026-05-01T12:00:00Z"),
        ("12h", "2026-02-01T00:00:00Z"),
        ("30m", "2026-01-31T12:30:00Z"),
        ("1w", "2026-02-07T12:00:00Z"),
        ("45s", "2026-01-31T12:00:45Z"),
        ("1y", "2027-01-31T12:00:00Z"),
        ("2y", "2028-01-31T12:00:00Z"),
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
        ("2030-01-31t12:00:00.5-01:00", "2030-01-31T13:00:00Z"),
        ("2028-02-29", "2028-02-29"),  # the daemon knows that the end of that day is meant
        ("never", None),
        ("Never", None),
    ],
)
def test_an_end(text: str, end: str | None) -> None:
    """A duration counts from now, a year has 365 days, and a time needs a zone."""
    assert parse_end(text, now=NOW) == end


@pytest.mark.parametrize(
    "text",
    [
        *("", "0d", "-1d", "1.5d", "1Y", "1mo", "999999y", "tomorrow", "1d\n", "none", "null", "forever"),
        *("2030-02-30", "10000-01-01", "2030-01-31T24:00:00Z", "2030-01-31T12:00:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_no_end(text: str) -> None:
    """Anything else is refused with what is taken."""
    with pytest.raises(click.BadParameter, match="You can also write 90d, 12h or 1y, or never"):
        parse_end(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "time"),
    [("2h", "2026-01-31T10:00:00Z"), ("1y", "2025-01-31T12:00:00Z"), ("2026-01-30", "2026-01-30")],
)
def test_a_past_time(text: str, time: str) -> None:
    """A duration counts backwards from now."""
    assert parse_past(text, now=NOW, option="--since") == time


@pytest.mark.parametrize("text", ["never", "100y", "soon", "2026-02-30"])
def test_no_past_time(text: str) -> None:
    """Anything else, or before 1970, is refused with what is taken."""
    with pytest.raises(click.BadParameter, match="You can also write 30m, 12h or 7d for that long ago"):
        parse_past(text, now=NOW, option="--since")
