"""Key derivation, from a secret to every key."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.keyring import (
    Keyring,
    Purpose,
    WrongSecret,
    derive_wrap_key,
    new_root,
    renew_root,
    unwrap_root,
    wrap_root,
)
from herod.credentials.sealing import pack_fields

SECRET = "s" * 32
OTHER_SECRET = "t" * 32
ROOT = bytes(32)

# All stored data depends on these: labels must not change without a new version.
KNOWN_KEYS = {
    Purpose.RECORDS: "dc8b5abda9da55249c79f4f8ea69d276b70307c6661392a800791645d3cd3570",
    Purpose.LOOKUPS: "adf4573a301fd49cab409cf2033ed89e1f3b732063528d028fde1fa94c737f24",
    Purpose.KEY_HASHES: "ee78832b1ecf0799bbfa907cf6308090a25118460e5ba5c2f8d40525b5d4ac76",
    Purpose.SESSIONS: "fec26d86b3426becab186dffcd41da957b6865a7fa57a84f2668420da985ac22",
    Purpose.AUDIT: "aa9a2091e4f77331b3500c8a07a769287cfd43fd73be8277245ede3ef96bf220",
    Purpose.LEGACY: "52a17da249bb9f84ee3306d3a6b998c8a65f52fa28f2c1a2fdb06ba253c65aa3",
    Purpose.OWNERSHIP: "f3e71d31f70ae0f3b8cdfa084726e81b3e4a3439be4ef6cc0612544ca5a8111a",
    Purpose.DYNAMIC_APPS: "fabf9b0f0292c8c2e5b3f6011549b7f80e7e65fa873688671f841b1750fc1c8f",
    Purpose.DYNAMIC_APP_SECRETS: "fc200cde1a6995224b6ab009c1caeb88a161bc544a55d481c0f7a7868e9b0722",
    Purpose.REFRESH_TOKENS: "f25f82484ceafe01d25ea59a2c6bfe2d525f3f56f5c8cb558464a5a608e475d0",
    Purpose.AUTHORIZATION_CODES: "8ece3d2dedbe4d7580d255b8a86d69db8b5189e7a45ad9e893930d9eba93b79b",
    Purpose.AUTHORIZATION_REQUESTS: "976ccb58f27646cf487d986ba9c3d9101e0efef77dd60e294ecd7f38b9b120ef",
    Purpose.LOGOUT_REQUESTS: "2526abac706b9f954f8bb859b0cccdea4d1ee9dde99b8359bf924b9f11421a12",
    Purpose.APPROVALS: "f1dc6bfb6c75e1860c7beee5819f44b17ab882c98571e3cbc902a8133a040e70",
    Purpose.LANDINGS: "a446e530faaeccd626baec060373e609fd3d809fc51ebf3ee963fbdc07c5a665",
    Purpose.CHALLENGES: "3b1b6b6b703e79ebe1dbb82ef74e37971d40ad5c9c934432e356099aad78f053",
    Purpose.SIGN_INS: "706a07c50edadaca2aaa310e8d1ef0e0ea4484eebb323ca628eb7b9c06aab6a8",
    Purpose.DEVICE_CODES: "5bdd3a774b41d461bef0d7b048c404462d3e9199c7c867bdd26972ae95702578",
    Purpose.DEVICE_REQUESTS: "63b6bbfc2d8a3152e33487acce7118d03dc6c4b6f7eca703fc68f9ce60fc6044",
}
KNOWN_WRAP = bytes.fromhex(
    "01000000000000000000000000f85aa1d6c99068f45fe7cf97fd5b5bfc39080af4206f875f7952727b826d779b"
    "cfe4656d8a7959045a0d0911f378ffa9"
)


def hkdf(key: bytes, label: bytes) -> bytes:
    """RFC 5869 with no salt and one block, implemented independently."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), label + b"\x01", "sha256")


