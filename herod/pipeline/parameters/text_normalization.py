"""Normalization of names and times: done here, on input, and nowhere else. Emails have `email_addresses.py`."""

import re
import unicodedata
from typing import Final

from herod_client.core.errors import InvalidRequest
from herod_client.core.times import LAST_SECOND, LATEST, parse_time

__all__ = [
    "MAX_TYPED",
    "check_reserved",
    "has_invisible",
    "has_unprintable",
    "parse_end",
    "parse_label",
    "parse_name",
    "plain_letters",
]

MAX_NAME: Final = 128  # characters
END: Final = "The parameter 'expires_at'"  # for messages
# Normalization can shorten a text, but not by so much; and a long run of combining marks takes quadratic time.
MAX_TYPED: Final = 1024  # characters
# herod's names for built-in principals, as `_skeleton` gives them.
RESERVED_NAMES: Final = frozenset({"anonymous", "herod", "localadmin"})
# Control, format (bidi overrides among them), surrogates, private use, line and paragraph separators.
UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters, marks and symbols that show nothing: those of Default_Ignorable_Code_Point (Unicode's DerivedCoreProperties)
# in other categories than the above, and the blank Braille pattern.
INVISIBLE: Final = frozenset(
    chr(code)
    for codes in (
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180F, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x180E),
        range(0xFE00, 0xFE10),
        range(0xE0100, 0xE01F0),
    )
    for code in codes
)
# Unicode's names of the letters that are a Latin one for every reader, but not for NFKD: with a stroke or a hook,
# without their dot, small capitals.
LATIN: Final = re.compile(r"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL)(?: DOTLESS| SCRIPT)? ([A-Z])(?: WITH .+)?\Z")


def parse_name(text: str) -> str:
    """A name in normal form: NFC, no surrounding or repeated space.

    Raises:
        InvalidRequest: it is empty, too long, reserved, or contains invisible characters.
    """
    name = parse_label(text)
    check_reserved(name)
    return name


def check_reserved(name: str, *, look_alike: str | None = None) -> None:
    """Refuse a name of herod's own.

    Args:
        name: in normal form.
        look_alike: another spelling of it, to judge instead.

    Raises:
        InvalidRequest: it is one.
    """
    if _skeleton(name if look_alike is None else look_alike) in RESERVED_NAMES:
        raise InvalidRequest(f"The name {name!r} is reserved: choose another.")


def parse_label(text: str, what: str = "name") -> str:
    """Normalize like `parse_name`, for things that are not principals: no label is reserved.

    Args:
        what: what messages call it.

    Raises:
        InvalidRequest: it is empty, too long, or contains invisible characters.
    """
    if len(text) > MAX_TYPED:
        raise InvalidRequest(f"A {what} has 1 to {MAX_NAME} characters.")
    if has_invisible(text):
        raise InvalidRequest(f"The {what} contains control or invisible characters: remove them.")
    label = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(label) <= MAX_NAME:
        raise InvalidRequest(f"A {what} has 1 to {MAX_NAME} characters.")
    if all(unicodedata.category(character)[0] in "MZ" for character in label):
        raise InvalidRequest(f"The {what} has no visible character: add a letter.")
    return label


def parse_end(text: str, now: int) -> int:
    """When something is to end, in Unix seconds; a date is the end of that day, in UTC.

    Raises:
        InvalidRequest: it is not a time, has no time zone, is past, or too far to be written in UTC.
    """
    at = parse_time(text, what=END, of_day=LAST_SECOND)
    if at <= now:
        raise InvalidRequest(f"{END} is in the past, {text}: give a future time.")
    if at > LATEST:
        raise InvalidRequest(f"{END} is beyond the year 9999 in UTC: give an earlier time, or none.")
    return at


def has_invisible(text: str) -> bool:
    """Whether the text contains unprintable characters, or others that show nothing."""
    return has_unprintable(text) or not INVISIBLE.isdisjoint(text)


def has_unprintable(text: str) -> bool:
    """Whether the text contains control, format, unassigned or separating characters."""
    return any(unicodedata.category(character) in UNPRINTABLE for character in text)


def plain_letters(text: str) -> str:
    """A text without case, width, accents and strokes: what looks like a Latin letter with something is that letter."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(_plain(character) for character in plain if not unicodedata.combining(character))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    match = LATIN.match(unicodedata.name(character, ""))
    return character if match is None else match[1].lower()


def _skeleton(name: str) -> str:
    """The letters and digits of a name, as `plain_letters`: names that look alike have one."""
    return "".join(character for character in plain_letters(name) if character.isalnum())
