"""Strict JSON Web Tokens: issue, open, verify.

The rules for a valid token (RFC 7515, 7519, 8725, 9068):

    size      at most 8 KiB, three non-empty parts of canonical base64url
    header    an object without duplicate names; the key's own `alg`; a known `kid` or none; an expected
              `typ`; no b64, crit, jwk, jku, x5u, x5c
    payload   an object without duplicate names, at most 32 deep, strict UTF-8; the types of `Claims`, no null
    iss, aud  the plain issuer without `aud` under `JWT`; the public URL with `aud` under `at+jwt`
    time      now < exp (no leeway), 0 < exp - iat ≤ ttl, iat ≤ now + 60 s, and nbf, if any, ≤ now + 60 s
    retired   a retired key verifies until its hard stop, and no token that expires later
    key       a token without `aud` is signed with HS256 or EdDSA: keys of other algorithms sign for apps only

PyJWT supplies the signature algorithms (`SigningKey`); its parser is too lenient to be used. A key is looked
up in memory by `kid` and never taken from a token. Audience, revocation and epochs are checked by the caller: this
file has no store.
"""

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from herod_client.core.errors import BadToken, ExpiredToken, FutureToken, InvalidRequest
from herod_client.core.repeated_names import check_names
from herod_client.core.signing_keys import PLAIN_ALGORITHMS, SigningKey, SigningKeys

__all__ = [
    "AUDIENCE_TYP",
    "CLOCK_SKEW",
    "MAX_ID_CHARS",
    "MAX_TOKEN_CHARS",
    "PLAIN_TYP",
    "Claims",
    "Header",
    "issue",
    "known_headers",
    "looks_like_token",
    "open_jws",
    "parse_object",
    "sign_jws",
    "unknown_subject",
    "verify",
    "wrong_audience",
]

MAX_TOKEN_CHARS: Final = 8 * 1024
MAX_DEPTH: Final = 32
CLOCK_SKEW: Final = 60  # seconds that an issuer's clock may be ahead

PLAIN_TYP: Final = "JWT"
AUDIENCE_TYP: Final = "at+jwt"  # RFC 9068, section 2.1
_TYPS: Final = frozenset({PLAIN_TYP, AUDIENCE_TYP})

# crit and b64 change how a token is read; the others carry a key.
FORBIDDEN_HEADERS: Final = frozenset({"b64", "crit", "jwk", "jku", "x5u", "x5c"})
_OPTIONAL_CLAIMS: Final = ("networks", "aud", "client_id", "family")

Filled = Annotated[str, msgspec.Meta(min_length=1)]
# Ids of tokens are stored: in revocations and in the audit log.
MAX_ID_CHARS: Final = 128
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Seconds = Annotated[int, msgspec.Meta(ge=0)]


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of a token.

    Attributes:
        sub: client id, service key's id or peer rule's id.
        scope: as granted, space-separated, not expanded.
        jti: the token's own id.
        epoch: the account's epoch when the token was issued; a different one now means that it is revoked.
        via: the parent credential; the token is narrowed with it.
        networks: None, and absent from the token, means all.
        aud: None unless an audience was requested (RFC 8707).
        client_id: with `aud` only.
        family: the id of the family of an app's token, all of which can be revoked at once.
    """

    sub: Id
    iss: Filled
    iat: Seconds
    exp: Seconds
    scope: str
    jti: Id
    epoch: Seconds
    via: str
    networks: tuple[str, ...] | None = None
    aud: str | None = None
    client_id: str | None = None
    family: Id | None = None


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of a token's header that herod reads."""

    alg: str
    typ: str | None = None
    kid: str | None = None


_to_standard: Final = bytes.maketrans(b"-_", b"+/")
_to_url: Final = bytes.maketrans(b"+/", b"-_")
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_claims: Final = msgspec.json.Decoder(Claims).decode
_decode_header: Final = msgspec.json.Decoder(Header).decode
_encode: Final = msgspec.json.Encoder().encode
# Possessive, and it always matches: linear time for any untrusted input.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)

