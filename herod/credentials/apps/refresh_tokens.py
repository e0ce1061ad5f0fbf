"""The format of refresh tokens, none of which is stored: each is derived from a key, its family, number and epoch.

    herod_r_ ‖ family (12) ‖ _ ‖ number (4) ‖ MAC (43) ‖ checksum (6)

Family and number are public; the MAC is an HMAC-SHA256 in base 62, and the checksum is that of API keys. A token's
number is how often its family was rotated before it, so an earlier token is recognized however old it is. The epoch is
the account's: whatever ends all tokens of the account, a restore among it, ends its refresh tokens too.

Must never compare a MAC in anything but constant time.
"""

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from herod.credentials.keyring import Keyring, Purpose
from herod_client.core.errors import BadCredentials
from herod_client.core.key_format import ALPHABET, SECRET_CHARS, base62, checksum_fits, with_checksum

__all__ = [
    "MAX_NUMBER",
    "RefreshToken",
    "derive_refresh_token",
    "is_derived",
    "looks_like_refresh_token",
    "parse_refresh_token",
]

PREFIX: Final = "herod_r_"
NUMBER_CHARS: Final = 4
MAX_NUMBER: Final = 62**NUMBER_CHARS - 1
_FORM: Final = re.compile(r"herod_r_([0-9A-Za-z]{12})_([0-9A-Za-z]{4})([0-9A-Za-z]{43})[0-9A-Za-z]{6}\Z")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A well-formed refresh token; only `is_derived` tells whether herod made it.

    Attributes:
        family: the id of its family.
        number: how often the family was rotated before it.
        mac: 43 characters.
    """

    family: str
    number: int
    mac: str = field(repr=False)


def looks_like_refresh_token(text: str) -> bool:
    """Whether `text` starts like a refresh token: even if mistyped, it is then nothing else."""
    return text.startswith(PREFIX)


def derive_refresh_token(keyring: Keyring, *, family: str, number: int, epoch: int) -> str:
    """The refresh token of a family with that number.

    Args:
        keyring: has the key for refresh tokens.
        family: its 12 characters.
        number: at most `MAX_NUMBER`.
        epoch: the account's, when the family began.
    """
    return with_checksum(f"{PREFIX}{family}_{base62(number, NUMBER_CHARS)}{_mac(keyring, family, number, epoch)}")


def parse_refresh_token(text: str) -> RefreshToken:
    """Read a refresh token and check its form.

    Raises:
        BadCredentials: it is incomplete or mistyped.
    """
    match = _FORM.match(text)
    if match is None or not checksum_fits(text):
        raise BadCredentials("This is not a refresh token: send it whole, as herod issued it.", reason="malformed")
    family, number, mac = match.groups()
    return RefreshToken(family, _from_base62(number), mac)


def is_derived(keyring: Keyring, token: RefreshToken, *, epoch: int) -> bool:
    """Whether herod derived the token, in that epoch of the account."""
    return hmac.compare_digest(token.mac, _mac(keyring, token.family, token.number, epoch))


def _mac(keyring: Keyring, family: str, number: int, epoch: int) -> str:
    mac = keyring.mac(Purpose.REFRESH_TOKENS, family.encode(), number.to_bytes(8, "big"), epoch.to_bytes(8, "big"))
    return base62(int.from_bytes(mac, "big"), SECRET_CHARS)


def _from_base62(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(ALPHABET) + ALPHABET.index(digit)
    return number
