"""QR codes as a path of an inline SVG: the template writes the element, and nothing has to be marked as safe."""

from dataclasses import dataclass
from typing import Final

import segno

__all__ = ["QrCode", "qr_code"]

QUIET: Final = 4  # modules around the code (ISO/IEC 18004, section 6.3.8)


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code: the side of its square with the quiet zone, in modules, and the path of its dark ones."""

    side: int
    path: str


def qr_code(text: str) -> QrCode:
    """The code of a text; a seventh of it may be unreadable."""
    matrix = segno.make(text, error="m", micro=False).matrix
    rows = []
    for y, row in enumerate(matrix, start=QUIET):
        x = 0
        while x < len(row):
            width = next((end for end in range(x, len(row)) if not row[end]), len(row)) - x
            if width:
                rows.append(f"M{x + QUIET} {y}h{width}v1h-{width}z")
            x += max(width, 1)
    return QrCode(len(matrix) + 2 * QUIET, "".join(rows))
