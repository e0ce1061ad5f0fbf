"""The keys that sign tokens, each for one algorithm: HS256 with HERO_SECRET, Ed25519, RS256 or ES256.

A key's own algorithm decides how a signature is verified, never a token's header (RFC 8725, section 3.1). Holds keys in
memory only; the store persists them.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from herod_client.core.errors import SettingsError
from herod_client.core.public_jwks import PublicKey, public_members, thumbprint

__all__ = [
    "PLAIN_ALGORITHMS",
    "PlainAlgorithm",
    "PublicAlgorithm",
    "SigningAlgorithm",
    "SigningKey",
    "SigningKeys",
    "ed25519_key",
    "hs256_key",
    "new_private",
    "private_key",
    "public_key",
]

# What signs tokens without an audience (`--signing`).
PlainAlgorithm = Literal["HS256", "EdDSA"]
# What others can verify with a public key.
PublicAlgorithm = Literal["RS256", "ES256", "EdDSA"]
SigningAlgorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
PLAIN_ALGORITHMS: Final[frozenset[str]] = frozenset({"HS256", "EdDSA"})

PrivateKey = Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# RFC 7518, section 3.3, demands 2048 bits or more; the upper bound keeps a signature cheap to verify.
NEW_RSA_BITS: Final = 2048
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
RSA_EXPONENT: Final = 65537
ES256_SIGNATURE_BYTES: Final = 64  # RFC 7518, section 3.4: R and S, never DER

_HS256: Final = HMACAlgorithm(HMACAlgorithm.SHA256)
_EDDSA: Final = OKPAlgorithm()
_RS256: Final = RSAAlgorithm(RSAAlgorithm.SHA256)
_ES256: Final = ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key that signs or verifies tokens, for one algorithm.

    Attributes:
        kid: the `kid` its tokens carry; None for HS256, whose tokens carry none.
        algorithm: the only `alg` of its tokens.
        verifies_until: hard stop in Unix seconds; None for a key that signs.
        verifier: the secret's bytes, or the public key.
        signer: the private key, if the algorithm has one and it is known.

    Raises:
        ValueError: the key is not of its algorithm.
    """

    kid: str | None
    algorithm: SigningAlgorithm
    verifies_until: int | None
    verifier: bytes | PublicKey = field(repr=False)
    signer: PrivateKey | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that the key is of its algorithm, so that no signature is ever verified in another way."""
        is_hmac = isinstance(self.verifier, bytes)
        if self.algorithm != ("HS256" if isinstance(self.verifier, bytes) else _algorithm_of(self.verifier)):
            raise ValueError(f"a key of another algorithm than {self.algorithm}")
        if is_hmac and self.signer is not None:
            raise ValueError("HS256 has no private key")

    def sign(self, data: bytes) -> bytes:
        """Sign `data`.

        Raises:
            ValueError: this is a public key.
        """
        if isinstance(self.verifier, bytes):
            return _HS256.sign(data, self.verifier)
        match self.signer:
            case None:
                raise ValueError("a public key cannot sign")
            case rsa.RSAPrivateKey():
                return _RS256.sign(data, self.signer)
            case ec.EllipticCurvePrivateKey():
                return _ES256.sign(data, self.signer)
            case _:
                return _EDDSA.sign(data, self.signer)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`; for HS256 in constant time."""
        match self.verifier:
            case bytes():
                return _HS256.verify(data, self.verifier, signature)
            case rsa.RSAPublicKey():
                return _RS256.verify(data, self.verifier, signature)
            case ec.EllipticCurvePublicKey():
                return len(signature) == ES256_SIGNATURE_BYTES and _ES256.verify(data, self.verifier, signature)
            case _:
                return _EDDSA.verify(data, self.verifier, signature)

    def is_live(self, now: int) -> bool:
        """Whether the key still verifies at `now`."""
        return self.verifies_until is None or now < self.verifies_until

    def public_jwk(self) -> dict[str, str] | None:
        """The public key as a JWK (RFC 7517; RFC 7518, section 6; RFC 8037); None for HS256, which has none."""
        if isinstance(self.verifier, bytes) or self.kid is None:
            return None
        return {**public_members(self.verifier), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


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
    return _with_thumbprint(signer.public_key(), signer, verifies_until)


def private_key(algorithm: PublicAlgorithm, private: bytes, *, verifies_until: int | None = None) -> SigningKey:
    """The key of what `new_private` made; its `kid` is the RFC 7638 thumbprint of the public half.

    Raises:
        ValueError: it is damaged, or of another algorithm.
    """
    if algorithm == "EdDSA":
        return ed25519_key(private, verifies_until=verifies_until)
    signer = load_der_private_key(private, password=None)
    if isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        key = _with_thumbprint(signer.public_key(), signer, verifies_until)
        if key.algorithm == algorithm:
            return key
    raise ValueError(f"a key of another algorithm than {algorithm}")


def public_key(public: PublicKey, *, verifies_until: int | None = None) -> SigningKey:
    """The key of a public half: it verifies and cannot sign.

    Raises:
        ValueError: no algorithm here uses it: an RSA key of fewer than 2048 bits or with an unusual exponent, another
            curve than P-256.
    """
    return _with_thumbprint(public, None, verifies_until)


def new_private(algorithm: PublicAlgorithm) -> bytes:
    """Return a new private key: 32 bytes for Ed25519, else PKCS #8 in DER.

    An RSA key takes some 50 ms, and up to a second: call it in a thread, where it does not hold the interpreter.
    """
    if algorithm == "EdDSA":
        return secrets.token_bytes(32)  # RFC 8032, section 5.1.5: any 32 random bytes
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "RS256":
        made = rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=NEW_RSA_BITS)
    else:
        made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class SigningKeys:
    """The key that signs plain tokens, those that sign for apps, and those that still verify.

    Args:
        current: signs plain tokens, and verifies.
        retired: verify until their hard stop; newest first.
        for_apps: sign what others verify with a public key, at most one of an algorithm.

    Raises:
        ValueError: a key that signs has a hard stop, a retired one has none, two algorithms share a `kid`, or two keys
            for apps have one algorithm.
    """

    __slots__ = ("_by_kid", "_for_apps", "_retired", "current")

    def __init__(
        self, current: SigningKey, retired: Sequence[SigningKey] = (), *, for_apps: Sequence[SigningKey] = ()
    ) -> None:
        if any(key.verifies_until is not None for key in (current, *for_apps)):
            raise ValueError("the current signing key has no hard stop")
        if any(key.verifies_until is None for key in retired):
            raise ValueError("a retired signing key needs a hard stop")
        self.current = current
        self._retired = tuple(retired)
        self._for_apps: dict[str, SigningKey] = {key.algorithm: key for key in for_apps}
        if len(self._for_apps) != len(for_apps):
            raise ValueError("two signing keys for apps have one algorithm")
        self._by_kid: dict[str | None, tuple[SigningKey, ...]] = {}
        for key in (current, *for_apps, *retired):
            same = self._by_kid.get(key.kid, ())
            if any(other.algorithm != key.algorithm for other in same):
                raise ValueError(f"kid {key.kid!r} has two algorithms")
            self._by_kid[key.kid] = (*same, key)

    def __iter__(self) -> Iterator[SigningKey]:
        return (key for keys in self._by_kid.values() for key in keys)

    def for_apps(self, algorithm: PublicAlgorithm) -> SigningKey | None:
        """The key that signs for apps with that algorithm; None if none was needed yet."""
        return self._for_apps.get(algorithm)

    def with_key_for_apps(self, key: SigningKey) -> "SigningKeys":
        """These keys, and one that signs for apps from now on; the same object if it does so already."""
        if self._for_apps.get(key.algorithm) == key:
            return self
        others = [one for one in self._for_apps.values() if one.algorithm != key.algorithm]
        return SigningKeys(self.current, self._retired, for_apps=[*others, key])

    def find(self, kid: str | None) -> SigningKey | None:
        """Return the newest key of `kid`, which is None for tokens without one."""
        return next(iter(self.find_all(kid)), None)

    def find_all(self, kid: str | None) -> tuple[SigningKey, ...]:
        """Every key of `kid`, newest first.

        HS256 has no `kid`, so a changed HERO_SECRET leaves two without one until the old one's hard stop.
        """
        return self._by_kid.get(kid, ())


def _algorithm_of(public: PublicKey) -> PublicAlgorithm | None:
    """The only algorithm that a public key is used with; None if herod uses no such key."""
    match public:
        case rsa.RSAPublicKey():
            is_strong = LEAST_RSA_BITS <= public.key_size <= MOST_RSA_BITS
            return "RS256" if is_strong and public.public_numbers().e == RSA_EXPONENT else None
        case ec.EllipticCurvePublicKey():
            return "ES256" if isinstance(public.curve, ec.SECP256R1) else None
        case _:
            return "EdDSA"


def _with_thumbprint(public: PublicKey, signer: PrivateKey | None, verifies_until: int | None) -> SigningKey:
    algorithm = _algorithm_of(public)
    if algorithm is None:
        raise ValueError("an RSA key of a size or exponent, or a curve, that no algorithm here uses")
    return SigningKey(
        kid=thumbprint(public),
        algorithm=algorithm,
        verifies_until=verifies_until,
        verifier=public,
        signer=signer,
    )
