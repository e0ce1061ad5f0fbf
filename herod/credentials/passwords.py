"""Password rules and password hashes.

Hashing is slow on purpose (20 to 30 ms): callers run one hash at a time, in a thread, and do the same work for a user
who does not exist (`DECOY_PHC`). Nothing here truncates, trims or logs a password.

Passwords have a normal form (`secret_normal_form.py`). Imported hashes from Hero Auth are the exception: it hashed the
bytes as typed, so they are verified that way, and replaced at the next sign-in.
"""

import binascii
import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from herod.credentials.secret_normal_form import MAX_CHARS_BEFORE_NFKC, normal_secret
from herod_client.core.errors import InvalidRequest

__all__ = [
    "DECOY_PHC",
    "MAX_CHARS",
    "MIN_CHARS",
    "OWASP_2024",
    "Argon2idPreset",
    "MalformedHash",
    "check_hash",
    "check_password",
    "hash_password",
    "line_end_note",
    "needs_rehash",
    "verify_password",
    "wrap_hero_auth_hash",
]


@dataclass(frozen=True, slots=True)
class Argon2idPreset:
    """The cost of a hash (RFC 9106): memory in KiB, passes over it, lanes."""

    memory_kib: int
    passes: int
    lanes: int

    @property
    def prefix(self) -> str:
        """The beginning of every PHC string of this cost."""
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p={self.lanes}$"


# OWASP Password Storage Cheat Sheet, the second of its equivalent settings
OWASP_2024: Final = Argon2idPreset(memory_kib=19 * 1024, passes=2, lanes=1)  # 19 MiB

# Imported hashes may cost at most RFC 9106's second recommendation plus one pass.
MAX_COST: Final = Argon2idPreset(memory_kib=64 * 1024, passes=4, lanes=4)  # 64 MiB

MIN_CHARS: Final = 12
MAX_CHARS: Final = 128

SALT_BYTES: Final = 16  # RFC 9106, section 3.1
TAG_BYTES: Final = 32
HERO_AUTH_MARK: Final = "hero_auth:"

_PHC: Final = re.compile(
    r"\$argon2id\$v=19\$m=(?P<m>[1-9]\d{0,6}),t=(?P<t>[1-9]\d{0,2}),p=(?P<p>[1-9]\d?)"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,64})\$(?P<tag>[A-Za-z0-9+/]{22,86})\Z",
    re.ASCII,
)
_SHA256_HEX: Final = re.compile(r"[0-9a-fA-F]{64}\Z")

# A hash without a known password, verified for users who do not exist: the same work, always False.
DECOY_PHC: Final = f"{OWASP_2024.prefix}{'A' * 22}${'A' * 43}"


class MalformedHash(ValueError):
    """A stored hash is malformed: a defect or a damaged record, never the result of a wrong password."""


def check_password(text: str) -> None:
    """Check that `text` may be set as a password: 12 to 128 characters in NFKC, no control characters.

    Spaces are kept and count. Characters that this Python's Unicode version does not assign are refused: their normal
    form may change with the next version and lock their owner out.

    Raises:
        InvalidRequest: the password breaks a rule.
    """
    if len(text) > MAX_CHARS_BEFORE_NFKC or len(normal := normal_secret(text)) > MAX_CHARS:
        raise InvalidRequest(f"The password is too long: use at most {MAX_CHARS} characters.")
    if len(normal) < MIN_CHARS:
        raise InvalidRequest(f"The password is too short: use at least {MIN_CHARS} characters.")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Cn"} for char in normal):
        raise InvalidRequest("The password contains a control or unassigned character: leave it out.")


def hash_password(text: str) -> str:
    """Hash a password that `check_password` accepts, to a PHC string with a fresh salt.

    It does not check the password itself: one from Hero Auth may be shorter, and is rehashed as it is.
    """
    return _derive(_normal_bytes(text))


def verify_password(text: str, phc: str) -> bool:
    """Whether `text` is the password of a hash made by `hash_password` or `wrap_hero_auth_hash`.

    Raises:
        MalformedHash: the stored hash is damaged.
    """
    if phc.startswith(HERO_AUTH_MARK):
        typed = text.encode("utf-8", "surrogatepass")
        return _verify(hashlib.sha256(typed).hexdigest().encode(), phc.removeprefix(HERO_AUTH_MARK))
    return _verify(_normal_bytes(text), phc)


def line_end_note(text: str) -> str:
    """To be added to the refusal of a wrong password: no password that herod sets ends with a line end."""
    return " It ends with a line end: send it without." if text.endswith(("\n", "\r")) else ""


def check_hash(phc: str) -> None:
    """Check an imported hash: verifying it must neither fail nor exhaust the machine.

    Raises:
        InvalidRequest: it is not a hash of Argon2id, or its cost is over the limits.
    """
    match = _PHC.match(phc.removeprefix(HERO_AUTH_MARK))
    if match is None:
        raise InvalidRequest("The password hash is not a PHC string of Argon2id.")
    memory_kib, passes, lanes = (int(match[name]) for name in ("m", "t", "p"))
    if not 8 * lanes <= memory_kib <= MAX_COST.memory_kib or passes > MAX_COST.passes or lanes > MAX_COST.lanes:
        raise InvalidRequest(
            f"The password hash costs m={memory_kib}, t={passes}, p={lanes}: at most m={MAX_COST.memory_kib}, "
            f"t={MAX_COST.passes}, p={MAX_COST.lanes} are accepted."
        )
    for name in ("salt", "tag"):
        text = match[name]
        try:
            decoded = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
        except binascii.Error:
            decoded = b""
        if binascii.b2a_base64(decoded, newline=False).rstrip(b"=") != text.encode():
            raise InvalidRequest(f"The {name} of the password hash is not base64.")


def needs_rehash(phc: str) -> bool:
    """Whether a hash must be replaced at the next sign-in: it is imported, or has another cost than the current one."""
    return not phc.startswith(OWASP_2024.prefix)


def wrap_hero_auth_hash(sha256_hex: str) -> str:
    """Import a password hash of Hero Auth, the SHA-256 of the password, by hashing it once more.

    Raises:
        InvalidRequest: it is not 64 hexadecimal digits.
    """
    if not _SHA256_HEX.match(sha256_hex):
        raise InvalidRequest("A password hash of Hero Auth must have 64 hexadecimal digits.")
    return HERO_AUTH_MARK + _derive(sha256_hex.lower().encode())


def _normal_bytes(text: str) -> bytes:
    # Lone surrogates are refused when a password is set; presented ones match nothing and must not raise.
    return normal_secret(text).encode("utf-8", "surrogatepass")


def _derive(material: bytes) -> str:
    return Argon2id(
        salt=secrets.token_bytes(SALT_BYTES),
        length=TAG_BYTES,
        iterations=OWASP_2024.passes,
        lanes=OWASP_2024.lanes,
        memory_cost=OWASP_2024.memory_kib,
    ).derive_phc_encoded(material)


def _verify(material: bytes, phc: str) -> bool:
    # The library raises InvalidKey for a mismatch and for a malformed string alike.
    if not _PHC.match(phc):
        raise MalformedHash("a stored password hash is not a PHC string of Argon2id")
    try:
        Argon2id.verify_phc_encoded(material, phc)
    except InvalidKey:
        return False
    except ValueError as error:
        raise MalformedHash("a stored password hash has invalid parameters") from error
    return True
