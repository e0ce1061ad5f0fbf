"""The encrypted file in which Hero Auth keeps its users, and in which accounts and keys move between herods.

Format:

    nonce (12) ‖ AES-256-GCM of the text ‖ tag (16)        key: SHA-256 of the secret's UTF-8 bytes

No associated data and no version: the format is the older system's. The key derivation is not slow, so the secret must
be random. Plaintext never leaves memory here.
"""

import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from herod.credentials.sealing import NONCE_BYTES, TAG_BYTES, SealBroken

__all__ = ["decrypt_users", "encrypt_users"]

_SMALLEST: Final = NONCE_BYTES + TAG_BYTES


def encrypt_users(text: str, secret: str, *, nonce: bytes | None = None) -> bytes:
    """Encrypt `text` to the content of a file.

    Args:
        nonce: for tests only; random otherwise.
    """
    nonce = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
    return nonce + _cipher(secret).encrypt(nonce, text.encode(), None)


def decrypt_users(content: bytes, secret: str) -> bytes:
    """Decrypt the content of a file.

    Raises:
        SealBroken: it was encrypted with another secret, changed or truncated.
    """
    if len(content) < _SMALLEST:
        raise SealBroken("the file is too short")
    try:
        return _cipher(secret).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], None)
    except InvalidTag:
        raise SealBroken("the file does not open") from None


def _cipher(secret: str) -> AESGCM:
    return AESGCM(hashlib.sha256(secret.encode()).digest())
