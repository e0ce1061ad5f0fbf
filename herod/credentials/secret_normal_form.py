"""The one Unicode form in which secrets that people choose are compared: passwords, legacy secrets, those of resources.

It is NFKC (NIST SP 800-63B, section 5.1.1.2), so that the same secret typed on two keyboards matches. HERO_SECRET has
none: it is key material, and other programs sign with its bytes. Nor have secrets that herod makes: they are ASCII.
"""

import unicodedata
from typing import Final, Literal

__all__ = ["MAX_CHARS_BEFORE_NFKC", "composed", "decomposed", "normal_secret"]

# Normalizing a long run of combining marks takes quadratic time. A longer text stays as it is: nobody types it.
MAX_CHARS_BEFORE_NFKC: Final = 1024


def normal_secret(text: str) -> str:
    """A secret in normal form; a text of over 1024 characters unchanged."""
    return _normalize("NFKC", text)


def composed(text: str) -> str:
    """A secret as most keyboards write it, letters with their accents in one character; over 1024 unchanged."""
    return _normalize("NFC", text)


def decomposed(text: str) -> str:
    """A secret as some systems write it, accents in characters of their own; over 1024 characters unchanged."""
    return _normalize("NFD", text)


def _normalize(form: Literal["NFC", "NFD", "NFKC"], text: str) -> str:
    return unicodedata.normalize(form, text) if len(text) <= MAX_CHARS_BEFORE_NFKC else text
