"""The keys: from HERO_SECRET to the root, from the root to each purpose, and the keys that sign tokens.

    secret ──HKDF──▶ wrap key ──seals──▶ root (random) ──HKDF──▶ one key per purpose

A secret never serves two uses, and no key here is ever written anywhere but inside an envelope.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import HMACAlgorithm, OKPAlgorithm
from jwt.exceptions import InvalidKeyError

from herod.credentials.sealing import KEY_BYTES, SealBroken, pack_fields, seal, unseal
from herod.errors import SettingsError

__all__ = [
    "Keyring",
    "Purpose",
    "SigningAlgorithm",
    "SigningKey",
    "SigningKeys",
    "WrongSecret",
    "derive_backup_key",
    "derive_wrap_key",
    "ed25519_key",
    "ed25519_public_key",
    "hs256_key",
    "new_ed25519_private",
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
    CURSORS = "cursors"
    COOKIES = "cookies"
    LEGACY = "legacy"


class WrongSecret(ValueError):
    """No wrapped root opens with this secret. Internal: who opens the store says what to do."""


def derive_wrap_key(secret: str) -> bytes:
    """The 32-byte key that seals the root, by HKDF-SHA256 (RFC 5869) from the secret's UTF-8 bytes."""
    return _hkdf(secret.encode(), WRAP_LABEL)


def derive_backup_key(secret: str) -> bytes:
    """The 32-byte key from which `backups.py` derives the key of each backup file."""
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

    def row_key(self, kind: str, id: str, rev: int) -> bytes:  # noqa: A002 - a record's field has this name
        """The key that seals one revision of one row.

        HMAC as a key derivation function in one step (NIST SP 800-108): a point select pays for it each time.
        """
        return _mac(self._rows, pack_fields(kind.encode(), id.encode(), rev.to_bytes(8, "big")))


SigningAlgorithm = Literal["HS256", "EdDSA"]

_HS256: Final = HMACAlgorithm(HMACAlgorithm.SHA256)
_EDDSA: Final = OKPAlgorithm()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key that signs or verifies tokens, with the one algorithm it is used with.

    Attributes:
        kid: the `kid` its tokens carry; None for HS256, whose tokens carry none.
        algorithm: the `alg` of its tokens, and no other.
        verifies_until: hard stop in Unix seconds; None for the current key.
        verifier: the secret's bytes, or the public key.
        signer: the private key, where the algorithm has one and it is known.
    """

    kid: str | None
    algorithm: SigningAlgorithm
    verifies_until: int | None
    verifier: bytes | Ed25519PublicKey = field(repr=False)
    signer: Ed25519PrivateKey | None = field(default=None, repr=False)

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`.

        Raises:
            ValueError: this is a public key.
        """
        if isinstance(self.verifier, bytes):
            return _HS256.sign(data, self.verifier)
        if self.signer is None:
            raise ValueError("a public key cannot sign")
        return _EDDSA.sign(data, self.signer)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`; for HS256 in constant time."""
        if isinstance(self.verifier, bytes):
            return _HS256.verify(data, self.verifier, signature)
        return _EDDSA.verify(data, self.verifier, signature)

    def is_live(self, now: int) -> bool:
        """Whether the key still verifies at `now`."""
        return self.verifies_until is None or now < self.verifies_until

    def public_jwk(self) -> dict[str, str] | None:
        """The public key as a JWK (RFC 8037, section 2); None for HS256, which has no public half."""
        if isinstance(self.verifier, bytes) or self.kid is None:
            return None
        return {**_required_members(self.verifier), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def hs256_key(secret: str, *, verifies_until: int | None = None) -> SigningKey:
    """The HS256 key that every service holding HERO_SECRET shares; its tokens carry no `kid`.

    Raises:
        SettingsError: the secret is empty or is itself a key, certificate or JWK: JWT libraries refuse those,
            and a public one is no secret.
    """
    try:
        prepared = _HS256.prepare_key(secret)
    except InvalidKeyError:
        raise SettingsError(
            "HERO_SECRET is empty or a key file, not a secret: make one with `herod secret generate`."
        ) from None
    return SigningKey(kid=None, algorithm="HS256", verifies_until=verifies_until, verifier=prepared)


def ed25519_key(private: bytes, *, verifies_until: int | None = None) -> SigningKey:
    """The Ed25519 key of 32 private bytes; its `kid` is the RFC 7638 thumbprint of the public half.

    Raises:
        ValueError: not 32 bytes.
    """
    signer = Ed25519PrivateKey.from_private_bytes(private)
    return _ed25519(signer.public_key(), signer, verifies_until)


def ed25519_public_key(public: bytes, *, verifies_until: int | None = None) -> SigningKey:
    """The Ed25519 key of 32 public bytes: it verifies and cannot sign.

    Raises:
        ValueError: not 32 bytes.
    """
    return _ed25519(Ed25519PublicKey.from_public_bytes(public), None, verifies_until)


def new_ed25519_private() -> bytes:
    """The 32 private bytes of a fresh Ed25519 key."""
    return secrets.token_bytes(32)  # RFC 8032, section 5.1.5: any 32 random bytes


class SigningKeys:
    """The key that signs, and those that still verify.

    Args:
        current: signs and verifies.
        retired: verify until their hard stop; newest first.

    Raises:
        ValueError: the current key has a hard stop, a retired one has none, or two algorithms share a `kid`.
    """

    __slots__ = ("_by_kid", "current")

    def __init__(self, current: SigningKey, retired: Sequence[SigningKey] = ()) -> None:
        if current.verifies_until is not None:
            raise ValueError("the current signing key has no hard stop")
        if any(key.verifies_until is None for key in retired):
            raise ValueError("a retired signing key needs a hard stop")
        self.current = current
        self._by_kid: dict[str | None, tuple[SigningKey, ...]] = {}
        for key in (current, *retired):
            same = self._by_kid.get(key.kid, ())
            if any(other.algorithm != key.algorithm for other in same):
                raise ValueError(f"kid {key.kid!r} has two algorithms")
            self._by_kid[key.kid] = (*same, key)

    def __iter__(self) -> Iterator[SigningKey]:
        return (key for keys in self._by_kid.values() for key in keys)

    def find(self, kid: str | None) -> SigningKey | None:
        """The newest key of `kid`; None stands for tokens without one."""
        return next(iter(self.find_all(kid)), None)

    def find_all(self, kid: str | None) -> tuple[SigningKey, ...]:
        """Every key of `kid`, newest first.

        HS256 has no `kid`, so a changed HERO_SECRET leaves two without one until the old one's hard stop.
        """
        return self._by_kid.get(kid, ())


def _ed25519(verifier: Ed25519PublicKey, signer: Ed25519PrivateKey | None, verifies_until: int | None) -> SigningKey:
    # RFC 7638, section 3.2: the required members, sorted, without white space.
    thumbprint = hashlib.sha256(msgspec.json.encode(_required_members(verifier), order="sorted")).digest()
    return SigningKey(
        kid=urlsafe_b64encode(thumbprint).rstrip(b"=").decode(),
        algorithm="EdDSA",
        verifies_until=verifies_until,
        verifier=verifier,
        signer=signer,
    )


def _required_members(key: Ed25519PublicKey) -> dict[str, str]:
    jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {"crv": "Ed25519", "kty": "OKP", "x": str(jwk["x"])}


def _mac(keyed: HMAC, message: bytes) -> bytes:
    """HMAC-SHA256 of a message; a copy of a keyed context costs a third of `hmac.digest`."""
    context = keyed.copy()
    context.update(message)
    return context.finalize()


def _hkdf(key: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(key)
