"""The key hierarchy: HERO_SECRET opens the root key, and each purpose has a key derived from the root.

    secret ──HKDF──▶ wrap key ──seals──▶ root (random) ──HKDF──▶ one key per purpose

No key serves two purposes, and no key is ever written outside a sealed envelope.
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

# Each label is used for one key only. A change of meaning needs a new version.
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
    OWNERSHIP = "ownership"
    DYNAMIC_APPS = "dynamic_apps"
    DYNAMIC_APP_SECRETS = "dynamic_app_secrets"
    REFRESH_TOKENS = "refresh_tokens"
    AUTHORIZATION_CODES = "authorization_codes"
    AUTHORIZATION_REQUESTS = "authorization_requests"
    DEVICE_CODES = "device_codes"
    DEVICE_REQUESTS = "device_requests"
    LANDINGS = "landings"
    APPROVALS = "approvals"
    LOGOUT_REQUESTS = "logout_requests"
    CHALLENGES = "challenges"
    SIGN_INS = "sign_ins"


CARRIED: Final = (Purpose.KEY_HASHES, Purpose.OWNERSHIP)
"""The keys that a new root carries over, in the order of their bytes in it: what they hash cannot be hashed again."""
ROOT_LENGTHS: Final = tuple(KEY_BYTES * (1 + count) for count in range(len(CARRIED) + 1))


class WrongSecret(ValueError):
    """The secret opens no wrapped root. Internal: the code that opens the store reports what to do."""


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
    """A fresh root of 96 bytes that keeps `keyring`'s hashes of API keys, client and ownership secrets valid.

    Those hashes cannot be recomputed, because the secrets are stored nowhere. Keeping the keys is safe: keys and client
    secrets have 256 random bits, so the key reveals none of them. Ownership secrets are chosen by people, but who has
    only the carried key has no hash to compare a guess with: the hashes are sealed under keys of the fresh part.
    """
    return new_root() + b"".join(keyring.key(purpose) for purpose in CARRIED)


def wrap_root(root: bytes, secret: str) -> bytes:
    """Seal `root` under `secret`."""
    return seal(derive_wrap_key(secret), root, ROOT_LABEL)


def unwrap_root(wraps: Sequence[bytes], secret: str) -> bytes:
    """Open the first of `wraps` that `secret` fits; during a secret rotation there are two.

    Raises:
        WrongSecret: the secret opens none of them.
    """
    wrap_key = derive_wrap_key(secret)
    for wrap in wraps:
        try:
            return unseal(wrap_key, wrap, ROOT_LABEL)
        except SealBroken:
            continue
    raise WrongSecret("no wrapped root opens with this secret")


class Keyring:
    """All keys derived from one root; derived once and held in memory only.

    Args:
        root: from `new_root`, `renew_root` or `unwrap_root`: 32 bytes, plus the 32-byte keys of `CARRIED` that are
            older than the root. (One renewed by an earlier version carries only the first.)
    """

    __slots__ = ("_keys", "_macs", "_rows")

    def __init__(self, root: bytes) -> None:
        if len(root) not in ROOT_LENGTHS:
            raise ValueError(f"a root key has one of {ROOT_LENGTHS} bytes, not {len(root)}")
        fresh, *carried = (root[at : at + KEY_BYTES] for at in range(0, len(root), KEY_BYTES))
        self._keys = {purpose: _hkdf(fresh, PURPOSE_LABEL + purpose.encode()) for purpose in Purpose}
        self._keys.update(zip(CARRIED, carried, strict=False))
        self._macs = {purpose: HMAC(key, SHA256()) for purpose, key in self._keys.items()}
        self._rows = HMAC(_hkdf(self._keys[Purpose.RECORDS], ROWS_LABEL), SHA256())

    def key(self, purpose: Purpose) -> bytes:
        """The 32-byte key of `purpose`."""
        return self._keys[purpose]

    def mac(self, purpose: Purpose, *fields: bytes) -> bytes:
        """HMAC-SHA256 of the fields, joined unambiguously, under the key of `purpose`."""
        return _mac(self._macs[purpose], pack_fields(*fields))

    def row_key(self, kind: str, id: str, rev: int) -> bytes:
        """The key that seals one revision of one row.

        HMAC as a one-step key derivation function (NIST SP 800-108), for speed: every read of a row derives a key.
        """
        return _mac(self._rows, pack_fields(kind.encode(), id.encode(), rev.to_bytes(8, "big")))


def _mac(keyed: HMAC, message: bytes) -> bytes:
    """HMAC-SHA256 of a message; a copy of a keyed context costs a third of `hmac.digest`."""
    context = keyed.copy()
    context.update(message)
    return context.finalize()


def _hkdf(key: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(key)
