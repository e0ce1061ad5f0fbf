"""Parses public keys of a JSON Web Key Set (RFC 7517, RFC 8037). Pure; the caller must trust its source."""

from base64 import urlsafe_b64decode
from typing import Final

import msgspec

from herod_client.client_errors import BadAnswer
from herod_client.core.signing_keys import SigningKey, ed25519_public_key
from herod_client.http_messages import Json

__all__ = ["parse_jwks"]

MAX_KEYS: Final = 32


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str = ""
    crv: str = ""
    x: str = ""
    use: str = "sig"


class _JwkSet(msgspec.Struct, frozen=True):
    keys: tuple[_Jwk, ...]


def parse_jwks(answer: Json) -> list[SigningKey]:
    """Return the Ed25519 keys of a set; others are ignored (RFC 7517, section 5).

    Raises:
        BadAnswer: it is not a key set, or a key does not match its `kid`.
    """
    try:
        found = msgspec.convert(answer, _JwkSet).keys[:MAX_KEYS]
        keys = {one.kid: ed25519_public_key(_decode(one.x)) for one in found if _is_ours(one)}
    except (msgspec.ValidationError, ValueError) as error:
        raise BadAnswer(f"The answer is not a set of public keys: {error}.") from None
    # Herod's `kid` is the key's RFC 7638 thumbprint, so a key that does not match its `kid` is not from herod.
    if any(kid != key.kid for kid, key in keys.items()):
        raise BadAnswer("A public key does not match its kid.")
    return list(keys.values())


def _is_ours(one: _Jwk) -> bool:
    return (one.kty, one.crv, one.use) == ("OKP", "Ed25519", "sig")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
