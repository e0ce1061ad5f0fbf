"""Hashes of random secrets."""

from herod.credentials.keyring import Keyring
from herod.credentials.secret_hashes import hash_secret, matches

ID = "0Az9bcDEfgHI"
SECRET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"


class TestHashes:
    """Stored hashes of a secret."""

    KEYRING = Keyring(bytes(32))

    def test_bound_to_everything(self) -> None:
        """Root, label, id and text each change the hash, and their boundaries are unambiguous."""
        hashes = {
            hash_secret(self.KEYRING, "key", ID, SECRET),
            hash_secret(Keyring(b"\1" * 32), "key", ID, SECRET),
            hash_secret(self.KEYRING, "client_secret", ID, SECRET),
            hash_secret(self.KEYRING, "key", ID[:-1], SECRET),
            hash_secret(self.KEYRING, "key", ID, SECRET[:-1]),
            hash_secret(self.KEYRING, "key", ID[:-1], ID[-1] + SECRET),
        }
        assert len(hashes) == 6
        assert {len(value) for value in hashes} == {32}

    def test_matches(self) -> None:
        """Only the same secret matches, whatever the length."""
        stored = hash_secret(self.KEYRING, "key", ID, SECRET)
        assert matches(stored, hash_secret(self.KEYRING, "key", ID, SECRET))
        assert not matches(stored, hash_secret(self.KEYRING, "key", ID, SECRET + "x"))
        assert not matches(stored, stored[:-1])

    def test_odd_text(self) -> None:
        """A text with lone surrogates is hashed without an error."""
        assert len(hash_secret(self.KEYRING, "key", "\ud800", "\udfff")) == 32
