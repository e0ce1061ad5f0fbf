"""The format of a backup file: the store's file in numbered, sealed chunks.

Format, byte by byte:

    file    = header ‖ chunk 0 ‖ chunk 1 ‖ … ‖ last chunk
    header  = "herodbak" ‖ version (1) ‖ salt (32) ‖ check (16)
    chunk   = AES-256-GCM ciphertext of CHUNK_BYTES, of at most that many for the last ‖ tag (16)
    nonce   = number of the chunk (11, big-endian) ‖ 1 for the last chunk, 0 for the others
    key     = HKDF-SHA256(backup key, salt, "herod backup file v1"); associated data = header
    check   = HKDF-SHA256(backup key, salt, "herod backup check v1"): tells a wrong secret from a damaged file

A missing, moved, repeated or truncated chunk does not open, nor does a chunk that is wrongly marked as the last or not
(the STREAM construction; Hoang, Reyhanitabar, Rogaway and Vizár 2015). Nonces may be counters because each file has its
own key. Pure: bytes in, bytes out.
"""

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from herod.credentials.keyring import WrongSecret
from herod.credentials.sealing import KEY_BYTES, SealBroken

__all__ = ["CHUNK_BYTES", "HEADER_BYTES", "SEALED_CHUNK_BYTES", "BackupOpener", "BackupSealer", "NoBackup"]

MAGIC: Final = b"herodbak"
VERSION: Final = b"\x01"
SALT_BYTES: Final = 32
CHECK_BYTES: Final = 16
CHUNK_BYTES: Final = 64 * 1024
SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + 16
HEADER_BYTES: Final = len(MAGIC) + len(VERSION) + SALT_BYTES + CHECK_BYTES

FILE_LABEL: Final = b"herod backup file v1"
CHECK_LABEL: Final = b"herod backup check v1"


class NoBackup(ValueError):
    """The file does not begin with the header of a backup of a known version."""


class _Chunks:
    """What sealing and opening share: the cipher and the number of the next chunk."""

    def __init__(self, backup_key: bytes, salt: bytes) -> None:
        self.header = MAGIC + VERSION + salt + _derive(backup_key, salt, CHECK_LABEL, CHECK_BYTES)
        self._cipher = AESGCM(_derive(backup_key, salt, FILE_LABEL, KEY_BYTES))
        self._number = 0

    def _nonce(self, *, is_last: bool) -> bytes:
        nonce = self._number.to_bytes(11, "big") + bytes((is_last,))
        self._number += 1
        return nonce


class BackupSealer(_Chunks):
    """Seals one file. Write `header` first, then each chunk.

    Args:
        backup_key: from `derive_backup_key`.
        salt: for tests only; random otherwise.
    """

    def __init__(self, backup_key: bytes, *, salt: bytes | None = None) -> None:
        super().__init__(backup_key, secrets.token_bytes(SALT_BYTES) if salt is None else salt)

    def seal(self, chunk: bytes, *, is_last: bool) -> bytes:
        """Seal the next chunk: `CHUNK_BYTES`, or at most that many for the last."""
        return self._cipher.encrypt(self._nonce(is_last=is_last), chunk, self.header)


class BackupOpener(_Chunks):
    """Opens one file.

    Args:
        backup_key: from `derive_backup_key`.
        header: the file's first `HEADER_BYTES`.

    Raises:
        NoBackup: the file is not a backup of a known version.
        WrongSecret: the backup was made with another secret, or the header is damaged.
    """

    def __init__(self, backup_key: bytes, header: bytes) -> None:
        if len(header) != HEADER_BYTES or header[: len(MAGIC) + len(VERSION)] != MAGIC + VERSION:
            raise NoBackup("the file is not a backup of a known version")
        super().__init__(backup_key, header[len(MAGIC) + len(VERSION) :][:SALT_BYTES])
        if not hmac.compare_digest(self.header, header):
            raise WrongSecret("the backup was made with another secret")

    def open(self, sealed: bytes, *, is_last: bool) -> bytes:
        """Open the next chunk.

        Raises:
            SealBroken: it is not the chunk that was sealed at this position.
        """
        try:
            return self._cipher.decrypt(self._nonce(is_last=is_last), sealed, self.header)
        except InvalidTag:
            raise SealBroken("the chunk does not open") from None


def _derive(backup_key: bytes, salt: bytes, label: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=label).derive(backup_key)
