"""The encrypted accounts file of Hero Auth."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.accounts_file_encryption import decrypt_users, encrypt_users
from herod.credentials.sealing import SealBroken

SECRET = "a secret, as long as one should be: grüße"


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_round_trip(text: str) -> None:
    """Encryption round-trips, and the file does not contain the plaintext."""
    content = encrypt_users(text, SECRET)
    assert decrypt_users(content, SECRET) == text.encode()
    assert len(content) == len(text.encode()) + 28


def test_format() -> None:
    """The format is the nonce, then plain AES-256-GCM under SHA-256 of the secret."""
    nonce = bytes(range(12))
    key = hashlib.sha256(SECRET.encode()).digest()
    assert encrypt_users("text", SECRET, nonce=nonce) == nonce + AESGCM(key).encrypt(nonce, b"text", None)
    assert encrypt_users("text", SECRET) != encrypt_users("text", SECRET)


def test_what_does_not_open() -> None:
    """Another secret, a flipped bit and a truncated file are refused."""
    content = encrypt_users("text", SECRET)
    with pytest.raises(SealBroken):
        decrypt_users(content, SECRET + "!")
    for place in range(len(content)):
        bad = bytearray(content)
        bad[place] ^= 1
        with pytest.raises(SealBroken):
            decrypt_users(bytes(bad), SECRET)
        with pytest.raises(SealBroken):
            decrypt_users(content[:place], SECRET)
