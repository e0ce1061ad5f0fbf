"""Public keys of a JWK Set: which are taken, which are ignored, and which refuse the whole set."""

from typing import Any

import pytest

from herod_client.client_errors import BadAnswer
from herod_client.core.signing_keys import SigningKey, hs256_key, new_private, private_key
from herod_client.jwks import MAX_KEYS, parse_jwks

RS256 = private_key("RS256", new_private("RS256"))
ES256 = private_key("ES256", new_private("ES256"))
EDDSA = private_key("EdDSA", new_private("EdDSA"))


def jwk(key: SigningKey, **more: Any) -> dict[str, Any]:
    """A key as a member of a set, with other members changed."""
    return {**(key.public_jwk() or {}), **more}


def test_each_algorithm() -> None:
    """Keys of all three algorithms are read, each verifies under its own `kid`, and none can sign."""
    keys = parse_jwks({"keys": [jwk(one) for one in (RS256, ES256, EDDSA)]})
    assert [(key.kid, key.algorithm) for key in keys] == [(one.kid, one.algorithm) for one in (RS256, ES256, EDDSA)]
    for read, made in zip(keys, (RS256, ES256, EDDSA), strict=True):
        assert read == made
        assert read.verify(b"data", made.sign(b"data"))
        with pytest.raises(ValueError, match="cannot sign"):
            read.sign(b"data")


def test_an_absent_alg() -> None:
    """Without `alg` and `use` a key is of the only algorithm that its kind has here."""
    listed = jwk(ES256)
    del listed["alg"], listed["use"]
    assert parse_jwks({"keys": [listed]}) == [ES256]


@pytest.mark.parametrize(
    "other",
    [
        jwk(RS256, alg="RS512"),
        jwk(RS256, alg="PS256"),
        jwk(RS256, alg="HS256"),
        jwk(RS256, use="enc"),
        jwk(ES256, crv="P-384"),
        jwk(ES256, alg="RS256"),
        jwk(EDDSA, alg="ES256"),
        jwk(EDDSA, crv="X25519"),
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"},
        {"kty": "AKP", "alg": "ML-DSA-65", "kid": "b", "pub": "AAAA"},
    ],
)
def test_other_keys_are_ignored(other: dict[str, Any]) -> None:
    """A key of another algorithm, curve or use is passed over (RFC 7517, section 5), never used in another way."""
    assert parse_jwks({"keys": [other, jwk(EDDSA)]}) == [EDDSA]


@pytest.mark.parametrize(
    "wrong",
    [
        jwk(RS256, kid="another"),
        jwk(RS256, kid=ES256.kid),
        jwk(RS256, e="Aw"),
        jwk(RS256, n="AQAB"),
        jwk(RS256, n=""),
        jwk(RS256, n="A" * 4000),
        jwk(ES256, x=jwk(ES256)["y"]),
        jwk(ES256, x="AA" + jwk(ES256)["x"]),
        jwk(ES256, y="AAAA"),
        jwk(EDDSA, x="AAAA"),
        jwk(EDDSA, x="é"),
        {"kty": "RSA", "kid": 5},
    ],
)
def test_keys_that_are_not_herods(wrong: dict[str, Any]) -> None:
    """A key that is too weak, damaged, or not the one of its `kid` refuses the whole set."""
    with pytest.raises(BadAnswer):
        parse_jwks({"keys": [jwk(EDDSA), wrong]})


def test_no_key_set() -> None:
    """Something else than a key set is refused; an empty one is read."""
    answers: list[Any] = [{}, [], {"keys": {}}, None]
    for answer in answers:
        with pytest.raises(BadAnswer):
            parse_jwks(answer)
    assert parse_jwks({"keys": []}) == []
    assert hs256_key("s" * 32).public_jwk() is None


def test_too_many() -> None:
    """Of a long set only the first keys are read."""
    assert parse_jwks({"keys": [jwk(EDDSA, alg="X")] * MAX_KEYS + [jwk(EDDSA)]}) == []
