"""Signing keys: one algorithm each, and which of them verifies."""

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from herod_client.core.errors import SettingsError
from herod_client.core.public_jwks import PublicKey
from herod_client.core.signing_keys import (
    PublicAlgorithm,
    SigningAlgorithm,
    SigningKey,
    SigningKeys,
    ed25519_key,
    hs256_key,
    new_private,
    private_key,
    public_key,
)

SECRET = "s" * 32
OTHER_SECRET = "t" * 32

# RFC 8037, appendix A
RFC_8037_PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8037_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
RFC_7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
    "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
    "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
    "nqDKgw"
)
RFC_7515_A3_INPUT = (
    b"eyJhbGciOiJFUzI1NiJ9"
    b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)

# One key of each algorithm that herod makes.
MADE: dict[str, SigningKey] = {
    "RS256": private_key("RS256", new_private("RS256")),
    "ES256": private_key("ES256", new_private("ES256")),
    "EdDSA": private_key("EdDSA", new_private("EdDSA")),
}


def decode(text: str) -> bytes:
    """Decode Base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TestSigningKey:
    """A single key with one algorithm."""

    @pytest.mark.parametrize("key", [hs256_key(SECRET), *MADE.values()], ids=lambda key: key.algorithm)
    @settings(max_examples=20)
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

    @pytest.mark.parametrize("private", MADE.values(), ids=lambda key: key.algorithm)
    def test_public_half_verifies_only(self, private: SigningKey) -> None:
        """A public key verifies under the same `kid`, and cannot sign."""
        assert not isinstance(private.verifier, bytes)
        public = public_key(private.verifier, verifies_until=9)
        assert (public.kid, public.algorithm, public.verifies_until) == (private.kid, private.algorithm, 9)
        assert public.public_jwk() == private.public_jwk()
        assert public.verify(b"data", private.sign(b"data"))
        with pytest.raises(ValueError, match="cannot sign"):
            public.sign(b"data")

    def test_rsa_thumbprint(self) -> None:
        """The example of RFC 7638, section 3.1: the `kid` of an RSA key, and its JWK."""
        public = rsa.RSAPublicNumbers(65537, int.from_bytes(decode(RFC_7638_N), "big")).public_key()
        assert public_key(public).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        assert public_key(public).public_jwk() == {
            "kty": "RSA",
            "n": RFC_7638_N,
            "e": "AQAB",
            "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "alg": "RS256",
            "use": "sig",
        }

    def test_es256_jwk(self) -> None:
        """The key of RFC 7515, appendix A.3, verifies its signature; its coordinates keep their leading zeros."""
        x, y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(decode(x), "big"), int.from_bytes(decode(y), "big"), ec.SECP256R1()
        )
        key = public_key(numbers.public_key())
        jwk = key.public_jwk()
        assert jwk is not None
        assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["x"], jwk["y"]) == ("EC", "P-256", "ES256", x, y)
        signature = decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
        assert key.verify(RFC_7515_A3_INPUT, signature)
        for number in range(1, 2000):  # one in 128 keys has a coordinate that begins with a zero byte
            short = public_key(ec.derive_private_key(number, ec.SECP256R1()).public_key()).public_jwk()
            assert short is not None
            assert (len(short["x"]), len(short["y"])) == (43, 43)

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_private_keys_are_random(self, algorithm: PublicAlgorithm) -> None:
        """Each new private key is another, and is read as it was written."""
        first, second = new_private(algorithm), new_private(algorithm)
        assert first != second
        assert private_key(algorithm, first, verifies_until=7) == private_key(algorithm, first, verifies_until=7)
        assert private_key(algorithm, first).kid != private_key(algorithm, second).kid
        assert algorithm != "EdDSA" or len(first) == 32

    def test_a_damaged_or_foreign_private_key(self) -> None:
        """Bytes that are no key, or one of another algorithm, are refused."""
        for algorithm in ("RS256", "ES256", "EdDSA"):
            with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's
                private_key(algorithm, b"damaged")
        with pytest.raises(ValueError, match="another algorithm than ES256"):
            private_key("ES256", new_private("RS256"))
        other = Ed25519PrivateKey.generate()
        pkcs8 = other.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(ValueError, match="another algorithm than RS256"):
            private_key("RS256", pkcs8)

    @pytest.mark.parametrize(
        "public",
        [
            rsa.RSAPublicNumbers(65537, (1 << 1023) + 1).public_key(),
            rsa.RSAPublicNumbers(65537, (1 << 2046) + 1).public_key(),
            rsa.RSAPublicNumbers(65537, (1 << 8192) + 1).public_key(),
            rsa.generate_private_key(3, 2048).public_key(),
            ec.generate_private_key(ec.SECP384R1()).public_key(),
            ec.generate_private_key(ec.SECP256K1()).public_key(),
        ],
        ids=["1024 bits", "2047 bits", "8193 bits", "exponent 3", "P-384", "secp256k1"],
    )
    def test_keys_that_no_algorithm_uses(self, public: PublicKey) -> None:
        """Keys that are too short or too long, with an unusual exponent, or on another curve are refused."""
        with pytest.raises(ValueError, match="no algorithm here uses"):
            public_key(public)

    def test_a_key_of_another_algorithm(self) -> None:
        """A key cannot be declared for another algorithm than its own, nor HMAC be given a private key."""
        rs256 = MADE["RS256"]
        wrong: list[tuple[SigningAlgorithm, PublicKey | bytes]] = [
            ("HS256", rs256.verifier),
            ("ES256", rs256.verifier),
            ("RS256", b"s" * 32),
        ]
        for algorithm, verifier in wrong:
            with pytest.raises(ValueError, match="another algorithm"):
                SigningKey(kid="a", algorithm=algorithm, verifies_until=None, verifier=verifier)
        with pytest.raises(ValueError, match="no private key"):
            SigningKey(kid=None, algorithm="HS256", verifies_until=None, verifier=b"s" * 32, signer=rs256.signer)

    def test_es256_in_der(self) -> None:
        """An ES256 signature in DER, or of another length than 64 bytes, is refused (RFC 7518, section 3.4)."""
        key = MADE["ES256"]
        raw = key.sign(b"data")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        assert key.verify(b"data", raw)
        for wrong in (der, raw[:-1], raw + b"\0", b"\0" + raw, b"", bytes(64), b"\0" * 32 + raw[32:], b"\xff" * 64):
            assert not key.verify(b"data", wrong)

    def test_rs256_of_another_kind(self) -> None:
        """Signatures by PSS, with SHA-1 or of another length are refused."""
        key = MADE["RS256"]
        assert isinstance(key.signer, rsa.RSAPrivateKey)
        pss = key.signer.sign(b"data", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        sha512 = key.signer.sign(b"data", padding.PKCS1v15(), hashes.SHA512())
        good = key.sign(b"data")
        assert key.verify(b"data", good)
        for wrong in (pss, sha512, good[:-1], b"\0" + good, bytes(256), b""):
            assert not key.verify(b"data", wrong)

    def test_repr_keeps_secrets(self) -> None:
        """The `repr` of a key shows no key material."""
        assert SECRET not in repr(hs256_key(SECRET))
        assert all("Private" not in repr(key) for key in MADE.values())

    @pytest.mark.parametrize(("until", "now", "live"), [(None, 10**12, True), (100, 99, True), (100, 100, False)])
    def test_hard_stop(self, until: int | None, now: int, live: bool) -> None:
        """A retired key stops at its stop time."""
        assert hs256_key(SECRET, verifies_until=until).is_live(now) is live


class TestSigningKeys:
    """The current key signs; retired ones verify."""

    CURRENT = ed25519_key(RFC_8037_PRIVATE)
    SHARED_NOW = hs256_key(SECRET)
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

    def test_keys_for_apps(self) -> None:
        """One key of an algorithm signs for apps; it is found by its `kid` too, and may be added or replaced later."""
        rs256, es256 = MADE["RS256"], MADE["ES256"]
        keys = SigningKeys(self.SHARED_NOW, [self.OLD], for_apps=[rs256])
        assert (keys.for_apps("RS256"), keys.for_apps("ES256"), keys.for_apps("EdDSA")) == (rs256, None, None)
        assert keys.find(rs256.kid) is rs256
        assert keys.with_key_for_apps(rs256) is keys
        more = keys.with_key_for_apps(es256)
        assert (more.current, more.for_apps("RS256"), more.for_apps("ES256")) == (self.SHARED_NOW, rs256, es256)
        other = private_key("RS256", new_private("RS256"))
        replaced = more.with_key_for_apps(other)
        assert (replaced.for_apps("RS256"), replaced.find(rs256.kid)) == (other, None)
        assert list(replaced) == [self.SHARED_NOW, es256, other, self.OLD]

    def test_keys_for_apps_that_will_not_do(self) -> None:
        """A key for apps has no stop time, and there is one of an algorithm."""
        rs256 = MADE["RS256"]
        with pytest.raises(ValueError, match="hard stop"):
            SigningKeys(self.CURRENT, for_apps=[replace(rs256, verifies_until=5)])
        with pytest.raises(ValueError, match="one algorithm"):
            SigningKeys(self.CURRENT, for_apps=[rs256, private_key("RS256", new_private("RS256"))])
