"""Parses public keys of a JSON Web Key Set (RFC 7517). Pure; the caller must trust its source."""

from typing import Final

import msgspec

from herod_client.client_errors import BadAnswer
from herod_client.core.public_jwks import PublicJwk, parse_public_jwk
from herod_client.core.signing_keys import SigningKey, public_key
from herod_client.http_messages import Json

__all__ = ["parse_jwks"]

MAX_KEYS: Final = 32


class _JwkSet(msgspec.Struct, frozen=True):
    keys: tuple[PublicJwk, ...]


def parse_jwks(answer: Json) -> list[SigningKey]:
    """Return the keys of a set for EdDSA, RS256 and ES256; others are ignored (RFC 7517, section 5).

    Raises:
        BadAnswer: it is not a key set, a key is too weak, or a key does not match its `kid`.
    """
    keys: dict[str, SigningKey] = {}
    try:
        for one in msgspec.convert(answer, _JwkSet).keys[:MAX_KEYS]:
            public = parse_public_jwk(one)
            if public is not None:
                keys[one.kid] = public_key(public)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadAnswer(f"The answer is not a set of public keys: {error}.") from None
    # Herod's `kid` is the key's RFC 7638 thumbprint, so a key that does not match its `kid` is not from herod.
    if any(kid != key.kid for kid, key in keys.items()):
        raise BadAnswer("A public key does not match its kid.")
    return list(keys.values())
