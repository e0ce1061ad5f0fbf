"""The keys: from HERO_SECRET to the root, from the root to each purpose.

    secret ──HKDF──▶ wrap key ──seals──▶ root (random) ──HKDF──▶ one key per purpose

A secret never serves two uses, and no key here is ever written anywhere but inside an envelope.
"""

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from herod.credentials.sealing import KEY_BYTES, SealBroken, pack_fields, seal, unseal

__all__ = [
    "Keyring",
    "Purpose",
    "WrongSecret",
    "derive_backup_key",
    "derive_wrap_key",
    "new_root",
    "renew_root",
    "unwrap_root",
    "wrap_root",
]

# Each label is used for one key only. A change of meaning is a new version.
WRAP_LABEL: Final = b"herod wrap key v1"
BACKUP_LABEL: Final = b"herod backup key v1"
ROOT_LABEL: Final = b"herod root key v1"
ROWS_LABEL: Final = b"herod row keys v1"
PURPOSE_LABEL: Final = b"herod purpose key v1 "


class Purpose(StrEnum):
    """What a key derived from the root is for."""

    RECORDS = "records"
    LOOKUPS = "lookups"
    KEY_HASHES = "key_hashes"
    SESSIONS = "sessions"
    AUDIT = "audit"
    LEGACY = "legacy"


class WrongSecret(ValueError):
    """No wrapped root opens with this secret. Internal: who opens the store says what to do."""


def derive_wrap_key(secret: str) -> bytes:
    """The 32-byte key that seals the root, by HKDF-SHA256 (RFC 5869) from the secret's UTF-8 bytes."""
    return _hkdf(secret.encode(), WRAP_LABEL)


def derive_backup_key(secret: str) -> bytes:
    """The 32-byte key from which `backup_encryption.py` derives the key of each backup file."""
    return _hkdf(secret.encode(), BACKUP_LABEL)


def new_root() -> bytes:
    """A fresh random root key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)


def renew_root(keyring: "Keyring") -> bytes:
    """A fresh root of 64 bytes under which the hashes of API keys and client secrets that `keyring` made still hold.

    Those hashes cannot be made anew, for what they are of is kept nowhere; and as 256 random bits stand behind each,
    who knows their key learns nothing from them.
    """
    return new_root() + keyring.key(Purpose.KEY_HASHES)


def wrap_root(root: bytes, secret: str) -> bytes:
    """Seal `root` so that `secret` opens it."""
    return seal(derive_wrap_key(secret), root, ROOT_LABEL)


def unwrap_root(wraps: Sequence[bytes], secret: str) -> bytes:
    """Open the first of `wraps` that `secret` opens; while a secret is being changed there are two.

    Raises:
        WrongSecret: none opens.
    """
    wrap_key = derive_wrap_key(secret)
    for wrap in wraps:
        try:
            return unseal(wrap_key, wrap, ROOT_LABEL)
        except SealBroken:
            continue
    raise WrongSecret("no wrapped root opens with this secret")


class Keyring:
    """Every key that comes from one root; derived once, held in memory only.

    Args:
        root: from `new_root`, `renew_root` or `unwrap_root`: 32 bytes, and 32 more where the key of the key hashes
            is older than the root.
    """

    __slots__ = ("_keys", "_macs", "_rows")

    def __init__(self, root: bytes) -> None:
        if len(root) not in (KEY_BYTES, 2 * KEY_BYTES):
            raise ValueError(f"a root key has {KEY_BYTES} or {2 * KEY_BYTES} bytes, not {len(root)}")
        fresh, carried = root[:KEY_BYTES], root[KEY_BYTES:]
        self._keys = {purpose: _hkdf(fresh, PURPOSE_LABEL + purpose.encode()) for purpose in Purpose}
        if carried:
            self._keys[Purpose.KEY_HASHES] = carried
        self._macs = {purpose: HMAC(key, SHA256()) for purpose, key in self._keys.items()}
        self._rows = HMAC(_hkdf(self._keys[Purpose.RECORDS], ROWS_LABEL), SHA256())

    def key(self, purpose: Purpose) -> bytes:
        """The 32-byte key of `purpose`."""
        return self._keys[purpose]

    def mac(self, purpose: Purpose, *fields: bytes) -> bytes:
        """HMAC-SHA256 of the fields, unambiguously joined, under the key of `purpose`."""
        return _mac(self._macs[purpose], pack_fields(*fields))

    def row_key(self, kind: str, id: str, rev: int) -> bytes:
        """The key that seals one revision of one row.

        HMAC as a key derivation function in one step (NIST SP 800-108): a point select pays for it each time.
        """
        return _mac(self._rows, pack_fields(kind.encode(), id.encode(), rev.to_bytes(8, "big")))


def _mac(keyed: HMAC, message: bytes) -> bytes:
    """HMAC-SHA256 of a message; a copy of a keyed context costs a third of `hmac.digest`."""
    context = keyed.copy()
    context.update(message)
    return context.finalize()


def _hkdf(key: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(key)
