"""Secret hashes imported from another store or from Hero Auth."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.imported_secret_hashes import (
    NO_HASH,
    OWN_KEY,
    ImportedHash,
    hash_key_id,
    import_sha256,
    matches_imported,
    pack_hash,
    parse_hash,
)
from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.secret_hashes import hash_secret

ELSEWHERE, HERE = Keyring(b"\1" * 32), Keyring(b"\2" * 32)
SECRET = "herod_c_something"
carried_hashes = st.builds(
    ImportedHash,
    key_id=st.binary(min_size=8, max_size=8).map(bytes.hex),
    mac=st.binary(min_size=32, max_size=32),
    is_of_sha256=st.booleans(),
)


@given(carried=carried_hashes)
def test_round_trip(carried: ImportedHash) -> None:
    """A packed hash unpacks to the same value."""
    assert parse_hash(pack_hash(carried)) == carried


@given(stored=st.binary(max_size=50))
def test_any_bytes(stored: bytes) -> None:
    """Any bytes unpack to a hash in its canonical form, or to None."""
    carried = parse_hash(stored)
    if carried is not None and not (len(stored) == 41 and carried.key_id == OWN_KEY and not carried.is_of_sha256):
        assert pack_hash(carried) == stored


def test_own_hashes_are_as_they_were() -> None:
    """The store's own hash has 32 bytes and no header."""
    stored = hash_secret(HERE, "key", "id", SECRET)
    assert parse_hash(stored) == ImportedHash(OWN_KEY, stored)
    assert pack_hash(ImportedHash(OWN_KEY, stored)) == stored
    assert parse_hash(NO_HASH) is None
    assert parse_hash(b"\3" + bytes(40)) is None


@pytest.mark.parametrize("carried", [ImportedHash("00", bytes(32)), ImportedHash(OWN_KEY, bytes(31))])
def test_bad_lengths(carried: ImportedHash) -> None:
    """Fields of a length that could not be unpacked are refused."""
    with pytest.raises(ValueError, match="8 bytes and"):
        pack_hash(carried)


def test_verified_under_the_key_it_was_made_with() -> None:
    """An imported hash matches under the key, label and id of its store only."""
    key = ELSEWHERE.key(Purpose.KEY_HASHES)
    carried = ImportedHash(hash_key_id(key), hash_secret(ELSEWHERE, "key", "id", SECRET))
    assert matches_imported(carried, key, "key", "id", SECRET)
    assert not matches_imported(carried, HERE.key(Purpose.KEY_HASHES), "key", "id", SECRET)
    for label, id_, text in (("client_secret", "id", SECRET), ("key", "other", SECRET), ("key", "id", "x\ud800")):
        assert not matches_imported(carried, key, label, id_, text)


def test_sha256_of_hero_auth() -> None:
    """The secret matches Hero Auth's SHA-256; the hash itself, presented as a secret, does not."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    carried = parse_hash(import_sha256(HERE, "client_secret", "id", digest.upper()))
    assert carried is not None
    assert carried.key_id == OWN_KEY
    key = HERE.key(Purpose.KEY_HASHES)
    assert matches_imported(carried, key, "client_secret", "id", SECRET)
    assert not matches_imported(carried, key, "client_secret", "id", digest)
    with pytest.raises(ValueError, match="64"):
        import_sha256(HERE, "client_secret", "id", digest[1:])


def test_ids_of_keys() -> None:
    """A key id identifies a key without disclosing it; other bytes have none."""
    assert hash_key_id(b"\1" * 32) == hash_key_id(b"\1" * 32) != hash_key_id(b"\2" * 32)
    assert len(hash_key_id(b"\1" * 32)) == 16
    with pytest.raises(ValueError, match="32"):
        hash_key_id(b"short")
