"""Whole numbers that people write: digits of ASCII, within bounds. Pure."""

from typing import Final

__all__ = ["MAX_UID", "parse_whole"]

MAX_UID: Final = 2**32 - 2  # (uid_t) -1 is nobody's
_DIGITS: Final = 18  # more are not a number of anything here, and Python refuses to read thousands


def parse_whole(text: str, least: int, greatest: int | None = None) -> int | None:
    """The number in a text; None if it is not one, or out of bounds."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
        return None
    number = int(digits)
    return number if least <= number and (greatest is None or number <= greatest) else None
