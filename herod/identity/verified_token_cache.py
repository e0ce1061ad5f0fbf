"""A cache of access tokens whose signature was verified before."""

from typing import Final

from herod_client.core.access_tokens import Claims
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.signing_keys import SigningKeys

__all__ = ["ENTRY_BYTES", "NAME_BYTES", "VerifiedTokens"]

MAX_VERIFIED: Final = 16_384
MAX_VERIFIED_BYTES: Final = 32 * 1024 * 1024
# Python's memory for a grant or claims, and for a name of 64 letters in a tuple and a set.
ENTRY_BYTES: Final = 512
NAME_BYTES: Final = 256


class VerifiedTokens:
    """Tokens with a verified signature, by the whole token; bounded in number and bytes.

    Only what cannot change is cached: the claims, for one set of signing keys. Expiry, status, revocation, epoch and
    the effective grant are checked again at every use.
    """

    def __init__(self, limit: int = MAX_VERIFIED) -> None:
        self._claims: BoundedCache[str, Claims] = BoundedCache(
            entries=limit, total=MAX_VERIFIED_BYTES, size=_claims_bytes
        )
        self._keys: SigningKeys | None = None

    def get(self, token: str, keys: SigningKeys) -> Claims | None:
        """The claims of a token that was verified before with these same keys."""
        return self._claims.get(token) if keys is self._keys else None

    def add(self, token: str, keys: SigningKeys, claims: Claims) -> None:
        """Cache a token just verified; a change of keys clears the cache."""
        if keys is not self._keys:
            self._claims.clear()
            self._keys = keys
        self._claims.keep(token, claims)


def _claims_bytes(token: str, claims: Claims) -> int:
    return ENTRY_BYTES + 2 * len(token) + NAME_BYTES * len(claims.networks or ())
