"""Codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits and steps of 30 seconds, as all apps take it.

Pure: the caller keeps the step of the last accepted code, and gives the time.
"""

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

__all__ = ["STEP_SECONDS", "TOTP_DIGITS", "new_totp_secret", "totp_address", "totp_secret_text", "totp_step"]

SECRET_BYTES: Final = 20  # RFC 4226, section 4, R6: 160 bits
TOTP_DIGITS: Final = 6
STEP_SECONDS: Final = 30
# The app's clock and herod's may differ, and people type slowly: one step each way (RFC 6238, section 5.2).
STEPS_AROUND: Final = (-1, 0, 1)


def new_totp_secret() -> bytes:
    """A secret to share with an authenticator app."""
    return secrets.token_bytes(SECRET_BYTES)


def totp_step(secret: bytes, code: str, *, now: int, after: int) -> int | None:
    """The time step of a right code, which the caller must keep; None for a wrong one.

    Args:
        secret: shared with the app.
        code: six digits.
        now: Unix seconds.
        after: the step of the last accepted code: its code and earlier ones are refused (RFC 6238, section 5.2).
    """
    found = None
    given = code.encode("utf-8", "surrogatepass")
    for offset in STEPS_AROUND:
        step = now // STEP_SECONDS + offset
        is_right = step >= 0 and hmac.compare_digest(_totp(secret).generate(step * STEP_SECONDS), given)
        if is_right and step > after:
            found = step
    return found


def totp_secret_text(secret: bytes) -> str:
    """A secret as people type it into an app: base 32, in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def totp_address(secret: bytes, *, account: str, issuer: str) -> str:
    """The `otpauth:` address that an app reads from a QR code.

    Args:
        account: the account's name in the app.
        issuer: whose account it is.
    """
    label, text = f"{quote(issuer, '')}:{quote(account, '')}", base64.b32encode(secret).decode()
    # Not a form's encoding: some apps show its plus signs. The last three are the defaults, which not all apps have.
    rest = f"algorithm=SHA1&digits={TOTP_DIGITS}&period={STEP_SECONDS}"
    return f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer, '')}&{rest}"


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what apps support; an HMAC does not depend on its collisions.
    return TOTP(secret, TOTP_DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303
