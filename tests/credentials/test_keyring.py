"""From a secret to every key, and the keys that sign."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.keyring import (
    Keyring,
    Purpose,
    SigningKey,
    SigningKeys,
    WrongSecret,
    derive_wrap_key,
    ed25519_key,
    ed25519_public_key,
    hs256_key,
    new_ed25519_private,
    new_root,
    renew_root,
    unwrap_root,
    wrap_root,
)
from herod.credentials.sealing import pack_fields
from herod.errors import SettingsError

SECRET = "s" * 32
OTHER_SECRET = "t" * 32
ROOT = bytes(32)

# Every stored byte depends on these: the labels may never change without a new version.
KNOWN_KEYS = {
    Purpose.RECORDS: "dc8b5abda9da55249c79f4f8ea69d276b70307c6661392a800791645d3cd3570",
    Purpose.LOOKUPS: "adf4573a301fd49cab409cf2033ed89e1f3b732063528d028fde1fa94c737f24",
    Purpose.KEY_HASHES: "ee78832b1ecf0799bbfa907cf6308090a25118460e5ba5c2f8d40525b5d4ac76",
    Purpose.SESSIONS: "fec26d86b3426becab186dffcd41da957b6865a7fa57a84f2668420da985ac22",
    Purpose.AUDIT: "aa9a2091e4f77331b3500c8a07a769287cfd43fd73be8277245ede3ef96bf220",
    Purpose.CURSORS: "ddea2bbbcd530b5e81974d78923b0cab76a8fb292c685ae9e6cfa02abc01f98e",
    Purpose.COOKIES: "c64e31abdfe399fa10cc14405c11a2a31cc2b5bba1035f532da6d1d6f9212eaa",
    Purpose.LEGACY: "52a17da249bb9f84ee3306d3a6b998c8a65f52fa28f2c1a2fdb06ba253c65aa3",
}
KNOWN_WRAP = bytes.fromhex(
    "01000000000000000000000000f85aa1d6c99068f45fe7cf97fd5b5bfc39080af4206f875f7952727b826d779b"
    "cfe4656d8a7959045a0d0911f378ffa9"
)

# RFC 8037, appendix A
RFC_8037_PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8037_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def hkdf(key: bytes, label: bytes) -> bytes:
    """RFC 5869 with no salt and one block, written a second time."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), label + b"\x01", "sha256")


class TestRoot:
    """The root opens by the secret and by nothing else."""

    def test_wrap_key_is_hkdf_of_the_utf8_bytes(self) -> None:
        """One secret gives one wrap key, by RFC 5869."""
        assert derive_wrap_key("grüße") == hkdf("grüße".encode(), b"herod wrap key v1")

    @given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
    def test_round_trip(self, secret: str) -> None:
        """A wrapped root opens with its secret."""
        root = new_root()
        assert unwrap_root([wrap_root(root, secret)], secret) == root

    def test_known_wrap(self) -> None:
        """A root wrapped long ago still opens."""
        assert unwrap_root([KNOWN_WRAP], SECRET) == bytes(range(32))

    def test_either_of_two_wraps(self) -> None:
        """While a secret is being changed, both secrets open the root."""
        root = new_root()
        wraps = [wrap_root(root, OTHER_SECRET), wrap_root(root, SECRET)]
        assert unwrap_root(wraps, SECRET) == unwrap_root(wraps, OTHER_SECRET) == root

    @pytest.mark.parametrize("wraps", [[], [wrap_root(ROOT, OTHER_SECRET)], [b""], [KNOWN_WRAP[:-1]]])
    def test_wrong_secret(self, wraps: list[bytes]) -> None:
        """When no wrap opens, the error says so and nothing more."""
        with pytest.raises(WrongSecret):
            unwrap_root(wraps, SECRET)

    def test_roots_differ(self) -> None:
        """Every root is fresh and has 256 bits."""
        assert len({new_root() for _ in range(20)}) == 20
        assert len(new_root()) == 32


