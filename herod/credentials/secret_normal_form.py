"""The one Unicode form in which secrets that people choose are compared: passwords, legacy secrets, those of resources.

It is NFKC (NIST SP 800-63B, section 5.1.1.2), so that the same secret typed on two keyboards matches. HERO_SECRET has
none: it is key material, and other programs sign with its bytes. Nor have secrets that herod makes: they are ASCII.
"""

import unicodedata
from typing import Final

__all__ = ["MAX_CHARS_BEFORE_NFKC", "normal_secret"]

# Normalizing a long run of combining marks takes quadratic time. A longer text stays as it is: nobody types it.
MAX_CHARS_BEFORE_NFKC: Final = 1024


def normal_secret(text: str) -> str:
    """A secret in normal form; a text of over 1024 characters unchanged."""
    return unicodedata.normalize("NFKC", text) if len(text) <= MAX_CHARS_BEFORE_NFKC else text
