"""Imported hashes of random secrets, made by another store or by Hero Auth, so that the secrets keep working.

The formats of a record's `secret_hash`:

    of this store      HMAC (32)
    imported           form (1) ‖ id of the hash key (8) ‖ HMAC (32)

Form 1: the HMAC is of the secret, as in `secret_hashes.py`. Form 2: it is of the hexadecimal SHA-256 of the secret,
which is what Hero Auth kept. An id of zeros is this store's own key for hashes; any other is a key that was imported
with the records. A value of any other length matches no secret. This file never creates a secret or a key.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.sealing import KEY_BYTES, pack_fields
from herod.credentials.secret_hashes import matches

__all__ = [
    "HASH_BYTES",
    "NO_HASH",
    "OWN_KEY",
    "ImportedHash",
    "hash_key_id",
    "import_sha256",
    "matches_imported",
    "pack_hash",
    "parse_hash",
]

HASH_BYTES: Final = 32
ID_BYTES: Final = 8
_CARRIED_BYTES: Final = 1 + ID_BYTES + HASH_BYTES
_OF_SECRET: Final = 1
_OF_SHA256: Final = 2
_ID_LABEL: Final = b"herod hash key id v1"
_SHA256_HEX: Final = re.compile(r"[0-9a-fA-F]{64}\Z")

OWN_KEY: Final = "00" * ID_BYTES
"""The id of the store's own key."""
NO_HASH: Final = b""
"""The stored hash of a record without a secret: nothing matches it."""


@dataclass(frozen=True, slots=True)
class ImportedHash:
    """The stored hash of a secret, parsed.

    Attributes:
        key_id: 16 hexadecimal digits.
        mac: 32 bytes.
        is_of_sha256: the HMAC is of the secret's SHA-256.
    """

    key_id: str
    mac: bytes
    is_of_sha256: bool = False


def hash_key_id(key: bytes) -> str:
    """The id of a hash key; it reveals nothing about the key.

    Raises:
        ValueError: the key is not 32 bytes long.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a hash key has {KEY_BYTES} bytes, not {len(key)}")
    return hmac.digest(key, _ID_LABEL, "sha256")[:ID_BYTES].hex()


def parse_hash(stored: bytes) -> ImportedHash | None:
    """Parse a stored hash; None if it can match no secret."""
    if len(stored) == HASH_BYTES:
        return ImportedHash(OWN_KEY, stored)
    if len(stored) != _CARRIED_BYTES or stored[0] not in (_OF_SECRET, _OF_SHA256):
        return None
    return ImportedHash(
        key_id=stored[1 : 1 + ID_BYTES].hex(), mac=stored[1 + ID_BYTES :], is_of_sha256=stored[0] == _OF_SHA256
    )


def pack_hash(carried: ImportedHash) -> bytes:
    """Serialize a hash for a record; the inverse of `parse_hash`.

    Raises:
        ValueError: the id or the HMAC has the wrong length.
    """
    key_id = bytes.fromhex(carried.key_id)
    if len(key_id) != ID_BYTES or len(carried.mac) != HASH_BYTES:
        raise ValueError("an imported hash needs an id of 8 bytes and an HMAC of 32")
    if carried.key_id == OWN_KEY and not carried.is_of_sha256:
        return carried.mac
    form = _OF_SHA256 if carried.is_of_sha256 else _OF_SECRET
    return bytes((form,)) + key_id + carried.mac


def import_sha256(keyring: Keyring, purpose_label: str, id: str, sha256_hex: str) -> bytes:
    """Import the SHA-256 of a secret; an HMAC of it is stored, so that the stored value cannot be presented.

    Raises:
        ValueError: it is not 64 hexadecimal digits.
    """
    if not _SHA256_HEX.match(sha256_hex):
        raise ValueError("a SHA-256 has 64 hexadecimal digits")
    mac = _mac(keyring.key(Purpose.KEY_HASHES), purpose_label, id, sha256_hex.lower())
    return pack_hash(ImportedHash(OWN_KEY, mac, is_of_sha256=True))


def matches_imported(carried: ImportedHash, key: bytes, purpose_label: str, id: str, text: str) -> bool:
    """Whether `text` is the secret, in constant time.

    Args:
        carried: from `parse_hash`.
        key: the one of `carried.key_id`.
        purpose_label: as for `hash_secret`.
        id: the id of the record that the secret belongs to.
        text: the secret as presented, whole.
    """
    if carried.is_of_sha256:
        text = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return matches(carried.mac, _mac(key, purpose_label, id, text))


def _mac(key: bytes, purpose_label: str, id_: str, text: str) -> bytes:
    """Compute the HMAC as `Keyring.mac` does, with a key of any store."""
    fields = (part.encode("utf-8", "surrogatepass") for part in (purpose_label, id_, text))
    return hmac.digest(key, pack_fields(*fields), "sha256")
