"""The JWS layer against published vectors: Wycheproof, RFC 7515 and RFC 8037."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from herod_client.core.access_tokens import open_jws
from herod_client.core.errors import BadToken
from herod_client.core.public_jwks import PublicJwk, parse_public_jwk
from herod_client.core.signing_keys import SigningKey, SigningKeys, ed25519_key, public_key
from support.public_vectors import VECTORS

FILE = VECTORS / "wycheproof_json_web_signature.json"

# Valid in the file, refused here: an empty payload, and a "?" in the header or payload that lenient decoders skip.
# Herod is strict.
REFUSED_BY_POLICY = {259, 372, 373}

# Invalid in the file, but byte-identical to the valid case with the same key: the padding that their names mention
# was lost upstream. No verifier can distinguish them; `test_padded` covers them instead.
MISLABELLED = {367: 357, 370: 357}


@dataclass(frozen=True)
class Case:
    """One test case of the file with its group's key."""

    number: int
    comment: str
    key: dict[str, Any]
    jws: str
    valid: bool


def load_cases() -> list[Case]:
    """All cases of the file; none if the file is absent."""
    if not FILE.exists():
        return []
    groups = json.loads(FILE.read_text(encoding="utf-8"))["testGroups"]
    return [
        Case(
            test["tcId"],
            test["comment"],
            group["private"],
            # One invalid case is a JSON serialization, an object.
            test["jws"] if isinstance(test["jws"], str) else json.dumps(test["jws"]),
            test["result"] == "valid",
        )
        for group in groups
        for test in group["tests"]
    ]


CASES = load_cases()
SUPPORTED = [case for case in CASES if case.key.get("alg") == "HS256"]
PUBLIC = [case for case in CASES if case.key.get("alg") in ("RS256", "ES256")]
UNSUPPORTED = [case for case in CASES if case.key.get("alg") not in ("HS256", "RS256", "ES256")]

needs_file = pytest.mark.skipif(not CASES, reason=f"no vectors: {FILE.name} is not in {VECTORS}")


def decode(text: str) -> bytes:
    """Decode Base64url with or without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hs256_keys(kid: str | None, secret: bytes) -> SigningKeys:
    """Keys with one HS256 secret under a `kid`, unlike herod's own."""
    return SigningKeys(SigningKey(kid=kid, algorithm="HS256", verifies_until=None, verifier=secret))