class TestRoot:
    """The root opens with its secret only."""

    def test_wrap_key_is_hkdf_of_the_utf8_bytes(self) -> None:
        """A secret gives one wrap key, by RFC 5869."""
        assert derive_wrap_key("grüße") == hkdf("grüße".encode(), b"herod wrap key v1")

    @given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
    def test_round_trip(self, secret: str) -> None:
        """A wrapped root opens with its secret."""
        root = new_root()
        assert unwrap_root([wrap_root(root, secret)], secret) == root

    def test_known_wrap(self) -> None:
        """A wrapped root from the first version still opens."""
        assert unwrap_root([KNOWN_WRAP], SECRET) == bytes(range(32))

    def test_either_of_two_wraps(self) -> None:
        """During a change of secret, both secrets open the root."""
        root = new_root()
        wraps = [wrap_root(root, OTHER_SECRET), wrap_root(root, SECRET)]
        assert unwrap_root(wraps, SECRET) == unwrap_root(wraps, OTHER_SECRET) == root

    @pytest.mark.parametrize("wraps", [[], [wrap_root(ROOT, OTHER_SECRET)], [b""], [KNOWN_WRAP[:-1]]])
    def test_wrong_secret(self, wraps: list[bytes]) -> None:
        """When no wrap opens, the error discloses nothing else."""
        with pytest.raises(WrongSecret):
            unwrap_root(wraps, SECRET)

    def test_roots_differ(self) -> None:
        """Every root is new and has 256 bits."""
        assert len({new_root() for _ in range(20)}) == 20
        assert len(new_root()) == 32


class TestKeyring:
    """One key for each purpose, all different."""

    def test_known_keys(self) -> None:
        """The derivation has not changed since the first version."""
        keyring = Keyring(ROOT)
        assert {purpose: keyring.key(purpose).hex() for purpose in Purpose} == KNOWN_KEYS

    def test_derivation_is_hkdf(self) -> None:
        """Each key is HKDF of the root with its own label."""
        assert Keyring(ROOT).key(Purpose.AUDIT) == hkdf(ROOT, b"herod purpose key v1 audit")

    def test_no_key_is_shared(self) -> None:
        """Purposes, rows and roots never share a key."""
        keyrings = [Keyring(ROOT), Keyring(b"\1" * 32)]
        keys = {keyring.key(purpose) for keyring in keyrings for purpose in Purpose}
        rows = {keyring.row_key("account", "id", 1) for keyring in keyrings}
        assert len(keys | rows | {ROOT}) == 2 * len(Purpose) + 3

    def test_mac(self) -> None:
        """A MAC is HMAC-SHA256 of the packed fields with the purpose's key."""
        keyring = Keyring(ROOT)
        key = keyring.key(Purpose.LOOKUPS)
        assert keyring.mac(Purpose.LOOKUPS, b"a", b"b") == hmac.digest(key, pack_fields(b"a", b"b"), "sha256")
        assert keyring.mac(Purpose.LOOKUPS, b"ab") != keyring.mac(Purpose.LOOKUPS, b"a", b"b")
        assert keyring.mac(Purpose.LOOKUPS, b"a") != keyring.mac(Purpose.AUDIT, b"a")

    def test_known_row_key(self) -> None:
        """A row sealed by the first version still has its key."""
        expected = "4dad28cbd1e42f714e1a99d469ebbb8f6557896201c9f24bad2804f529e0f2c6"
        assert Keyring(ROOT).row_key("account", "id", 7).hex() == expected

    def test_row_keys_differ(self) -> None:
        """Kind, id and revision each change the key, and their boundaries are unambiguous."""
        keyring = Keyring(ROOT)
        rows = [("account", "id", 1), ("account", "id", 2), ("key", "id", 1), ("account", "i", 1), ("accounti", "d", 1)]
        assert len({keyring.row_key(*row) for row in rows}) == len(rows)

    @pytest.mark.parametrize("length", [0, 31, 33, 63, 65, 95, 97, 128])
    def test_root_length(self, length: int) -> None:
        """A root of another length than 32, 64 or 96 bytes is a programming error."""
        with pytest.raises(ValueError, match=r"\(32, 64, 96\) bytes"):
            Keyring(bytes(length))

    def test_a_renewed_root_keeps_the_keys_of_hashes_alone(self) -> None:
        """Renewing the root changes every key except those of hashes that cannot be made again; twice, too."""
        old = Keyring(ROOT)
        new = Keyring(renew_root(old))
        newer = Keyring(renew_root(new))
        for purpose in Purpose:
            same = purpose in (Purpose.KEY_HASHES, Purpose.OWNERSHIP)
            assert (old.key(purpose) == new.key(purpose)) is same
            assert (new.key(purpose) == newer.key(purpose)) is same
        assert old.row_key("account", "id", 1) != new.row_key("account", "id", 1)
