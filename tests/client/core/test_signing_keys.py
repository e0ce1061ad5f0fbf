"""Signing keys: one algorithm each, and which of them verifies."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_client.core.errors import SettingsError
from herod_client.core.signing_keys import (
    SigningKey,
    SigningKeys,
    ed25519_key,
    ed25519_public_key,
    hs256_key,
    new_ed25519_private,
)

SECRET = "s" * 32
OTHER_SECRET = "t" * 32

# RFC 8037, appendix A
RFC_8037_PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8037_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


class TestSigningKey:
    """A single key with one algorithm."""

    @pytest.mark.parametrize("key", [hs256_key(SECRET), ed25519_key(new_ed25519_private())], ids=["HS256", "EdDSA"])
    @given(data=st.binary(max_size=100))
    def test_signs_what_it_verifies(self, key: SigningKey, data: bytes) -> None:
        """A signature is valid for its data only."""
        signature = key.sign(data)
        assert key.verify(data, signature)
        assert not key.verify(data + b".", signature)
        assert not key.verify(data, signature[:-1])
        assert not key.verify(data, b"")

    def test_hs256(self) -> None:
        """HS256 is HMAC-SHA256 with the secret's UTF-8 bytes, without `kid` or public key."""
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
        """The content of a key file is refused as a secret, as other libraries do, with what to do."""
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
        """A public key verifies under the same `kid`, and cannot sign."""
        private = ed25519_key(RFC_8037_PRIVATE)
        public = ed25519_public_key(RFC_8037_PUBLIC, verifies_until=9)
        assert (public.kid, public.verifies_until) == (private.kid, 9)
        assert public.public_jwk() == private.public_jwk()
        assert public.verify(b"data", private.sign(b"data"))
        with pytest.raises(ValueError, match="cannot sign"):
            public.sign(b"data")

    def test_private_keys_are_random(self) -> None:
        """A new private key has 32 random bytes."""
        first, second = new_ed25519_private(), new_ed25519_private()
        assert len(first) == 32
        assert first != second

    def test_repr_keeps_secrets(self) -> None:
        """The `repr` of a key shows no key material."""
        assert SECRET not in repr(hs256_key(SECRET))
        assert "Private" not in repr(ed25519_key(RFC_8037_PRIVATE))

    @pytest.mark.parametrize(("until", "now", "live"), [(None, 10**12, True), (100, 99, True), (100, 100, False)])
    def test_hard_stop(self, until: int | None, now: int, live: bool) -> None:
        """A retired key stops at its stop time."""
        assert hs256_key(SECRET, verifies_until=until).is_live(now) is live


class TestSigningKeys:
    """The current key signs; retired ones verify."""

    CURRENT = ed25519_key(RFC_8037_PRIVATE)
    OLD = ed25519_key(hashlib.sha256(b"old").digest(), verifies_until=100)
    SHARED = hs256_key(SECRET, verifies_until=100)
    OLDER_SHARED = hs256_key(OTHER_SECRET, verifies_until=50)

    def test_found_by_kid(self) -> None:
        """Each key is found by its `kid`; no `kid` means HS256, and an unknown one finds nothing."""
        keys = SigningKeys(self.CURRENT, [self.OLD, self.SHARED])
        assert keys.current is self.CURRENT
        assert keys.find(self.CURRENT.kid) is self.CURRENT
        assert keys.find(self.OLD.kid) is self.OLD
        assert keys.find(None) is self.SHARED
        assert keys.find("../../etc/passwd") is None
        assert keys.find("") is None
        assert list(keys) == [self.CURRENT, self.OLD, self.SHARED]

    def test_two_secrets(self) -> None:
        """After a change of HERO_SECRET two keys have no `kid`, the newest first."""
        keys = SigningKeys(self.CURRENT, [self.SHARED, self.OLDER_SHARED])
        assert keys.find_all(None) == (self.SHARED, self.OLDER_SHARED)
        assert keys.find(None) is self.SHARED

    def test_no_shared_key(self) -> None:
        """If HS256 was never used, a token without `kid` finds no key."""
        assert SigningKeys(self.CURRENT).find(None) is None

    def test_current_has_no_stop(self) -> None:
        """A key with a stop time cannot be the signing key."""
        with pytest.raises(ValueError, match="current"):
            SigningKeys(self.SHARED)

    def test_retired_has_a_stop(self) -> None:
        """A retired key needs a stop time, or it would verify forever."""
        with pytest.raises(ValueError, match="retired"):
            SigningKeys(self.CURRENT, [hs256_key(SECRET)])

    def test_one_algorithm_a_kid(self) -> None:
        """A `kid` has one algorithm, which rules out algorithm confusion."""
        confused = SigningKey(kid=self.CURRENT.kid, algorithm="HS256", verifies_until=100, verifier=RFC_8037_PUBLIC)
        with pytest.raises(ValueError, match="two algorithms"):
            SigningKeys(self.CURRENT, [confused])
