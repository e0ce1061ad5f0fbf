"""Hashes of ownership secrets, with which tenants open resources.

People choose these secrets, so a thief of the store's file could guess them; but the hash needs a key, which is sealed.
"""

from typing import Final

from herod.credentials.keyring import Keyring, Purpose

__all__ = ["UNPROTECTED", "hash_ownership_secret"]

UNPROTECTED: Final = ""
"""The secret, and the hash, of resources that need none."""


def hash_ownership_secret(keyring: Keyring, claimant: str, secret: str) -> str:
    """What a resource keeps of its secret: HMAC-SHA256 in hex, bound to the claimant; `UNPROTECTED` for none.

    Without a secret it is the same work, so that the time does not tell.

    Args:
        claimant: the id of the principal that claimed the resource.
        secret: without lone surrogates.
    """
    mac = keyring.mac(Purpose.OWNERSHIP, claimant.encode(), secret.encode())
    return UNPROTECTED if secret == UNPROTECTED else mac.hex()
