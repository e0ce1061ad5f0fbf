"""Tokens for tests of verification: valid ones, and arbitrary ones with a valid signature."""

import json
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

from herod_client.core.access_tokens import Claims, issue, verify
from herod_client.core.errors import BadToken, ExpiredToken
from herod_client.core.signing_keys import SigningKey, SigningKeys, ed25519_key, hs256_key

NOW = 1_800_000_000
TTL = 3600
ISSUER = "hero_auth"
URL = "https://auth.example"
AUDIENCE = "https://jobs.example"

SECRET = "s" * 32
SHARED = hs256_key(SECRET)
PRIVATE = bytes(range(32))
ED25519 = ed25519_key(PRIVATE)
BOTH = SigningKeys(ED25519, [hs256_key(SECRET, verifies_until=NOW + 2 * TTL)])

CLAIMS = Claims(
    sub="3b7c", iss=ISSUER, iat=NOW, exp=NOW + TTL, scope="read write", jti="9f1e", epoch=3, via="client_secret"
)
AUDIENCE_CLAIMS = msgspec.structs.replace(CLAIMS, iss=URL, aud=AUDIENCE, client_id="3b7c")
HEADER = {"alg": "HS256", "typ": "JWT"}
PAYLOAD: dict[str, Any] = json.loads(msgspec.json.encode(CLAIMS))
COMPACT = json.dumps(PAYLOAD, separators=(",", ":"))


def with_raw(members: str) -> str:
    """The payload with additional members, as text."""
    return COMPACT[:-1] + "," + members + "}"


def encode(data: bytes) -> str:
    """Encode as Base64url without padding."""
    return jwt.utils.base64url_encode(data).decode()


def forge(header: str | Mapping[str, Any], payload: str | bytes | Mapping[str, Any], key: SigningKey = SHARED) -> str:
    """A token with any header and payload and a valid signature: what a service with HERO_SECRET could send."""
    parts = []
    for part in (header, payload):
        text = json.dumps(part, separators=(",", ":")) if isinstance(part, Mapping) else part
        parts.append(encode(text.encode() if isinstance(text, str) else text))
    signing_input = ".".join(parts)
    return f"{signing_input}.{encode(key.sign(signing_input.encode()))}"


def check(token: str, *, keys: SigningKeys | None = None, now: int = NOW, ttl: int = TTL) -> Claims:
    """Verify as the daemon does."""
    return verify(
        token,
        keys if keys is not None else SigningKeys(SHARED),
        issuer=ISSUER,
        audience_issuer=URL,
        ttl=ttl,
        now=now,
    )


def refusal(token: str, *, keys: SigningKeys | None = None, now: int = NOW, ttl: int = TTL) -> str | None:
    """The reason of the refusal; None if the token is accepted."""
    try:
        check(token, keys=keys, now=now, ttl=ttl)
    except (BadToken, ExpiredToken) as error:
        return error.reason
    return None


GOOD = issue(CLAIMS, SHARED)
HEAD, BODY, SIGNATURE = GOOD.split(".")
