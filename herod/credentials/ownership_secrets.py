"""Hashes of ownership secrets, with which tenants open resources.

People choose these secrets, so a thief of the store's file could guess them; but the hash needs a key, which is sealed.
"""

from typing import Final

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.secret_normal_form import composed, decomposed, normal_secret

__all__ = ["UNPROTECTED", "hash_ownership_secret", "ownership_hashes"]

UNPROTECTED: Final = ""
"""The secret, and the hash, of resources that need none."""


def hash_ownership_secret(keyring: Keyring, claimant: str, secret: str) -> str:
    """What a resource keeps of its secret in normal form: HMAC-SHA256 in hex, bound to the claimant.

    Args:
        claimant: the id of the principal that claimed the resource.
        secret: without lone surrogates; `UNPROTECTED` for none.
    """
    return _hash(keyring, claimant, normal_secret(secret))


def ownership_hashes(keyring: Keyring, claimant: str, secret: str) -> tuple[str, ...]:
    """What a resource may keep of a secret: of its normal form, and of the text as keyboards write it.

    Earlier versions kept the text as it was typed, so that of an `é` in one character, or in two. Arguments as for
    `hash_ownership_secret`. All are always computed, so that the time does not tell.
    """
    forms = (normal_secret(secret), secret, composed(secret), decomposed(secret))
    return tuple([_hash(keyring, claimant, form) for form in forms])


def _hash(keyring: Keyring, claimant: str, secret: str) -> str:
    # Without a secret it is the same work.
    mac = keyring.mac(Purpose.OWNERSHIP, claimant.encode(), secret.encode())
    return UNPROTECTED if secret == UNPROTECTED else mac.hex()
