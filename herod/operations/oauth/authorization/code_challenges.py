"""PKCE (RFC 7636): proof that whoever redeems a code is who asked for it.

S256 alone: `plain` proves nothing once the request was seen.
Must never compare in anything but constant time.
"""

import base64
import hmac
import re
from hashlib import sha256
from typing import Final

__all__ = ["is_challenge", "is_proven"]

# SHA-256 in base64url without padding (section 4.2); the last character has two bits that are zero.
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


def is_challenge(text: str) -> bool:
    """Whether `text` has the form of a challenge of method S256."""
    return _CHALLENGE.match(text) is not None


def is_proven(challenge: str, verifier: str | None) -> bool:
    """Whether a verifier belongs to a challenge.

    Args:
        challenge: empty if the app sent none, and then it must send no verifier either (RFC 9700, section 2.1.1).
        verifier: None if the app sent none.
    """
    if not challenge or verifier is None:
        return not challenge and verifier is None
    if not _VERIFIER.match(verifier):
        return False
    computed = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(computed, challenge.encode())
