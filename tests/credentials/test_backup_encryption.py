"""The format of a backup file: sealed and opened from one table, and everything else refused."""

import pytest

from herod.credentials.backup_encryption import CHUNK_BYTES, HEADER_BYTES, BackupOpener, BackupSealer, NoBackup
from herod.credentials.keyring import WrongSecret, derive_backup_key, derive_wrap_key
from herod.credentials.sealing import SealBroken

KEY = derive_backup_key("a secret for tests that is long enough")
CHUNKS = [b"a" * CHUNK_BYTES, b"b" * CHUNK_BYTES, b"end"]


def sealed(chunks: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Seal contents into header and chunks."""
    sealer = BackupSealer(KEY)
    return sealer.header, [sealer.seal(chunk, is_last=n == len(chunks) - 1) for n, chunk in enumerate(chunks)]


def opened(header: bytes, chunks: list[bytes]) -> list[bytes]:
    """Open header and chunks into contents."""
    opener = BackupOpener(KEY, header)
    return [opener.open(chunk, is_last=n == len(chunks) - 1) for n, chunk in enumerate(chunks)]


@pytest.mark.parametrize("chunks", [CHUNKS, CHUNKS[:2], [b""], [b"x"]])
def test_what_was_sealed_opens(chunks: list[bytes]) -> None:
    """Sealed contents of any length open again, also empty ones and whole chunks."""
    assert opened(*sealed(chunks)) == chunks


def test_the_form_stays() -> None:
    """A file from the first version still opens."""
    sealer = BackupSealer(bytes(32), salt=bytes(32))
    assert sealer.header[:9] == b"herodbak\x01"
    assert len(sealer.header) == HEADER_BYTES == 57
    assert sealer.header[41:].hex() == "8ceadce991dc5a11d4912c74b9b0e011"
    assert sealer.seal(b"hello", is_last=True).hex() == "ab78d8734d381bd73c4e0da06b2d909e2a01b4cb59"


@pytest.mark.parametrize("broken", ["cut", "swapped", "repeated", "longer", "flipped"])
def test_changed_files_do_not_open(broken: str) -> None:
    """A missing, reordered, repeated, added or altered chunk is detected."""
    header, chunks = sealed(CHUNKS)
    match broken:
        case "cut":
            chunks = chunks[:-1]
        case "swapped":
            chunks[0], chunks[1] = chunks[1], chunks[0]
        case "repeated":
            chunks.insert(1, chunks[0])
        case "longer":
            chunks.append(chunks[-1])
        case _:
            chunks[1] = chunks[1][:-1] + bytes((chunks[1][-1] ^ 1,))
    with pytest.raises(SealBroken):
        opened(header, chunks)


def test_another_secret_is_told_from_damage() -> None:
    """A wrong secret is distinguished from damage."""
    header, _ = sealed(CHUNKS)
    with pytest.raises(WrongSecret):
        BackupOpener(derive_backup_key("another secret"), header)
    assert derive_wrap_key("a") != derive_backup_key("a")


@pytest.mark.parametrize("header", [b"", b"herodbak", b"x" * HEADER_BYTES, b"herodbak\x02" + bytes(48)])
def test_other_files_are_no_backups(header: bytes) -> None:
    """Other files and backups of a future version are refused."""
    with pytest.raises(NoBackup):
        BackupOpener(KEY, header)
