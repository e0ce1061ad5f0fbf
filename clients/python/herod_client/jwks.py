"""Public keys out of a JSON Web Key Set (RFC 7517, RFC 8037). Pure; who fetched it answers for where it comes from."""

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
    """The Ed25519 keys of a set; others are passed over (RFC 7517, section 5).

    Raises:
        BadAnswer: it is no such set, or a key is not what its `kid` says.
    """
    try:
        found = msgspec.convert(answer, _JwkSet).keys[:MAX_KEYS]
        keys = {one.kid: ed25519_public_key(_decode(one.x)) for one in found if _is_ours(one)}
    except (msgspec.ValidationError, ValueError) as error:
        raise BadAnswer(f"What came is no set of public keys: {error}.") from None
    # herod names a key by its RFC 7638 thumbprint, so a key under another's name cannot come from it.
    if any(kid != key.kid for kid, key in keys.items()):
        raise BadAnswer("A public key came under another's name.")
    return list(keys.values())


def _is_ours(one: _Jwk) -> bool:
    return (one.kty, one.crv, one.use) == ("OKP", "Ed25519", "sig")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
