"""Hashes of random secrets: the store keeps an HMAC-SHA256 under the keyring's key for hashes."""

import hmac

from herod.credentials.keyring import Keyring, Purpose

__all__ = ["hash_secret", "matches"]


def hash_secret(keyring: Keyring, purpose_label: str, id: str, text: str) -> bytes:
    """Hash a random secret: 32 bytes of HMAC-SHA256, bound to its label and its record's id.

    Fast on purpose: a secret of 256 random bits cannot be guessed. Never use it for a secret that people choose.

    Args:
        keyring: has the key for hashes.
        purpose_label: the kind of secret: `key`, `client_secret` and the like.
        id: the id of the record that the secret belongs to.
        text: the secret as presented, whole.
    """
    return keyring.mac(
        Purpose.KEY_HASHES,
        purpose_label.encode(),
        # A presented id or secret may contain lone surrogates; it then matches nothing and must not raise.
        id.encode("utf-8", "surrogatepass"),
        text.encode("utf-8", "surrogatepass"),
    )


def matches(stored: bytes, computed: bytes) -> bool:
    """Whether two hashes are equal, in constant time."""
    return hmac.compare_digest(stored, computed)
