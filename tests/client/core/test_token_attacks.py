"""Attacks on access tokens: what is refused, and for which reason."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.core.token_forging import (
    AUDIENCE,
    AUDIENCE_CLAIMS,
    BODY,
    BOTH,
    CLAIMS,
    COMPACT,
    ED25519,
    GOOD,
    HEAD,
    HEADER,
    ISSUER,
    NOW,
    PAYLOAD,
    SECRET,
    SHARED,
    SIGNATURE,
    TTL,
    URL,
    check,
    encode,
    forge,
    refusal,
    with_raw,
)
from herod_client.core import access_tokens
from herod_client.core.access_tokens import AUDIENCE_TYP, MAX_TOKEN_CHARS, issue, open_jws
from herod_client.core.errors import BadToken
from herod_client.core.signing_keys import SigningKey, SigningKeys, ed25519_key, hs256_key


def unsigned(alg: str) -> str:
    """A token with `alg` none or similar and no signature."""
    return f"{encode(json.dumps({'alg': alg, 'typ': 'JWT'}).encode())}.{BODY}."


def confused() -> str:
    """HS256 computed with the public Ed25519 key as secret: RFC 8725, section 2.1."""
    public = jwt.utils.base64url_decode((ED25519.public_jwk() or {})["x"])
    secret = SigningKey(kid=None, algorithm="HS256", verifies_until=None, verifier=public)
    return forge({**HEADER, "kid": ED25519.kid}, PAYLOAD, secret)


JWK = {"kty": "oct", "k": encode(SECRET.encode())}

# header of a correctly signed token, reason of the refusal
HEADERS = [
    ("crit", {**HEADER, "crit": ["exp"]}, "malformed"),
    ("empty crit", {**HEADER, "crit": []}, "malformed"),
    ("b64", {**HEADER, "b64": True}, "malformed"),
    ("embedded key", {**HEADER, "jwk": JWK}, "malformed"),
    ("key URL", {**HEADER, "jku": "https://evil.example/jwks.json"}, "malformed"),
    ("certificate URL", {**HEADER, "x5u": "https://evil.example/x.pem"}, "malformed"),
    ("certificate chain", {**HEADER, "x5c": ["AAAA"]}, "malformed"),
    ("escaped forbidden name", '{"alg":"HS256","typ":"JWT","\\u006awk":{}}', "malformed"),
    ("kid as a path", {**HEADER, "kid": "../../../dev/null"}, "signature"),
    ("kid as SQL", {**HEADER, "kid": "' UNION SELECT 'x"}, "signature"),
    ("empty kid", {**HEADER, "kid": ""}, "signature"),
    ("null kid", {**HEADER, "kid": None}, "malformed"),
    ("kid of another type", {**HEADER, "kid": 1}, "malformed"),
    ("kid as a list", {**HEADER, "kid": ["a"]}, "malformed"),
    ("no typ", {"alg": "HS256"}, "malformed"),
    ("null typ", {"alg": "HS256", "typ": None}, "malformed"),
    ("typ in small letters", {"alg": "HS256", "typ": "jwt"}, "malformed"),
    ("typ of an id token", {"alg": "HS256", "typ": "id+jwt"}, "malformed"),
    ("typ of an audience token", {"alg": "HS256", "typ": "at+jwt"}, "malformed"),
    ("no alg", {"typ": "JWT"}, "malformed"),
    ("null alg", {"alg": None, "typ": "JWT"}, "malformed"),
    ("alg in small letters", {"alg": "hs256", "typ": "JWT"}, "signature"),
    ("larger hash", {"alg": "HS512", "typ": "JWT"}, "signature"),
    ("another family", {"alg": "EdDSA", "typ": "JWT"}, "signature"),
    ("none with a good signature", {"alg": "none", "typ": "JWT"}, "signature"),
    ("duplicate alg", '{"alg":"none","alg":"HS256","typ":"JWT"}', "malformed"),
    ("duplicate alg, escaped", '{"alg":"none","\\u0061lg":"HS256","typ":"JWT"}', "malformed"),
    ("list", "[]", "malformed"),
    ("string", '"HS256"', "malformed"),
    ("null", "null", "malformed"),
    ("no JSON", "alg=HS256", "malformed"),
    ("trailing text", '{"alg":"HS256","typ":"JWT"}x', "malformed"),
    ("byte order mark", '\ufeff{"alg":"HS256","typ":"JWT"}', "malformed"),
    ("deep", '{"alg":"HS256","typ":"JWT","x":' + "[" * 32 + "]" * 32 + "}", "malformed"),
    ("NaN", '{"alg":"HS256","typ":"JWT","x":NaN}', "malformed"),
    ("lone surrogate", '{"alg":"HS256","typ":"JWT","x":"\\ud800"}', "malformed"),
]

# payload of a correctly signed token, reason of the refusal
PAYLOADS: list[tuple[str, str | bytes | Mapping[str, Any], str | None]] = [
    ("unknown claims", {**PAYLOAD, "email": "a@b.example", "roles": ["x"], "act": {"sub": "y"}}, None),
    ("white space", json.dumps(PAYLOAD, indent=2), None),
    ("escaped names", COMPACT.replace('"sub"', '"s\\u0075b"'), None),
    ("names that differ in case", {**PAYLOAD, "Sub": "other"}, None),
    ("32 deep", with_raw('"x":' + "[" * 31 + "]" * 31), None),
    ("brackets in strings are no depth", {**PAYLOAD, "x": '["{\\' * 40}, None),
    ("40 lists side by side", {**PAYLOAD, "x": [[]] * 40}, None),
    ("33 deep", with_raw('"x":' + "[" * 32 + "]" * 32), "malformed"),
    ("33 deep, objects", with_raw('"x":' + '{"a":' * 32 + "1" + "}" * 32), "malformed"),
    ("very deep", with_raw('"x":' + "[" * 2500 + "]" * 2500), "malformed"),
    ("deep, never closed", "[" * 5000, "malformed"),
    ("brackets after an open string", '{"' + "[\\" * 2000, "malformed"),
    ("duplicate sub", with_raw('"sub":"admin"'), "malformed"),
    ("duplicate sub, the same", with_raw('"sub":"3b7c"'), "malformed"),
    ("duplicate sub, escaped", with_raw('"s\\u0075b":"admin"'), "malformed"),
    ("duplicate sub, escaped first", '{"s\\u0075b":"admin",' + COMPACT[1:], "malformed"),
    ("duplicate sub, white space", with_raw(' "sub" : "admin" '), "malformed"),
    ("duplicate unknown claim", with_raw('"x":1,"x":2'), "malformed"),
    ("duplicate empty name", with_raw('"":1,"":2'), "malformed"),
    ("duplicate beyond ASCII", with_raw('"\u00e9":1,"\\u00e9":2'), "malformed"),
    ("duplicate inside", with_raw('"x":{"a":1,"a":2}'), "malformed"),
    ("duplicate deep inside", with_raw('"x":[{"y":[{"a":1,"a":2}]}]'), "malformed"),
    ("duplicate hidden in a string", with_raw('"x":"{\\"sub\\":1,\\"sub\\":2}"'), None),
    ("list", "[]", "malformed"),
    ("string", '"sub"', "malformed"),
    ("null", "null", "malformed"),
    ("no JSON", "sub=3b7c", "malformed"),
    ("empty object", "{}", "malformed"),
    ("trailing comma", COMPACT[:-1] + ",}", "malformed"),
    ("two objects", COMPACT + COMPACT, "malformed"),
    ("byte order mark", b"\xef\xbb\xbf" + COMPACT.encode(), "malformed"),
    ("UTF-16", COMPACT.encode("utf-16"), "malformed"),
    ("bad UTF-8 in a claim", COMPACT.encode().replace(b"3b7c", b"\xff\xfe"), "malformed"),
    ("bad UTF-8 in an unknown claim", COMPACT.encode()[:-1] + b',"x":"\xff"}', "malformed"),
    ("overlong UTF-8", COMPACT.encode()[:-1] + b',"x":"\xc0\xaf"}', "malformed"),
    ("lone surrogate", with_raw('"x":"\\ud800"'), "malformed"),
    ("NaN", with_raw('"x":NaN'), "malformed"),
    ("huge number in an inner object", with_raw('"x":{"y":' + "1" * 5000 + "}"), "malformed"),
    ("float exp", {**PAYLOAD, "exp": NOW + 10.5}, "malformed"),
    ("whole float exp", COMPACT.replace(f'"exp":{NOW + TTL}', f'"exp":{NOW + TTL}.0'), "malformed"),
    ("exponent exp", COMPACT.replace(f'"exp":{NOW + TTL}', '"exp":18e8'), "malformed"),
    ("string exp", {**PAYLOAD, "exp": str(NOW + 10)}, "malformed"),
    ("boolean exp", {**PAYLOAD, "exp": True}, "malformed"),
    ("null exp", {**PAYLOAD, "exp": None}, "malformed"),
    ("list exp", {**PAYLOAD, "exp": [NOW + 10]}, "malformed"),
    ("float iat", {**PAYLOAD, "iat": NOW + 0.5}, "malformed"),
    ("string iat", {**PAYLOAD, "iat": str(NOW)}, "malformed"),
    ("boolean iat", {**PAYLOAD, "iat": True}, "malformed"),
    ("negative epoch", {**PAYLOAD, "epoch": -1}, "malformed"),
    ("boolean epoch", {**PAYLOAD, "epoch": True}, "malformed"),
    ("empty sub", {**PAYLOAD, "sub": ""}, "malformed"),
    ("number sub", {**PAYLOAD, "sub": 1}, "malformed"),
    ("empty jti", {**PAYLOAD, "jti": ""}, "malformed"),
    ("list scope", {**PAYLOAD, "scope": ["read"]}, "malformed"),
    ("string networks", {**PAYLOAD, "networks": "*"}, "malformed"),
    ("null networks", {**PAYLOAD, "networks": None}, "malformed"),
    ("null in networks", {**PAYLOAD, "networks": [None]}, "malformed"),
    ("null aud", {**PAYLOAD, "aud": None}, "malformed"),
    ("null client_id", {**PAYLOAD, "client_id": None}, "malformed"),
    ("foreign issuer", {**PAYLOAD, "iss": "other"}, "malformed"),
    ("empty issuer", {**PAYLOAD, "iss": ""}, "malformed"),
    ("the public URL without aud", {**PAYLOAD, "iss": URL}, "malformed"),
    ("aud under typ JWT", {**PAYLOAD, "iss": URL, "aud": AUDIENCE}, "malformed"),
    *[(f"no {name}", {k: v for k, v in PAYLOAD.items() if k != name}, "malformed") for name in PAYLOAD],
]

AUDIENCE_HEADER = {"alg": "HS256", "typ": "at+jwt"}
AUDIENCE_PAYLOAD = json.loads(msgspec.json.encode(AUDIENCE_CLAIMS))

# token text, reason of the refusal
TEXTS = [
    ("empty", "", "malformed"),
    ("dots", "..", "malformed"),
    ("one part", HEAD, "malformed"),
    ("two parts", f"{HEAD}.{BODY}", "malformed"),
    ("four parts", f"{GOOD}.{SIGNATURE}", "malformed"),
    ("five parts, as encrypted", f"{GOOD}..", "malformed"),
    ("no signature", f"{HEAD}.{BODY}.", "malformed"),
    ("no payload", f"{HEAD}..{SIGNATURE}", "malformed"),
    ("no header", f".{BODY}.{SIGNATURE}", "malformed"),
    ("alg none", unsigned("none"), "malformed"),
    ("alg None", unsigned("None"), "malformed"),
    ("alg nOnE", unsigned("nOnE"), "malformed"),
    ("alg NONE with a signature", unsigned("NONE") + SIGNATURE, "signature"),
    ("padded signature", GOOD + "=", "malformed"),
    ("padded payload", f"{HEAD}.{BODY}=.{SIGNATURE}", "malformed"),
    ("padded header", f"{HEAD}=.{BODY}.{SIGNATURE}", "malformed"),
    ("space after", GOOD + " ", "malformed"),
    ("newline after", GOOD + "\n", "malformed"),
    ("space before", " " + GOOD, "malformed"),
    ("newline within", f"{HEAD}\n.{BODY}.{SIGNATURE}", "malformed"),
    ("scheme before", "Bearer " + GOOD, "malformed"),
    ("standard base64", f"{HEAD}.{BODY}.{SIGNATURE[:-2]}+/", "malformed"),
    ("one character of base64", f"{HEAD}.{BODY}.A", "malformed"),
    ("unused bits set", f"{HEAD}.{BODY}.{SIGNATURE[:-1]}{chr(ord(SIGNATURE[-1]) + 1)}", "malformed"),
    ("beyond ASCII", f"{HEAD}.{BODY}.{SIGNATURE[:-1]}é", "malformed"),
    ("full-width letters", GOOD.replace("e", "\uff45"), "malformed"),
    ("lone surrogate", GOOD + "\ud800", "malformed"),
    ("NUL", GOOD + "\0", "malformed"),
    ("short signature", f"{HEAD}.{BODY}.{SIGNATURE[:40]}", "signature"),
    ("long signature", f"{GOOD}{'A' * 5}", "signature"),
    ("another payload", f"{HEAD}.{encode(COMPACT.replace('read', 'owner').encode())}.{SIGNATURE}", "signature"),
    ("1 MB", "A" * 1_000_000, "malformed"),
    ("1 MB, well signed", forge(HEADER, {**PAYLOAD, "x": "y" * 1_000_000}), "malformed"),
    ("JSON serialization", json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}), "malformed"),
]


def ids(table: list[Any]) -> list[Any]:
    """A table of (name, …) as parameters with these ids."""
    return [pytest.param(*row[1:], id=row[0]) for row in table]


class TestAttacks:
    """The table of token attacks: only the one valid format is accepted."""

    @pytest.mark.parametrize(("header", "reason"), ids(HEADERS))
    def test_headers(self, header: str | Mapping[str, Any], reason: str) -> None:
        """A header with any deviation is refused, although the signature is valid."""
        assert refusal(forge(header, PAYLOAD)) == reason
        assert refusal(forge(header, PAYLOAD), keys=BOTH) == reason

    @pytest.mark.parametrize(("payload", "reason"), ids(PAYLOADS))
    def test_payloads(self, payload: str | bytes | Mapping[str, Any], reason: str | None) -> None:
        """A payload with any deviation is refused, although the signature is valid."""
        assert refusal(forge(HEADER, payload)) == reason

    @pytest.mark.parametrize(("token", "reason"), ids(TEXTS))
    def test_texts(self, token: str, reason: str) -> None:
        """A token has exactly one valid encoding."""
        assert refusal(token) == reason

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({}, None),
            ({"aud": [AUDIENCE]}, "malformed"),
            ({"aud": None}, "malformed"),
            ({"iss": ISSUER}, "malformed"),
            ({"iss": URL + "/"}, "malformed"),
        ],
    )
    def test_audiences(self, change: dict[str, Any], reason: str | None) -> None:
        """A token for an audience has one, as a string, and is accepted from the public URL only."""
        assert refusal(forge(AUDIENCE_HEADER, {**AUDIENCE_PAYLOAD, **change})) == reason

    def test_confusion(self) -> None:
        """The public key is not accepted as an HMAC secret, whatever the header says."""
        assert refusal(confused(), keys=BOTH) == "signature"
        assert refusal(confused(), keys=SigningKeys(ED25519)) == "signature"

    def test_foreign_keys(self) -> None:
        """A valid token of another herod is refused."""
        assert refusal(issue(CLAIMS, hs256_key("t" * 32))) == "signature"
        assert refusal(issue(CLAIMS, ed25519_key(bytes(32))), keys=BOTH) == "signature"
        assert refusal(issue(CLAIMS, ED25519)) == "signature"

    def test_borrowed_kid(self) -> None:
        """A token signed with the shared secret under the Ed25519 key's `kid` is refused: one algorithm per `kid`."""
        assert refusal(forge({**HEADER, "kid": ED25519.kid}, PAYLOAD), keys=BOTH) == "signature"
        assert refusal(forge({"alg": "EdDSA", "typ": "JWT"}, PAYLOAD, ED25519), keys=BOTH) == "signature"

    def test_at_the_size_limit(self) -> None:
        """A token of 8 KiB passes, and one of one character more is refused."""

        def padded(count: int) -> str:
            return forge(HEADER, {**PAYLOAD, "x": "y" * count})

        count = next(n for n in range(5800, 6200) if len(padded(n)) >= MAX_TOKEN_CHARS - 1)
        assert refusal(padded(count)) is None
        assert len(padded(count + 2)) > MAX_TOKEN_CHARS
        assert refusal(padded(count + 2)) == "malformed"

    def test_errors_tell_nothing(self) -> None:
        """A refusal contains nothing of the token and does not name the failed check publicly."""
        messages = set()
        for _, payload, reason in PAYLOADS:
            if reason is not None:
                with pytest.raises(BadToken) as caught:
                    check(forge(HEADER, payload))
                messages.add(caught.value.message)
        assert len(messages) == 1
        assert "3b7c" not in messages.pop()

    @given(token=st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
    def test_any_text(self, token: str) -> None:
        """Any text is refused without another error."""
        assert refusal(token) in {"malformed", "signature"}

    @given(payload=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
    def test_any_signed_payload(self, payload: bytes) -> None:
        """Any payload signed with the secret is refused without another error."""
        assert refusal(forge(HEADER, payload)) == "malformed"

    @given(header=st.binary(max_size=300))
    def test_any_header(self, header: bytes) -> None:
        """Any bytes as header are refused without another error."""
        assert refusal(f"{encode(header)}.{BODY}.{SIGNATURE}") in {"malformed", "signature"}

    @given(position=st.integers(0, len(GOOD) - 1), char=st.sampled_from("ABYZabyz0189-_=.+/ \n"))
    def test_any_change(self, position: int, char: str) -> None:
        """A valid token with one changed character is refused."""
        changed = GOOD[:position] + char + GOOD[position + 1 :]
        assert (refusal(changed) is None) == (changed == GOOD)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def has_duplicates(text: str) -> bool:
    """Whether any object has a duplicate name, according to an independent parser."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(pairs)) != len(pairs)

    json.loads(text, object_pairs_hook=look)
    return found


@given(
    members=st.lists(st.tuples(st.sampled_from(["a", "b", "sub", "é", ""]), json_values), max_size=5),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    escape=st.sampled_from([json.dumps, lambda name: '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"']),
    ensure_ascii=st.booleans(),
)
def test_duplicates_at_any_level(
    members: list[tuple[str, Any]],
    separators: tuple[str, str],
    escape: Callable[[str], str],
    ensure_ascii: bool,
) -> None:
    """An object is accepted exactly if it has no duplicate name at any level, however it is written."""
    written = [
        escape(name) + separators[1] + json.dumps(value, separators=separators, ensure_ascii=ensure_ascii)
        for name, value in members
    ]
    text = "{" + separators[0].join(written) + "}"
    if has_duplicates(text):
        with pytest.raises(BadToken):
            access_tokens.parse_object(text.encode("utf-8", "surrogatepass"))
    else:
        try:
            names = set(access_tokens.parse_object(text.encode("utf-8", "surrogatepass")))
        except BadToken:
            # Lone surrogates are not valid UTF-8, and are refused too.
            assert any(0xD800 <= ord(char) <= 0xDFFF for char in str(members))
        else:
            assert names == {name for name, _ in members}


def test_only_signed_headers_are_remembered() -> None:
    """Only signed headers are cached, and a holder of the secret can fill the cache only to its limit."""
    access_tokens.known_headers.clear()
    for n in range(100):
        refusal(forge({**HEADER, "x": n}, PAYLOAD, hs256_key("t" * 32)))
    assert not access_tokens.known_headers
    for n in range(100):
        assert refusal(forge({**HEADER, "x": n}, PAYLOAD)) is None
    assert len(access_tokens.known_headers) == 64
    assert refusal(GOOD) is None
    access_tokens.known_headers.clear()


def test_a_remembered_header_is_still_judged() -> None:
    """A header cached for one set of keys is not accepted with another set or another typ."""
    assert refusal(GOOD) is None
    assert refusal(GOOD, keys=SigningKeys(ED25519)) == "signature"
    with pytest.raises(BadToken):
        open_jws(GOOD, SigningKeys(SHARED), typ=frozenset({AUDIENCE_TYP}))