# Headers of tokens with a valid signature only, so that untrusted input cannot fill it.
known_headers: Final[dict[bytes, Header]] = {}
_MAX_KNOWN_HEADERS: Final = 64


def looks_like_token(text: str) -> bool:
    """Whether `text` has the form of a JWT (RFC 7519): three parts."""
    return text.count(".") == 2


def issue(claims: Claims, key: SigningKey) -> str:
    """Encode and sign a token: `typ` is `at+jwt` with an audience and `JWT` without.

    Raises:
        InvalidRequest: it would be larger than `verify` accepts, which only a long list of networks causes.
    """
    token = sign_jws(_encode(claims), key, typ=AUDIENCE_TYP if claims.aud is not None else PLAIN_TYP)
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidRequest("The grant names too many networks for one token: ask for fewer, or for all.")
    return token


def sign_jws(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """Sign any payload, in compact form (RFC 7515, section 3.1), with a header of `alg`, `typ` and the key's `kid`."""
    signing_input = _encode_header(key.kid, key.algorithm, typ) + b"." + _to_base64url(payload)
    return (signing_input + b"." + _to_base64url(key.sign(signing_input))).decode()


def open_jws(token: str, keys: SigningKeys, *, typ: frozenset[str] | None) -> tuple[Header, bytes]:
    """Open a signed token in compact form: only the JWS layer, with any payload.

    Hard stops of retired keys are not checked, since there is no `now` here; `verify` checks them.

    Args:
        token: as presented.
        keys: those that may have signed it.
        typ: the values allowed in the header's `typ`; None allows any.

    Raises:
        BadToken: reason `malformed` or `signature`.
    """
    header, payload, _ = _open(token, keys, typ, None)
    return header, payload


def verify(
    token: str,
    keys: SigningKeys,
    *,
    issuer: str,
    audience_issuer: str,
    ttl: int,
    now: int,
) -> Claims:
    """Verify a token of this issuer and return its claims. The caller checks `aud`, and whether it was revoked.

    Args:
        token: as presented.
        keys: those that may have signed it.
        issuer: the `iss` of tokens without an audience.
        audience_issuer: the `iss` of tokens with one: the public URL.
        ttl: the maximum lifetime of a token, in seconds.
        now: Unix seconds.

    Raises:
        BadToken: reason `malformed` or `signature`.
        FutureToken: it was issued in the future.
        ExpiredToken: it was valid and has expired.
    """
    header, payload, key = _open(token, keys, _TYPS, now)
    members = parse_object(payload)
    try:
        claims = _decode_claims(payload)
    except msgspec.ValidationError:
        raise _malformed() from None
    if claims.aud is None:
        is_ours = header.typ == PLAIN_TYP and claims.iss == issuer and key.algorithm in PLAIN_ALGORITHMS
    else:
        is_ours = header.typ == AUDIENCE_TYP and claims.iss == audience_issuer
    if not is_ours or not 0 < claims.exp - claims.iat <= ttl:
        raise _malformed()
    # Absent networks mean all, and a null must not pass for absent.
    for name in _OPTIONAL_CLAIMS:
        if name in members and getattr(claims, name) is None:
            raise _malformed()
    begins = max(claims.iat, _not_before(bytes(members["nbf"])) if "nbf" in members else 0)
    # Tokens that the key signed before it was retired expire by its hard stop. A cache of claims may rely on it.
    if key.verifies_until is not None and claims.exp > key.verifies_until:
        raise _bad_signature()
    if now >= claims.exp:
        raise ExpiredToken("The token has expired: ask for a new one.", reason="expired")
    if begins > now + CLOCK_SKEW:
        raise FutureToken(
            f"The token is from {begins - now} seconds in the future: the clock of the machine that issued it and the "
            "clock of this one differ. Set both by NTP, then get a new token.",
            begins=begins,
        )
    return claims


def _open(
    token: str, keys: SigningKeys, typ: frozenset[str] | None, now: int | None
) -> tuple[Header, bytes, SigningKey]:
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise _malformed()
    parts = token.encode().split(b".")
    if len(parts) != 3:
        raise _malformed()
    header_part, payload_part, signature_part = parts
    payload = _from_base64url(payload_part)
    signature = _from_base64url(signature_part)
    known = known_headers.get(header_part)
    header = _parse_header(header_part) if known is None else known
    if typ is not None and header.typ not in typ:
        raise _malformed()
    signing_input = header_part + b"." + payload_part
    for key in keys.find_all(header.kid):
        # The key determines the algorithm; the header must agree (RFC 8725, section 3.1).
        if key.algorithm == header.alg and (now is None or key.is_live(now)) and key.verify(signing_input, signature):
            if known is None and len(known_headers) < _MAX_KNOWN_HEADERS:
                known_headers[header_part] = header
            return header, payload, key
    raise _bad_signature()


def _parse_header(part: bytes) -> Header:
    data = _from_base64url(part)
    members = parse_object(data)
    if not FORBIDDEN_HEADERS.isdisjoint(members):
        raise _malformed()
    try:
        header = _decode_header(data)
    except msgspec.ValidationError:
        raise _malformed() from None
    if ("kid" in members and header.kid is None) or ("typ" in members and header.typ is None):
        raise _malformed()
    return header


def parse_object(data: bytes) -> dict[str, msgspec.Raw]:
    """Parse a JSON object into its members: strict UTF-8, no duplicate names at any level, within `MAX_DEPTH`."""
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise _malformed()
    try:
        if not data.isascii():
            data.decode()  # msgspec does not check strings that it skips
        members = _decode_members(data)
        # If encoding the members with their raw bytes gives the same text, there was no duplicate name. Text with
        # white space, escaped names or nested objects differs and takes the slow path.
        if data.count(b"{") != 1 or _encode(members) != data:
            json.loads(data, object_pairs_hook=check_names)
    except (msgspec.DecodeError, ValueError):
        raise _malformed() from None
    return members


def _depth(data: bytes) -> int:
    depth = deepest = 0
    for byte in _STRING.sub(b"", data):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _not_before(raw: bytes) -> int:
    """The time of an `nbf` (RFC 7519, section 4.1.5), in Unix seconds."""
    if not raw.isdigit() or len(raw) > 12:
        raise _malformed()
    return int(raw)


def _from_base64url(part: bytes) -> bytes:
    """Decode canonical, non-empty base64url (RFC 4648, sections 3.5 and 5)."""
    try:
        data = a2b_base64(part.translate(_to_standard) + b"==")
    except Base64Error:
        raise _malformed() from None
    # The decoder skips unknown characters; only the canonical form is the same when encoded again.
    if not data or _to_base64url(data) != part:
        raise _malformed()
    return data


def _to_base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_to_url)


@lru_cache(maxsize=64)
def _encode_header(kid: str | None, algorithm: str, typ: str) -> bytes:
    return _to_base64url(_encode(Header(alg=algorithm, typ=typ, kid=kid)))


def wrong_audience() -> BadToken:
    """The error for a token whose `aud` is another service: whoever received it must not be able to replay it here."""
    return BadToken("This token is for another resource: request one without that resource.", reason="audience")


def unknown_subject() -> BadToken:
    """The error for a token of this issuer whose subject is not known, and not as a deleted one."""
    return BadToken(
        "The subject of this token is not known here. It may be from another herod with the same HERO_SECRET: get a "
        "token from this one.",
        reason="audience",
    )


def _malformed() -> BadToken:
    return BadToken("The token is malformed or not meant for herod: ask for a new one.", reason="malformed")


def _bad_signature() -> BadToken:
    return BadToken("The token's signature is not valid: ask for a new one.", reason="signature")
