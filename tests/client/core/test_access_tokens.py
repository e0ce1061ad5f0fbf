"""Access token verification: which tokens are issued, how long they are valid, and which key verifies them."""

import json
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.core.token_forging import (
    AUDIENCE_CLAIMS,
    BOTH,
    CLAIMS,
    ED25519,
    GOOD,
    HEADER,
    ISSUER,
    NOW,
    PAYLOAD,
    SECRET,
    SHARED,
    TTL,
    check,
    forge,
    refusal,
    with_raw,
)
from herod_client.core import access_tokens
from herod_client.core.access_tokens import AUDIENCE_TYP, PLAIN_TYP, Claims, issue, open_jws
from herod_client.core.errors import ExpiredToken, FutureToken, InvalidRequest
from herod_client.core.signing_keys import (
    PublicAlgorithm,
    SigningKey,
    SigningKeys,
    hs256_key,
    new_private,
    private_key,
)


class TestIssued:
    """Issued tokens."""

    @pytest.mark.parametrize("key", [SHARED, ED25519], ids=["HS256", "EdDSA"])
    @pytest.mark.parametrize(
        ("claims", "typ"),
        [
            (CLAIMS, PLAIN_TYP),
            (msgspec.structs.replace(CLAIMS, networks=("mainnet", "testnet")), PLAIN_TYP),
            (msgspec.structs.replace(CLAIMS, networks=()), PLAIN_TYP),
            (msgspec.structs.replace(CLAIMS, sub="grüße"), PLAIN_TYP),
            (AUDIENCE_CLAIMS, AUDIENCE_TYP),
        ],
    )
    def test_round_trip(self, key: SigningKey, claims: Claims, typ: str) -> None:
        """An issued token verifies to the same claims, on repeated verification too, with the matching typ."""
        token = issue(claims, key)
        keys = SigningKeys(key)
        assert check(token, keys=keys) == check(token, keys=keys) == claims
        assert jwt.get_unverified_header(token)["typ"] == typ

    def test_wire_form(self) -> None:
        """The header has no `kid` under HS256, and absent claims are omitted."""
        assert jwt.get_unverified_header(GOOD) == {"alg": "HS256", "typ": "JWT"}
        assert jwt.get_unverified_header(issue(CLAIMS, ED25519)) == {
            "alg": "EdDSA",
            "typ": "JWT",
            "kid": ED25519.kid,
        }
        assert PAYLOAD == {
            "sub": "3b7c",
            "iss": "hero_auth",
            "iat": NOW,
            "exp": NOW + TTL,
            "scope": "read write",
            "jti": "9f1e",
            "epoch": 3,
            "via": "client_secret",
        }

    def test_other_libraries_agree(self) -> None:
        """PyJWT, as a service would use it, reads the same claims."""
        options: Any = {"verify_exp": False, "verify_iat": False}
        assert jwt.decode(GOOD, SECRET, algorithms=["HS256"], options=options) == PAYLOAD
        jwk = jwt.PyJWK.from_dict(ED25519.public_jwk() or {})
        assert jwt.decode(issue(CLAIMS, ED25519), jwk, algorithms=["EdDSA"], options=options) == PAYLOAD

    def test_pyjwt_tokens_pass(self) -> None:
        """A token issued with PyJWT and HERO_SECRET by another service is accepted, in any order of members."""
        payload = dict(sorted({**PAYLOAD, "extra": {"nested": [1, {"a": None}]}, "name": "Zoë \u2603"}.items()))
        assert check(jwt.encode(payload, SECRET, algorithm="HS256")) == CLAIMS

    def test_too_large_to_issue(self) -> None:
        """A token too large for verifiers is not issued."""
        claims = msgspec.structs.replace(CLAIMS, networks=tuple(f"network-{n:050}" for n in range(150)))
        with pytest.raises(InvalidRequest, match="too many networks"):
            issue(claims, SHARED)

    @given(
        claims=st.builds(
            Claims,
            sub=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
            iss=st.just(ISSUER),
            iat=st.integers(NOW - TTL + 1, NOW + 60),
            exp=st.just(NOW + 1),
            scope=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
            jti=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
            epoch=st.integers(0, 2**63),
            via=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
            networks=st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9)).map(tuple),
        ).filter(lambda claims: claims.iat < claims.exp)
    )
    def test_any_claims(self, claims: Claims) -> None:
        """Claims with any characters round-trip."""
        assert check(issue(claims, SHARED)) == claims


