"""Small bar charts, laid out here and drawn by a template as SVG.

The numbers are beside each chart as text too, for screen readers. Colours are in the style sheet, one for each kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["HEIGHT", "WIDTH", "Bar", "Chart", "draw_bars"]

WIDTH: Final = 480
HEIGHT: Final = 96
GAP: Final = 5
# Values above zero stay visible.
LEAST: Final = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; positions and sizes are in the chart's own units, from the upper left."""

    at: datetime
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of counts by the hour.

    Attributes:
        kind: its name in the style sheet.
        total: the sum of all bars.
        summary: its content in one sentence.
    """

    kind: str
    title: str
    noun: str
    total: int
    summary: str
    bars: tuple[Bar, ...]


def draw_bars(kind: str, title: str, noun: str, counts: Sequence[tuple[datetime, int]]) -> Chart:
    """Lay a chart out.

    Args:
        kind: its name in the style sheet.
        title: the text above it.
        noun: what is counted, for the summary.
        counts: the hours' beginnings and counts, oldest first.
    """
    most = max((value for _, value in counts), default=0)
    slot = WIDTH / max(1, len(counts))
    bars = []
    for index, (at, value) in enumerate(counts):
        height = 0.0 if value <= 0 else max(LEAST, round(HEIGHT * value / most, 1))
        bars.append(
            Bar(at, value, round(index * slot + GAP / 2, 1), round(HEIGHT - height, 1), round(slot - GAP, 1), height)
        )
    total = sum(value for _, value in counts)
    return Chart(kind, title, noun, total, _sentence(noun, counts, total, most), tuple(bars))


def _sentence(noun: str, counts: Sequence[tuple[datetime, int]], total: int, most: int) -> str:
    if not total:
        return f"No {noun} in the last {len(counts)} hours."
    peak = next(at for at, value in counts if value == most)
    return f"{total:,} {noun} in the last {len(counts)} hours, most in the hour from {peak:%H:%M} UTC: {most:,}."
