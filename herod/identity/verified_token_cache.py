"""Access tokens whose signature has been checked before: what cannot change about them is remembered."""

from typing import Final

from herod_client.core.access_tokens import Claims
from herod_client.core.bounded_cache import BoundedCache
from herod_client.core.signing_keys import SigningKeys

__all__ = ["ENTRY_BYTES", "NAME_BYTES", "VerifiedTokens"]

MAX_VERIFIED: Final = 16_384
MAX_VERIFIED_BYTES: Final = 32 * 1024 * 1024
# What Python takes for a grant or claims, and for a name of 64 letters in a tuple and a set.
ENTRY_BYTES: Final = 512
NAME_BYTES: Final = 256


class VerifiedTokens:
    """Tokens whose signature has been checked, by the whole token; bounded in number and bytes.

    Only what cannot change is kept: the claims and the key that signed them. Expiry, status, revocation, epoch and the
    effective grant are looked at again at every use.
    """

    def __init__(self, limit: int = MAX_VERIFIED) -> None:
        self._claims: BoundedCache[str, Claims] = BoundedCache(
            entries=limit, total=MAX_VERIFIED_BYTES, size=_claims_bytes
        )
        self._keys: SigningKeys | None = None

    def get(self, token: str, keys: SigningKeys) -> Claims | None:
        """The claims of a token seen before under these very keys."""
        return self._claims.get(token) if keys is self._keys else None

    def add(self, token: str, keys: SigningKeys, claims: Claims) -> None:
        """Remember a token just verified; other keys than before drop all that was known."""
        if keys is not self._keys:
            self._claims.clear()
            self._keys = keys
        self._claims.keep(token, claims)


def _claims_bytes(token: str, claims: Claims) -> int:
    return ENTRY_BYTES + 2 * len(token) + NAME_BYTES * len(claims.networks or ())