class TestKeyring:
    """One key a purpose, none like another."""

    def test_known_keys(self) -> None:
        """The derivation is what it was when the first row was written."""
        keyring = Keyring(ROOT)
        assert {purpose: keyring.key(purpose).hex() for purpose in Purpose} == KNOWN_KEYS

    def test_derivation_is_hkdf(self) -> None:
        """Each key is HKDF of the root under its own label."""
        assert Keyring(ROOT).key(Purpose.AUDIT) == hkdf(ROOT, b"herod purpose key v1 audit")

    def test_no_key_is_shared(self) -> None:
        """Purposes, rows and roots never share a key."""
        keyrings = [Keyring(ROOT), Keyring(b"\1" * 32)]
        keys = {keyring.key(purpose) for keyring in keyrings for purpose in Purpose}
        rows = {keyring.row_key("account", "id", 1) for keyring in keyrings}
        assert len(keys | rows | {ROOT}) == 2 * len(Purpose) + 3

    def test_mac(self) -> None:
        """A MAC is HMAC-SHA256 over the packed fields under the purpose's key."""
        keyring = Keyring(ROOT)
        key = keyring.key(Purpose.LOOKUPS)
        assert keyring.mac(Purpose.LOOKUPS, b"a", b"b") == hmac.digest(key, pack_fields(b"a", b"b"), "sha256")
        assert keyring.mac(Purpose.LOOKUPS, b"ab") != keyring.mac(Purpose.LOOKUPS, b"a", b"b")
        assert keyring.mac(Purpose.LOOKUPS, b"a") != keyring.mac(Purpose.AUDIT, b"a")

    def test_known_row_key(self) -> None:
        """A row sealed long ago still has its key."""
        expected = "4dad28cbd1e42f714e1a99d469ebbb8f6557896201c9f24bad2804f529e0f2c6"
        assert Keyring(ROOT).row_key("account", "id", 7).hex() == expected

    def test_row_keys_differ(self) -> None:
        """Kind, id and revision each change the key, and none runs into the next."""
        keyring = Keyring(ROOT)
        rows = [("account", "id", 1), ("account", "id", 2), ("key", "id", 1), ("account", "i", 1), ("accounti", "d", 1)]
        assert len({keyring.row_key(*row) for row in rows}) == len(rows)

    @pytest.mark.parametrize("length", [0, 31, 33, 63, 65])
    def test_root_length(self, length: int) -> None:
        """A root that is neither 32 nor 64 bytes is a programmer's error."""
        with pytest.raises(ValueError, match="32 or 64 bytes"):
            Keyring(bytes(length))

    def test_a_renewed_root_keeps_the_key_of_the_key_hashes_alone(self) -> None:
        """Every other key is new, and a second renewal keeps that one, too."""
        old = Keyring(ROOT)
        new = Keyring(renew_root(old))
        newer = Keyring(renew_root(new))
        for purpose in Purpose:
            same = purpose is Purpose.KEY_HASHES
            assert (old.key(purpose) == new.key(purpose)) is same
            assert (new.key(purpose) == newer.key(purpose)) is same
        assert old.row_key("account", "id", 1) != new.row_key("account", "id", 1)


