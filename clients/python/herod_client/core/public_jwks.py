"""Public keys as JSON Web Keys: RSA and P-256 (RFC 7518, section 6), Ed25519 (RFC 8037). Pure.

Never reads or writes a private member, nor takes a key from a token.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["PublicJwk", "PublicKey", "parse_public_jwk", "public_members", "thumbprint"]

PublicKey = Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey

P256_BYTES: Final = 32
MAX_MEMBER_CHARS: Final = 2048


class PublicJwk(msgspec.Struct, frozen=True):
    """The members of a public key that herod reads; absent ones are empty."""

    kty: str
    kid: str = ""
    alg: str = ""
    use: str = "sig"
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


def public_members(key: PublicKey) -> dict[str, str]:
    """The members that make the key, which are those that its thumbprint covers (RFC 7638, section 3.2)."""
    match key:
        case rsa.RSAPublicKey():
            rsa_numbers = key.public_numbers()
            return {"e": _from_number(rsa_numbers.e), "kty": "RSA", "n": _from_number(rsa_numbers.n)}
        case ec.EllipticCurvePublicKey():
            numbers = key.public_numbers()
            x, y = (_encode(number.to_bytes(P256_BYTES, "big")) for number in (numbers.x, numbers.y))
            return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        case _:
            return {
                "crv": "Ed25519",
                "kty": "OKP",
                "x": _encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
            }


def thumbprint(key: PublicKey) -> str:
    """The key's RFC 7638 thumbprint: SHA-256 of its required members, sorted, without white space."""
    return _encode(hashlib.sha256(msgspec.json.encode(public_members(key), order="sorted")).digest())


def parse_public_jwk(jwk: PublicJwk) -> PublicKey | None:
    """The key of a JWK; None for a kind of key, a use or an algorithm that herod does not have.

    Raises:
        ValueError: its members are no such key: bad base64url, a wrong length, a point that is not on the curve.
    """
    match (jwk.use, jwk.kty, jwk.crv, jwk.alg):
        case ("sig", "OKP", "Ed25519", "" | "EdDSA"):
            return Ed25519PublicKey.from_public_bytes(_decode(jwk.x))
        case ("sig", "EC", "P-256", "" | "ES256"):
            x, y = _decode(jwk.x), _decode(jwk.y)
            if len(x) != P256_BYTES or len(y) != P256_BYTES:
                raise ValueError("a coordinate of P-256 has 32 bytes")
            point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
            return point.public_key()
        case ("sig", "RSA", "", "" | "RS256"):
            n, e = (int.from_bytes(_decode(member), "big") for member in (jwk.n, jwk.e))
            return rsa.RSAPublicNumbers(e, n).public_key()
        case _:
            return None


def _from_number(number: int) -> str:
    """Base64urlUInt (RFC 7518, section 2): the fewest bytes, big-endian."""
    return _encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    if len(text) > MAX_MEMBER_CHARS:
        raise ValueError("a member is too long")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
