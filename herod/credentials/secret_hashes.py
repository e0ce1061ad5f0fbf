"""What is kept of a random secret instead of it: an HMAC-SHA256 under the keyring's key for hashes."""

import hmac

from herod.credentials.keyring import Keyring, Purpose

__all__ = ["hash_secret", "matches"]


def hash_secret(keyring: Keyring, purpose_label: str, id: str, text: str) -> bytes:
    """What is kept of a random secret: 32 bytes of HMAC-SHA256, bound to its label and the id it belongs to.

    Fast on purpose: the secret has 256 bits, so there is nothing to guess. Never for what people choose.

    Args:
        keyring: gives the key for hashes.
        purpose_label: what the secret is: `key`, `client_secret` and the like.
        id: whose it is.
        text: the secret as presented, whole.
    """
    return keyring.mac(
        Purpose.KEY_HASHES,
        purpose_label.encode(),
        # A presented id or secret may hold lone surrogates; it then matches nothing, and must not raise.
        id.encode("utf-8", "surrogatepass"),
        text.encode("utf-8", "surrogatepass"),
    )


def matches(stored: bytes, computed: bytes) -> bool:
    """Whether two hashes are equal, in constant time."""
    return hmac.compare_digest(stored, computed)
