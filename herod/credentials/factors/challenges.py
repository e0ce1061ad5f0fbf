"""Challenges that passkeys sign (WebAuthn 3, section 13.4.3): herod's own, for one purpose, for five minutes.

    challenge = Unix seconds (8) ‖ random (16) ‖ the first half of an HMAC over it and what it is for (16)

An account's user handle (section 14.6.1) is made of the challenge of its first passkey, so that nothing has to be kept
for that either: it is as random.

Nothing is kept of a challenge until a passkey has answered it: then its id is, so that it works once. This file must
never accept one that another purpose, another session or another store made.
"""

import hmac
import secrets
from enum import StrEnum
from typing import Final

from herod.credentials.keyring import Keyring, Purpose

__all__ = [
    "CHALLENGE_SECONDS",
    "ChallengeFor",
    "challenge_end",
    "challenge_id",
    "is_challenge",
    "new_challenge",
    "new_user_handle",
]

CHALLENGE_SECONDS: Final = 300
TIME_BYTES: Final = 8
RANDOM_BYTES: Final = 16
MAC_BYTES: Final = 16
BODY_BYTES: Final = TIME_BYTES + RANDOM_BYTES


class ChallengeFor(StrEnum):
    """What the answer to a challenge does."""

    SIGN_IN = "sign in"
    ENROL = "enrol"


def new_challenge(keyring: Keyring, purpose: ChallengeFor, *bound: str, now: int) -> bytes:
    """A challenge for one purpose.

    Args:
        keyring: has the key.
        purpose: what the answer does.
        bound: what else must be the same when it is answered, as the store's generation and the session.
        now: Unix seconds.
    """
    body = now.to_bytes(TIME_BYTES, "big") + secrets.token_bytes(RANDOM_BYTES)
    return body + _mac(keyring, purpose, bound, body)


def is_challenge(
    keyring: Keyring, challenge: bytes, purpose: ChallengeFor, *bound: str, now: int, skew: int = 0
) -> bool:
    """Whether `new_challenge` made it for this, at most five minutes ago.

    Args:
        skew: by how many seconds the clock of whoever made it may have been ahead.
    """
    body, mac = challenge[:BODY_BYTES], challenge[BODY_BYTES:]
    if len(challenge) != BODY_BYTES + MAC_BYTES or not hmac.compare_digest(mac, _mac(keyring, purpose, bound, body)):
        return False
    return challenge_end(challenge) - CHALLENGE_SECONDS - skew <= now < challenge_end(challenge)


def challenge_end(challenge: bytes) -> int:
    """Unix seconds from which it is not accepted any more."""
    return int.from_bytes(challenge[:TIME_BYTES], "big") + CHALLENGE_SECONDS


def challenge_id(keyring: Keyring, challenge: bytes) -> str:
    """The id under which it is kept once it was answered."""
    return keyring.mac(Purpose.CHALLENGES, b"used", challenge).hex()


def new_user_handle(keyring: Keyring, challenge: bytes) -> bytes:
    """64 bytes by which an account's passkeys will name it, from the challenge of the first."""
    return b"".join(keyring.mac(Purpose.CHALLENGES, b"user handle", part, challenge) for part in (b"1", b"2"))


def _mac(keyring: Keyring, purpose: ChallengeFor, bound: tuple[str, ...], body: bytes) -> bytes:
    words = (word.encode() for word in bound)
    return keyring.mac(Purpose.CHALLENGES, b"made", purpose.encode(), *words, body)[:MAC_BYTES]