class TestSigningKey:
    """One key, one algorithm."""

    @pytest.mark.parametrize("key", [hs256_key(SECRET), ed25519_key(new_ed25519_private())], ids=["HS256", "EdDSA"])
    @given(data=st.binary(max_size=100))
    def test_signs_what_it_verifies(self, key: SigningKey, data: bytes) -> None:
        """A signature holds for its data and for no other."""
        signature = key.sign(data)
        assert key.verify(data, signature)
        assert not key.verify(data + b".", signature)
        assert not key.verify(data, signature[:-1])
        assert not key.verify(data, b"")

    def test_hs256(self) -> None:
        """HS256 is HMAC-SHA256 over the secret's UTF-8 bytes, without `kid`, without a public half."""
        key = hs256_key("grüße und geheime Zeichen, sehr viele")
        secret = "grüße und geheime Zeichen, sehr viele".encode()
        assert key.sign(b"data") == hmac.digest(secret, b"data", "sha256")
        assert (key.kid, key.algorithm, key.verifies_until, key.public_jwk()) == (None, "HS256", None, None)

    @pytest.mark.parametrize(
        "secret",
        [
            "",
            "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
            '{"kty":"oct","k":"AAAA"}',
            "ssh-ed25519 AAAA",
        ],
    )
    def test_key_files_are_no_secrets(self, secret: str) -> None:
        """A secret that other libraries would refuse is refused here, with what to do."""
        with pytest.raises(SettingsError, match="herod secret generate"):
            hs256_key(secret)

    def test_ed25519_vector(self) -> None:
        """The example of RFC 8037, appendix A: thumbprint, JWK and signature."""
        key = ed25519_key(RFC_8037_PRIVATE)
        assert key.kid == RFC_8037_THUMBPRINT
        assert key.public_jwk() == {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": RFC_8037_X,
            "kid": RFC_8037_THUMBPRINT,
            "alg": "EdDSA",
            "use": "sig",
        }
        signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
        assert signature.hex() == (
            "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e"
            "9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02"
        )

    def test_public_half_verifies_only(self) -> None:
        """A verifier of another service holds the public key: the same `kid`, no signing."""
        private = ed25519_key(RFC_8037_PRIVATE)
        public = ed25519_public_key(RFC_8037_PUBLIC, verifies_until=9)
        assert (public.kid, public.verifies_until) == (private.kid, 9)
        assert public.public_jwk() == private.public_jwk()
        assert public.verify(b"data", private.sign(b"data"))
        with pytest.raises(ValueError, match="cannot sign"):
            public.sign(b"data")

    def test_private_keys_are_random(self) -> None:
        """A fresh private key has 32 random bytes."""
        first, second = new_ed25519_private(), new_ed25519_private()
        assert len(first) == 32
        assert first != second

    def test_repr_keeps_secrets(self) -> None:
        """A key in a traceback or a log shows no key material."""
        assert SECRET not in repr(hs256_key(SECRET))
        assert "Private" not in repr(ed25519_key(RFC_8037_PRIVATE))

    @pytest.mark.parametrize(("until", "now", "live"), [(None, 10**12, True), (100, 99, True), (100, 100, False)])
    def test_hard_stop(self, until: int | None, now: int, live: bool) -> None:
        """A retired key stops at its second."""
        assert hs256_key(SECRET, verifies_until=until).is_live(now) is live


class TestSigningKeys:
    """The current key signs; retired ones verify."""

    CURRENT = ed25519_key(RFC_8037_PRIVATE)
    OLD = ed25519_key(hashlib.sha256(b"old").digest(), verifies_until=100)
    SHARED = hs256_key(SECRET, verifies_until=100)
    OLDER_SHARED = hs256_key(OTHER_SECRET, verifies_until=50)

    def test_found_by_kid(self) -> None:
        """Each key is found by its own `kid`; no `kid` means HS256; an unknown one finds nothing."""
        keys = SigningKeys(self.CURRENT, [self.OLD, self.SHARED])
        assert keys.current is self.CURRENT
        assert keys.find(self.CURRENT.kid) is self.CURRENT
        assert keys.find(self.OLD.kid) is self.OLD
        assert keys.find(None) is self.SHARED
        assert keys.find("../../etc/passwd") is None
        assert keys.find("") is None
        assert list(keys) == [self.CURRENT, self.OLD, self.SHARED]

    def test_two_secrets(self) -> None:
        """A changed HERO_SECRET leaves two keys without `kid`, the newest first."""
        keys = SigningKeys(self.CURRENT, [self.SHARED, self.OLDER_SHARED])
        assert keys.find_all(None) == (self.SHARED, self.OLDER_SHARED)
        assert keys.find(None) is self.SHARED

    def test_no_shared_key(self) -> None:
        """Where HS256 was never used, a token without `kid` finds no key."""
        assert SigningKeys(self.CURRENT).find(None) is None

    def test_current_has_no_stop(self) -> None:
        """A key that stops verifying must not sign."""
        with pytest.raises(ValueError, match="current"):
            SigningKeys(self.SHARED)

    def test_retired_has_a_stop(self) -> None:
        """A retired key without an end would verify for ever."""
        with pytest.raises(ValueError, match="retired"):
            SigningKeys(self.CURRENT, [hs256_key(SECRET)])

    def test_one_algorithm_a_kid(self) -> None:
        """Two algorithms under one `kid` are what algorithm confusion needs."""
        confused = SigningKey(kid=self.CURRENT.kid, algorithm="HS256", verifies_until=100, verifier=RFC_8037_PUBLIC)
        with pytest.raises(ValueError, match="two algorithms"):
            SigningKeys(self.CURRENT, [confused])
