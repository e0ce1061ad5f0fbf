"""Formats of API keys, client secrets, ids and opaque session values.

    API key        herod_[us]_ ‖ id (12) ‖ _ ‖ secret (43) ‖ checksum (6)
    client secret  herod_c_ ‖ secret (43) ‖ checksum (6)

Secret: 256 bits in base 62. Checksum: CRC-32 of everything before it, in base 62, zero-padded. The checksum
finds typing errors offline and lets scanners recognize a leaked key; it proves nothing. Only an HMAC of a secret
is ever stored.
"""

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID
from zlib import crc32

from herod_client.core.errors import BadCredentials

__all__ = [
    "KeyKind",
    "ParsedKey",
    "base62",
    "checksum_fits",
    "client_secret_of",
    "has_checksum",
    "looks_like_client_secret",
    "looks_like_key",
    "new_client_secret",
    "new_id",
    "new_key",
    "new_key_id",
    "new_opaque",
    "parse_key",
    "typing_error",
    "with_checksum",
]

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_CHARS: Final = 12
SECRET_BYTES: Final = 32  # 256 bits
SECRET_CHARS: Final = 43  # the fewest base 62 digits for 256 bits
CHECKSUM_CHARS: Final = 6
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)

CLIENT_SECRET_PREFIX: Final = "herod_c_"  # noqa: S105 - what a secret starts with
_PREFIXES: Final = ("herod_u_", "herod_s_", CLIENT_SECRET_PREFIX)
_KEY: Final = re.compile(r"herod_([us])_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})[0-9A-Za-z]{6}\Z")
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}\Z")
_ANY: Final = re.compile(r"herod_(?:[us]_[0-9A-Za-z]{12}|c)_[0-9A-Za-z]{49}\Z")


class KeyKind(StrEnum):
    """Whether a key is a user's or a service's."""

    USER = "user"
    SERVICE = "service"


_LETTERS: Final = {KeyKind.USER: "u", KeyKind.SERVICE: "s"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A well-formed API key; only the store knows whether herod created it.

    Attributes:
        id: 12 characters; public.
        secret: 43 characters.
    """

    kind: KeyKind
    id: str
    secret: str = field(repr=False)


def new_key_id() -> str:
    """Return a random key id of 12 characters (71 bits: unique, not secret)."""
    return base62(secrets.randbelow(62**ID_CHARS), ID_CHARS)


def new_key(kind: KeyKind, id: str) -> str:
    """Return a new API key for `id`.

    Raises:
        ValueError: the id does not have the form of `new_key_id`.
    """
    if not _KEY_ID.match(id):
        raise ValueError(f"{id!r} is not a key id")
    return with_checksum(f"herod_{_LETTERS[kind]}_{id}_{new_opaque()}")


def new_client_secret() -> str:
    """Return a new client secret of 57 characters."""
    return with_checksum(CLIENT_SECRET_PREFIX + new_opaque())


def client_secret_of(bits: bytes) -> str:
    """Return the client secret that 32 random bytes make: one that is derived and not stored.

    Raises:
        ValueError: there are not 32 bytes.
    """
    if len(bits) != SECRET_BYTES:
        raise ValueError(f"a client secret has {SECRET_BYTES} bytes, not {len(bits)}")
    return with_checksum(CLIENT_SECRET_PREFIX + base62(int.from_bytes(bits, "big"), SECRET_CHARS))


def new_opaque() -> str:
    """Return 256 random bits as 43 characters of base 62: session ids, cookies, one-time codes."""
    return base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES), "big"), SECRET_CHARS)


def new_id() -> str:
    """Return a random UUID (RFC 9562, version 4) in its usual form."""
    return str(UUID(bytes=secrets.token_bytes(16), version=4))


def parse_key(text: str) -> ParsedKey:
    """Read an API key and check its form.

    Raises:
        BadCredentials: the form is wrong (reason `malformed`) or the checksum is (reason `checksum`).
    """
    match = _KEY.match(text)
    if match is None:
        raise BadCredentials(typing_error(text, "API key") or "This is not an API key.", reason="malformed")
    if not checksum_fits(text):
        raise BadCredentials(typing_error(text, "API key") or "This is not an API key.", reason="checksum")
    letter, id_, secret = match.groups()
    return ParsedKey(kind=_KINDS[letter], id=id_, secret=secret)


def looks_like_key(text: str) -> bool:
    """Whether `text` starts like an API key: even if mistyped, it is then nothing else."""
    return text.startswith(("herod_u_", "herod_s_"))


def looks_like_client_secret(text: str) -> bool:
    """Whether `text` starts like a client secret, even if mistyped."""
    return text.startswith(CLIENT_SECRET_PREFIX)


def has_checksum(text: str) -> bool:
    """Whether `text` is a complete API key or client secret with the right checksum."""
    return _ANY.match(text) is not None and checksum_fits(text)


def typing_error(text: str, noun: str) -> str | None:
    """What is visibly wrong with a refused secret, whoever it is of, and what to do; None if nothing is.

    Args:
        noun: what it should have been, such as `client secret`.
    """
    if text != text.strip():
        return f"The {noun} begins or ends with a space or a line end: send it without."
    if not text.startswith(_PREFIXES):
        return None
    if _ANY.match(text) is None:
        return f"The {noun} is incomplete or mistyped: copy it whole."
    return None if checksum_fits(text) else f"The {noun} has a typing error: copy it again."


def with_checksum(body: str) -> str:
    """A secret with its checksum."""
    return body + _checksum(body)


def checksum_fits(text: str) -> bool:
    """Whether a secret ends with the checksum of what is before it."""
    return _checksum(text[:-CHECKSUM_CHARS]) == text[-CHECKSUM_CHARS:]


def _checksum(body: str) -> str:
    """Return `base62` of the CRC-32, two digits at a time, since every use of a key computes it."""
    upper, low = divmod(crc32(body.encode()), len(_PAIRS))
    high, middle = divmod(upper, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def base62(number: int, width: int) -> str:
    """Return a number in base 62, with leading zeros up to `width` characters."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
