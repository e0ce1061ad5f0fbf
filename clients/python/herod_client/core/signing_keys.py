"""The keys that sign tokens, each for one algorithm: HS256 with HERO_SECRET, or Ed25519.

Holds keys in memory only; the store persists them.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import HMACAlgorithm, OKPAlgorithm
from jwt.exceptions import InvalidKeyError

from herod_client.core.errors import SettingsError

__all__ = [
    "SigningAlgorithm",
    "SigningKey",
    "SigningKeys",
    "ed25519_key",
    "ed25519_public_key",
    "hs256_key",
    "new_ed25519_private",
]

SigningAlgorithm = Literal["HS256", "EdDSA"]

_HS256: Final = HMACAlgorithm(HMACAlgorithm.SHA256)
_EDDSA: Final = OKPAlgorithm()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key that signs or verifies tokens, for one algorithm.

    Attributes:
        kid: the `kid` its tokens carry; None for HS256, whose tokens carry none.
        algorithm: the only `alg` of its tokens.
        verifies_until: hard stop in Unix seconds; None for the current key.
        verifier: the secret's bytes, or the public key.
        signer: the private key, if the algorithm has one and it is known.
    """

    kid: str | None
    algorithm: SigningAlgorithm
    verifies_until: int | None
    verifier: bytes | Ed25519PublicKey = field(repr=False)
    signer: Ed25519PrivateKey | None = field(default=None, repr=False)

    def sign(self, data: bytes) -> bytes:
        """Sign `data`.

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
            and a public one is not secret.
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
    """Return the 32 private bytes of a new Ed25519 key."""
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
        """Return the newest key of `kid`, which is None for tokens without one."""
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
