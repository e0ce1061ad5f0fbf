"""Sealed envelopes: AES-256-GCM bound to associated data.

Format, byte by byte:

    envelope = version (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
    associated data of the cipher = version ‖ the caller's associated data

An envelope opens only under its key and with the same associated data. This file must never report why one did
not open: wrong key, wrong associated data and flipped bits look alike.
"""

import secrets
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "SEAL_BYTES", "SealBroken", "pack_fields", "seal", "unseal"]

VERSION: Final = b"\x01"
KEY_BYTES: Final = 32  # AES-256
NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 5.2.1.1
TAG_BYTES: Final = 16
SEAL_BYTES: Final = len(VERSION) + NONCE_BYTES + TAG_BYTES  # how much longer an envelope is than its plaintext

_pack_length = struct.Struct(">I").pack


class SealBroken(ValueError):
    """An envelope does not open: wrong key, wrong associated data, or changed bytes. Never shown to a client."""


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Encrypt `plaintext` under a 32-byte `key`, bound to `associated`, which the envelope does not contain.

    Raises:
        ValueError: the key is not 32 bytes long.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return VERSION + nonce + _cipher(key).encrypt(nonce, plaintext, VERSION + associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Open an envelope made by `seal` with the same `key` and `associated`.

    Raises:
        SealBroken: the envelope does not open.
        ValueError: the key is not 32 bytes long.
    """
    cipher = _cipher(key)
    if len(sealed) < SEAL_BYTES or sealed[:1] != VERSION:
        raise SealBroken("the envelope does not open")
    try:
        return cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], VERSION + associated)
    except InvalidTag:
        raise SealBroken("the envelope does not open") from None


def pack_fields(*fields: bytes) -> bytes:
    """Join fields, each prefixed with its length in four bytes: no two different lists give the same bytes."""
    packed = b""
    for field in fields:  # faster than a join for the two to five fields of a row
        packed += _pack_length(len(field)) + field
    return packed


def _cipher(key: bytes) -> AESGCM:
    # AESGCM also accepts 16 and 24 bytes, and would silently use another cipher.
    if len(key) != KEY_BYTES:
        raise ValueError(f"a sealing key has {KEY_BYTES} bytes, not {len(key)}")
    return AESGCM(key)
