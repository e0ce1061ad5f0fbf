"""Refuses new passwords that somebody would try early: common ones, patterns, and the account's own words.

zxcvbn estimates how many guesses an attacker needs who knows the common passwords, names, words, keyboard patterns,
dates and repetitions (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016). It replaces
rules on which characters a password must have (NIST SP 800-63B, section 5.1.1.2).

It takes up to 100 ms: only in a worker thread. Its work grows with the square of the length and with the number of ways
to read symbols as letters ("|" is i or l), of which hostile passwords have hundreds, so both are bounded here.
"""

import math
import re
import unicodedata
from typing import Final

from herod.credentials.passwords import MIN_CHARS
from herod_client.core.errors import InvalidRequest

__all__ = ["require_unguessable"]

SCORE: Final = 2  # of zxcvbn, at least: with less, a million guesses are enough
MAX_CHARS_ESTIMATED: Final = 64  # a password whose beginning is good enough is good enough
MAX_READINGS: Final = 8  # of symbols as letters; with more, only the first MIN_CHARS characters are estimated
SHORT: Final = 3  # letters: words of the account that are in too many others to count
OWN_WORDS: Final = ("herod", "hero_auth", "supervisor")


def require_unguessable(password: str, *texts: str | None) -> None:
    """Refuse a password that takes fewer than a million guesses.

    Args:
        password: one that `check_password` accepts.
        texts: the account's email, name and the like; their words do not make a password any better.

    Raises:
        InvalidRequest: it is too easy to guess (reason `weak_password`).
    """
    from zxcvbn import zxcvbn  # with its lists it takes 30 ms to import, and most processes never set a password

    words = {word for text in texts if text for word in (text, *re.split(r"[\W_]+", text)) if len(word) > SHORT}
    normal = unicodedata.normalize("NFKC", password)[:MAX_CHARS_ESTIMATED]
    if _readings(normal) > MAX_READINGS:
        normal = normal[:MIN_CHARS]
    if zxcvbn(normal, user_inputs=[*OWN_WORDS, *sorted(words)])["score"] < SCORE:
        raise InvalidRequest(
            "This password is too easy to guess: use several words that do not belong together, and not your name or "
            "address.",
            reason="weak_password",
        )


def _readings(text: str) -> int:
    """Approximately in how many ways the symbols of a text can be read as letters."""
    from zxcvbn.matching import L33T_TABLE

    return math.prod(max(1, sum(symbol in text for symbol in symbols)) for symbols in L33T_TABLE.values())