class TestTime:
    """Expiry without leeway, and a minute of leeway for the time of issue."""

    @pytest.mark.parametrize(
        ("iat", "exp", "reason"),
        [
            (NOW - 1, NOW + 1, None),
            (NOW - 1, NOW, "expired"),
            (NOW - TTL - 100, NOW - 100, "expired"),
            (NOW, NOW + TTL, None),
            (NOW, NOW + TTL + 1, "malformed"),
            (NOW + 60, NOW + 61, None),
            (NOW + 61, NOW + 62, "clock"),
            (NOW + 86_400, NOW + 86_400 + TTL, "clock"),
            (NOW + 61, NOW + 61 + TTL + 1, "malformed"),
            (NOW, NOW, "malformed"),
            (NOW + 1, NOW, "malformed"),
            (0, NOW + 1, "malformed"),
            (-1, NOW + 1, "malformed"),
            (NOW, 10**30, "malformed"),
        ],
    )
    def test_window(self, iat: int, exp: int, reason: str | None) -> None:
        """0 < exp - iat ≤ TTL, iat ≤ now + 60 s, now < exp."""
        assert refusal(forge(HEADER, {**PAYLOAD, "iat": iat, "exp": exp})) == reason

    @pytest.mark.parametrize(
        ("nbf", "reason"),
        [
            ("0", None),
            (str(NOW + 60), None),
            (str(NOW + 61), "clock"),
            ('"0"', "malformed"),
            ("1.5", "malformed"),
            ("-1", "malformed"),
            ("null", "malformed"),
            pytest.param("1" * 5000, "malformed", id="5000 digits"),
        ],
    )
    def test_not_before(self, nbf: str, reason: str | None) -> None:
        """Herod sets no `nbf`, but honors it in other issuers' tokens (RFC 7519, section 4.1.5)."""
        assert refusal(forge(HEADER, with_raw(f'"nbf":{nbf}'))) == reason

    def test_a_clock_that_is_ahead_is_named(self) -> None:
        """The message says that clocks differ and by how much, and the error from when the token would be valid."""
        future = forge(HEADER, {**PAYLOAD, "iat": NOW + 3600, "exp": NOW + 3600 + TTL})
        with pytest.raises(FutureToken, match=r"3600 seconds in the future.*clock") as caught:
            check(future)
        assert (caught.value.begins, caught.value.code) == (NOW + 3600, "bad_token")

    def test_expiry_is_its_own_error(self) -> None:
        """An expired token has an error of its own, so that clients know to renew it."""
        with pytest.raises(ExpiredToken) as caught:
            check(GOOD, now=NOW + TTL)
        assert (caught.value.reason, caught.value.code) == ("expired", "expired_token")


class TestKeys:
    """Which key verifies a token."""

    def test_by_kid(self) -> None:
        """Current and retired keys verify side by side, each with its own algorithm."""
        assert check(GOOD, keys=BOTH) == CLAIMS
        assert check(issue(CLAIMS, ED25519), keys=BOTH) == CLAIMS

    def test_two_secrets(self) -> None:
        """After a change of HERO_SECRET tokens of the old secret stay valid, although neither has a `kid`."""
        keys = SigningKeys(hs256_key("t" * 32), [hs256_key(SECRET, verifies_until=NOW + TTL)])
        assert check(GOOD, keys=keys) == CLAIMS

    @pytest.mark.parametrize(
        ("until", "now", "reason"),
        [
            (NOW + TTL, NOW, None),
            (NOW + TTL, NOW + TTL - 1, None),
            (NOW + TTL, NOW + TTL, "signature"),
            (NOW, NOW, "signature"),
            # Valid longer than anything the key can have signed before it was retired.
            (NOW + TTL - 1, NOW, "signature"),
        ],
    )
    def test_hard_stop(self, until: int, now: int, reason: str | None) -> None:
        """A retired key verifies nothing from its stop time on, and no token that expires after it."""
        keys = SigningKeys(ED25519, [hs256_key(SECRET, verifies_until=until)])
        assert refusal(GOOD, keys=keys, now=now) == reason

    def test_the_jws_layer_knows_no_time(self) -> None:
        """The stop time is enforced by `verify`: the JWS layer has no `now`."""
        keys = SigningKeys(ED25519, [hs256_key(SECRET, verifies_until=0)])
        header, payload = open_jws(GOOD, keys, typ=None)
        assert header == access_tokens.Header(alg="HS256", typ="JWT")
        assert json.loads(payload) == PAYLOAD

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_keys_for_apps(self, algorithm: PublicAlgorithm) -> None:
        """A key for apps verifies tokens with an audience; a plain token needs HS256 or EdDSA, which sign those."""
        key = private_key(algorithm, new_private(algorithm))
        keys = SigningKeys(SHARED, for_apps=[key])
        assert check(issue(AUDIENCE_CLAIMS, key), keys=keys) == AUDIENCE_CLAIMS
        assert refusal(issue(AUDIENCE_CLAIMS, key)) == "signature"
        assert refusal(issue(CLAIMS, key), keys=keys) == (None if algorithm == "EdDSA" else "malformed")

    def test_the_kid_of_another_algorithm(self) -> None:
        """A token that names another key's `kid` or another `alg` than its key's is refused, whoever signed it."""
        made: list[SigningKey] = [
            private_key("RS256", new_private("RS256")),
            private_key("ES256", new_private("ES256")),
            ED25519,
            SHARED,
        ]
        keys = SigningKeys(SHARED, for_apps=made[:3])
        for signer in made:
            for named in made:
                for alg in ("RS256", "ES256", "EdDSA", "HS256", "none", "RS512", "PS256"):
                    header = {"alg": alg, "typ": "at+jwt"} | ({} if named.kid is None else {"kid": named.kid})
                    token = forge(header, json.loads(msgspec.json.encode(AUDIENCE_CLAIMS)), signer)
                    is_good = signer is named and alg == signer.algorithm
                    assert refusal(token, keys=keys) == (None if is_good else "signature")
