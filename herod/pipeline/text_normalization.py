"""Normalization of names and emails: done here, on input, and nowhere else.

Two spellings of one email must never be two accounts, two counters or two locks.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

from herod_client.core.errors import InvalidRequest

__all__ = ["has_unprintable", "parse_email", "parse_future", "parse_label", "parse_name"]

MAX_NAME: Final = 128  # characters
MAX_EMAIL: Final = 254  # characters; RFC 5321 allows no longer path
# Normalization can shorten a text, but not by so much; and a long run of combining marks takes quadratic time.
MAX_TYPED: Final = 1024  # characters
EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\]+\Z")
LATEST: Final = int(datetime.max.replace(tzinfo=UTC).timestamp()) - 1  # the last that RFC 3339 can express
# herod's names for built-in principals.
RESERVED_NAMES: Final = frozenset({"anonymous", "herod", "local admin", "local-admin"})
# Control, format (bidi overrides among them), surrogates, private use, line and paragraph separators.
UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def parse_email(text: str) -> str:
    """An email in normal form: NFKC, lowercase.

    Raises:
        InvalidRequest: it is not an address.
    """
    email = "" if len(text) > MAX_TYPED else unicodedata.normalize("NFKC", text).strip().lower()
    if len(email) > MAX_EMAIL or not EMAIL.match(email) or has_unprintable(email):
        raise InvalidRequest("Invalid email address: write it as name@host.", reason="bad_email")
    return email


def parse_name(text: str) -> str:
    """A name in normal form: NFC, no surrounding or repeated space.

    Raises:
        InvalidRequest: it is empty, too long, reserved, or contains invisible characters.
    """
    name = parse_label(text)
    if name.casefold() in RESERVED_NAMES:
        raise InvalidRequest(f"The name {name!r} is reserved: choose another.")
    return name


def parse_label(text: str, what: str = "name") -> str:
    """Normalize like `parse_name`, for things that are not principals: no label is reserved.

    Args:
        what: what messages call it.

    Raises:
        InvalidRequest: it is empty, too long, or contains invisible characters.
    """
    if len(text) > MAX_TYPED:
        raise InvalidRequest(f"A {what} has 1 to {MAX_NAME} characters.")
    if has_unprintable(text):
        raise InvalidRequest(f"The {what} contains control or invisible characters: remove them.")
    label = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(label) <= MAX_NAME:
        raise InvalidRequest(f"A {what} has 1 to {MAX_NAME} characters.")
    return label


def parse_future(when: datetime, now: int) -> int:
    """A future time, in Unix seconds.

    Raises:
        InvalidRequest: it has no time zone, is past, or too far to be written in UTC.
    """
    if when.tzinfo is None:
        raise InvalidRequest("expires_at needs a time zone: write it like 2030-01-31T12:00:00Z (RFC 3339).")
    at = int(when.timestamp())
    if at <= now:
        raise InvalidRequest("expires_at is in the past: give a future time.")
    if at > LATEST:
        raise InvalidRequest("expires_at is beyond the year 9999 in UTC: give an earlier time, or none.")
    return at


def has_unprintable(text: str) -> bool:
    """Whether the text contains control, format or other invisible characters."""
    return any(unicodedata.category(character) in UNPRINTABLE for character in text)
