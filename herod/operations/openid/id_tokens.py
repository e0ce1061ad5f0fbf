"""id_tokens: a signed statement for one app that a person signed in (OpenID Connect Core 1.0, section 2).

An id_token is no credential: nothing here accepts one, except to say whose signing out an app asks for.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

import msgspec

from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.apps.openid_scopes import OPENID
from herod.identity.runtime_state import Runtime
from herod.operations.openid.person_claims import PersonClaims, person_claims
from herod.pipeline.app_signing_keys import key_for_apps, prepare_key_for_apps, public_algorithm
from herod.pipeline.operation_definition import Context, Work
from herod.records import Account, AuthorizationCode, TokenFamily
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import open_jws, parse_object, sign_jws
from herod_client.core.errors import BadToken
from herod_client.core.signing_keys import SigningAlgorithm

__all__ = ["IdTokenHint", "at_hash", "issue_id_token", "open_id_token_hint", "prepare_id_token"]

ID_TOKEN_TYP: Final = "JWT"  # noqa: S105 - a media type
# SHA-512 is the hash of Ed25519 (RFC 8032, section 5.1), and what libraries compute for EdDSA.
_HASHES: Final = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}


class IdToken(PersonClaims, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of an id_token; times are Unix seconds.

    `auth_time` is when the person signed in to herod, `amr` how (RFC 8176), `sid` their session.
    """

    iss: str
    aud: str
    exp: int
    iat: int
    auth_time: int
    sid: str
    at_hash: str
    nonce: str | msgspec.UnsetType = msgspec.UNSET
    amr: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class IdTokenHint(msgspec.Struct, frozen=True):
    """What signing out reads in an id_token: the app, the account and the session."""

    iss: str
    aud: str
    sub: str
    sid: str


def prepare_id_token(runtime: Runtime, app: OAuthApp) -> Work | None:
    """For an operation's `prepare`: makes the key that the app's id_tokens need, if there is none yet."""
    return prepare_key_for_apps(runtime, public_algorithm(app.id_token_algorithm))


def issue_id_token(
    tx: Writer,
    context: Context,
    app: OAuthApp,
    account: Account,
    granted: AuthorizationCode | TokenFamily,
    access_token: str,
    *,
    scope: tuple[str, ...],
) -> str | None:
    """Sign an id_token beside an access token; None without the scope `openid`.

    One that comes from a refresh has no nonce, and tells of the same sign-in (section 12.2).

    Args:
        tx: stores the key that signs it, if there is none yet.
        context: of the operation that issues it.
        app: for whom it is.
        account: who signed in.
        granted: the code that is redeemed, or the family whose tokens are refreshed.
        access_token: issued with it.
        scope: of that, narrowed to what the person lets the app know now.
    """
    if OPENID not in scope:
        return None
    runtime = context.runtime
    key = key_for_apps(tx, context, public_algorithm(app.id_token_algorithm))
    nonce = granted.nonce if isinstance(granted, AuthorizationCode) else ""
    claims = IdToken(
        **msgspec.structs.asdict(person_claims(runtime, account, scope, app)),
        iss=runtime.config.public_url,
        aud=app.id,
        exp=context.now + runtime.config.token_ttl,
        iat=context.now,
        auth_time=granted.auth_time,
        sid=granted.session,
        at_hash=at_hash(access_token, key.algorithm),
        nonce=nonce or msgspec.UNSET,
        amr=granted.amr or msgspec.UNSET,
    )
    return sign_jws(msgspec.json.encode(claims), key, typ=ID_TOKEN_TYP)


def at_hash(access_token: str, algorithm: SigningAlgorithm) -> str:
    """The left half of the access token's hash (section 3.1.3.6)."""
    digest = _HASHES[algorithm](access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def open_id_token_hint(runtime: Runtime, text: str) -> IdTokenHint | None:
    """What an id_token says that herod has issued, also one that has expired; None for anything else.

    An access token is none: with an audience it has another `typ`, and without one it lacks `aud` and `sid`.
    """
    try:
        header, payload = open_jws(text, runtime.signing, typ=frozenset({ID_TOKEN_TYP}))
        parse_object(payload)
        hint = msgspec.json.decode(payload, type=IdTokenHint)
    except (BadToken, msgspec.ValidationError):
        return None
    # HERO_SECRET signs no id_token: services that hold it could make one.
    is_ours = header.alg != "HS256" and hint.iss == runtime.config.public_url
    return hint if is_ours else None