def encode(data: bytes) -> str:
    """Encode as Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def opens(jws: str, keys: SigningKeys) -> bool:
    """Whether the JWS layer accepts it; any error other than a refusal fails the test."""
    try:
        open_jws(jws, keys, typ=None)
    except BadToken:
        return False
    return True


@needs_file
def test_the_file_is_the_one_meant() -> None:
    """The file has all 401 cases: of HS256, RS256 and ES256, and the rest of algorithms that herod lacks."""
    assert len(CASES) == 401
    assert len(SUPPORTED) + len(PUBLIC) + len(UNSUPPORTED) == 401
    assert len([case for case in SUPPORTED if not case.valid]) == 30
    assert (len(PUBLIC), len([case for case in PUBLIC if not case.valid])) == (272, 262)
    assert not [case for case in CASES if case.key["kty"] == "OKP"]


@needs_file
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.number}-{case.comment}") for case in SUPPORTED])
def test_wycheproof_hs256(case: Case) -> None:
    """Every valid HS256 case passes, except two by policy, and every distinguishable invalid one is refused."""
    keys = hs256_keys(case.key["kid"], decode(case.key["k"]))
    is_valid = case.valid
    if case.number in MISLABELLED:
        twin = next(other for other in SUPPORTED if other.number == MISLABELLED[case.number])
        assert (case.jws, case.key) == (twin.jws, twin.key)
        is_valid = twin.valid
    assert opens(case.jws, keys) is (is_valid and case.number not in REFUSED_BY_POLICY)


def of_jwk(jwk: dict[str, Any]) -> SigningKeys:
    """Keys with the one of a JWK, under the JWK's `kid`, unlike herod's own."""
    parsed = parse_public_jwk(msgspec.convert({"use": "sig", **jwk}, PublicJwk))
    assert parsed is not None
    return SigningKeys(replace(public_key(parsed), kid=jwk.get("kid")))


@needs_file
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.number}-{case.comment}") for case in PUBLIC])
def test_wycheproof_rs256_es256(case: Case) -> None:
    """Every valid RS256 and ES256 case passes, except one by policy, and every invalid one is refused."""
    assert opens(case.jws, of_jwk(case.key)) is (case.valid and case.number not in REFUSED_BY_POLICY)


@needs_file
def test_algorithm_confusion() -> None:
    """A valid RS256 or ES256 token is refused by any other key under its `kid`: HS256 with the public key above all."""
    for case in PUBLIC:
        if not case.valid:
            continue
        kid = case.key.get("kid")
        public = of_jwk(case.key).current.verifier
        assert not isinstance(public, bytes)
        for text in (
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            decode(case.key["n" if case.key["kty"] == "RSA" else "x"]),
        ):
            keys = hs256_keys(kid, text)
            assert not opens(case.jws, keys)
            forged = f"{encode(json.dumps({'alg': 'HS256', 'kid': kid}).encode())}.{case.jws.split('.')[1]}"
            forged += f".{encode(keys.current.sign(forged.encode()))}"
            assert opens(forged, keys) is (case.number not in REFUSED_BY_POLICY)
            assert not opens(forged, of_jwk(case.key))
        for other in (other for other in PUBLIC if other.valid and other.key["kty"] != case.key["kty"]):
            assert not opens(case.jws, of_jwk({**other.key, "kid": kid}))


@needs_file
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize("padding", ["=", "==", "%3D"])
def test_padded(part: int, padding: str) -> None:
    """Padding, which the two mislabelled cases are about, is refused in every part, signed or not."""
    case = next(case for case in SUPPORTED if case.number == 357)
    key = hs256_keys(case.key["kid"], decode(case.key["k"])).current
    parts = case.jws.split(".")
    parts[part] += padding
    resigned = urlsafe_b64encode(key.sign(".".join(parts[:2]).encode())).rstrip(b"=").decode()
    assert not opens(".".join(parts), SigningKeys(key))
    assert part == 2 or not opens(".".join([*parts[:2], resigned]), SigningKeys(key))


@needs_file
def test_wycheproof_other_algorithms() -> None:
    """Signatures of other algorithms are refused, valid or not, also if the public key is configured as the secret."""
    for case in UNSUPPORTED:
        member = case.key["n" if case.key["kty"] == "RSA" else "x"]
        for keys in (
            hs256_keys(case.key.get("kid"), decode(member)),
            hs256_keys(None, decode(member)),
            SigningKeys(ed25519_key(bytes(32))),
        ):
            assert not opens(case.jws, keys), f"case {case.number}"


RFC_7515_SECRET = decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
RFC_7515_JWS = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
RFC_8037_KEY = ed25519_key(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
RFC_8037_JWS = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def test_rfc_7515_example() -> None:
    """The HS256 example of RFC 7515, appendix A.1, verifies and returns its payload."""
    header, payload = open_jws(RFC_7515_JWS, hs256_keys(None, RFC_7515_SECRET), typ=frozenset({"JWT"}))
    assert (header.alg, header.typ, header.kid) == ("HS256", "JWT", None)
    assert json.loads(payload) == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_rfc_8037_example() -> None:
    """The Ed25519 example of RFC 8037, appendix A.4, verifies with its key as the one without `kid`."""
    nameless = SigningKey(kid=None, algorithm="EdDSA", verifies_until=None, verifier=RFC_8037_KEY.verifier)
    assert open_jws(RFC_8037_JWS, SigningKeys(nameless), typ=None)[1] == b"Example of Ed25519 signing"
    assert not opens(RFC_8037_JWS, SigningKeys(RFC_8037_KEY))
