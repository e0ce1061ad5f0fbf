"""Turns every kind of credential into a `Principal`; nothing else does.

The effective grant is the owner's ∩ the credential's ∩ its parent credential's, read from the store at every use, so
that demoting, disabling and deleting take effect at once. The same function runs before a command and again inside its
transaction.
"""

from collections.abc import Mapping
from typing import Final

from herod.credentials.apps.refresh_tokens import looks_like_refresh_token
from herod.credentials.secret_hashes import hash_secret, matches
from herod.credentials.secret_normal_form import normal_secret
from herod.identity.apps.app_credentials import app_with_secret, public_app
from herod.identity.apps.openid_scopes import PROFILE, openid_scopes_of
from herod.identity.credential_types import (
    ApiKeyHeader,
    Audience,
    Basic,
    Bearer,
    PeerClaim,
    Presented,
    PublicClient,
    SecretHeader,
    SessionCookie,
    Unreadable,
    scheme_of,
)
from herod.identity.effective_principals import (
    BAD_KEY,
    account_principal,
    is_in_overlap,
    key_principal,
    legacy_principal,
)
from herod.identity.own_resources import OwnResource, canonical_resource, own_resource
from herod.identity.parent_credential import LOCAL_ADMIN_VIA, cookie_principal, parent_of
from herod.identity.runtime_state import Runtime
from herod.identity.stored_secrets import is_stored_secret
from herod.identity.unix_peer import peer_principal
from herod.records import Account, ApiKey, PeerRule, Record, Revocation
from herod.scopes.principal import ANONYMOUS, AuthMethod, Principal, PrincipalKind, Source
from herod.store.store_interface import Reader
from herod_client.core.access_tokens import Claims, looks_like_token, unknown_subject, wrong_audience
from herod_client.core.errors import BadCredentials, BadToken, ExpiredToken, RevokedToken, Unauthenticated
from herod_client.core.grants import MAX_NETWORKS, intersect_grants
from herod_client.core.key_format import KeyKind, looks_like_key, parse_key, typing_error
from herod_client.core.refusal_reasons import ROTATED
from herod_client.core.resource_indicators import is_meant_for
from herod_client.core.times import rfc3339_text

__all__ = [
    "bearer_principal",
    "identify",
    "looks_like_token",
    "token_holder",
    "token_principal",
]

# The method of a token's `via` → the type of record that its subject is.
SUBJECTS: Final[Mapping[str, type[Record]]] = {
    AuthMethod.CLIENT_SECRET: Account,
    AuthMethod.PASSWORD: Account,
    AuthMethod.USER_KEY: Account,
    AuthMethod.SERVICE_KEY: ApiKey,
    AuthMethod.DELEGATION: Account,
    AuthMethod.PEER: PeerRule,
}
BAD_CLIENT: Final = "Unknown client_id or wrong client secret."
BAD_SECRET: Final = "Unknown secret, key or token."  # noqa: S105 - a message
UNREADABLE: Final = {
    None: "The Authorization header cannot be read: use Bearer, Basic or Peer.",
    "Bearer": "The Authorization header has no token: send it after Bearer and a space.",
    "Basic": "The Basic credentials cannot be read: encode client_id:client_secret in base64, with its padding.",
}


def identify(reader: Reader, runtime: Runtime, presented: Presented | None, source: Source, now: int) -> Principal:
    """Verify a presented credential and return its principal with the current grants.

    Raises:
        Unauthenticated: or a child of it, with its `scheme`; no credential at all is `ANONYMOUS`, not an error.
    """
    try:
        return _principal_of(reader, runtime, presented, source, now)
    except Unauthenticated as error:
        error.scheme = scheme_of(presented)
        raise


def _principal_of(reader: Reader, runtime: Runtime, presented: Presented | None, source: Source, now: int) -> Principal:
    match presented:
        case None:
            return ANONYMOUS
        case Bearer(text):
            principal = bearer_principal(reader, runtime, text, now, audience=presented.audience)
            return principal if presented.audience is not Audience.MCP else _never_local_admin(principal)
        case ApiKeyHeader(text):
            return _by_key(reader, runtime, text, now)
        case SecretHeader(text):
            return _by_legacy_secret(runtime, text)
        case Basic(client_id, secret):
            return _by_client_secret(reader, runtime, client_id, secret)
        case PublicClient(client_id):
            return public_app(reader, runtime, client_id)
        case SessionCookie(text):
            principal = cookie_principal(reader, runtime, text, now)
            return principal if presented.may_be_admin else _never_local_admin(principal)
        case PeerClaim():
            return peer_principal(reader, runtime, presented, source)
        case Unreadable(scheme):
            raise BadCredentials(UNREADABLE[scheme], reason="scheme" if scheme is None else "unreadable")


def bearer_principal(
    reader: Reader, runtime: Runtime, text: str, now: int, *, audience: Audience | str = Audience.HEROD
) -> Principal:
    """The principal of a token, an API key or a legacy secret.

    Args:
        audience: which audience-restricted tokens are accepted; a text is the resource that they must be for.

    Raises:
        Unauthenticated: the credential is not valid.
    """
    if looks_like_key(text):
        return _by_key(reader, runtime, text, now)
    if looks_like_refresh_token(text):
        raise BadCredentials(
            "This is a refresh token: send it to /token with grant_type=refresh_token, and present the access token "
            "that comes back.",
            reason="refresh_token",
        )
    if not looks_like_token(text):
        return _by_legacy_secret(runtime, text)
    try:
        claims = runtime.claims(text, now)
    except BadToken:
        secret = runtime.config.legacy.match(text)  # a legacy secret may look like a token
        if secret is None:
            raise
        return legacy_principal(runtime, secret.id, secret.scope)
    principal = token_principal(reader, runtime, claims, now)
    if claims.aud is None:
        if audience is Audience.MCP:
            raise _not_for_mcp(runtime)
    elif not (audience is Audience.APP and claims.aud == principal.app):
        _check_audience(runtime, claims.aud, audience)
    return principal


def token_principal(reader: Reader, runtime: Runtime, claims: Claims, now: int) -> Principal:
    """The principal of a verified token, limited by the current grants of its parent credential.

    Raises:
        BadToken: its subject was never here, or it is an app's without an audience.
        RevokedToken: the token or its family was revoked, its epoch has ended, or its subject no longer exists.
        Disabled: its account is disabled.
    """
    mark = f"{claims.sub}/{claims.jti}"
    if mark in runtime.revoked or reader.get(Revocation, mark) is not None:
        raise RevokedToken("This token was revoked: get a new one.")
    if claims.family is not None:
        mark = f"{claims.sub}/{claims.family}"
        if mark in runtime.revoked or reader.get(Revocation, mark) is not None:
            raise RevokedToken("This token was revoked: get a new one.")
    return token_holder(reader, runtime, claims, now)


def token_holder(reader: Reader, runtime: Runtime, claims: Claims, now: int) -> Principal:
    """Like `token_principal`, but ignores revocation of the token itself: for revoking a token, not for accepting one.

    Raises:
        BadToken: the token names more networks than a grant may have, or its subject was never here.
        RevokedToken: its epoch has ended, or its subject no longer exists.
        Disabled: its account is disabled.
    """
    try:
        maker = parent_of(reader, runtime, claims.sub, claims.via, claims.epoch, now)
    except RevokedToken:
        if _was_never_here(reader, runtime, claims):
            raise unknown_subject() from None
        raise
    if claims.networks is not None and len(claims.networks) > MAX_NETWORKS and "*" in maker.widest.networks:
        # Herod did not make this token. Only a parent with all networks needs the check: otherwise the token's names
        # are intersected with the parent's few.
        raise BadToken("The token names too many networks: ask for a new one.", reason="malformed")
    if maker.delegation is not None and claims.aud is None:  # herod makes none for an app
        raise BadToken("An app's token must be for one resource: ask for a new one.", reason="malformed")
    scope = tuple(claims.scope.split())
    own = runtime.grant(scope, ("*",) if claims.networks is None else claims.networks)
    grants = intersect_grants(maker.grants, own)
    openid = maker.openid and openid_scopes_of(set(scope).intersection(maker.openid))
    # An app that only signs a person in gets their name if they allowed `profile`.
    tells_name = maker.delegation is None or PROFILE in openid or any(grant.mask for grant in grants)
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name if tells_name else "",
        method=AuthMethod.JWT,
        grants=grants,
        credential=claims.jti,
        made_with=maker.method,
        epoch=maker.epoch,
        issued_at=claims.iat,
        expires_at=claims.exp,
        audience=claims.aud,
        delegation=maker.delegation,
        app=maker.app,
        openid=openid,
    )


def _by_key(reader: Reader, runtime: Runtime, text: str, now: int) -> Principal:
    parsed = parse_key(text)
    key = reader.get(ApiKey, parsed.id)
    computed = hash_secret(runtime.keyring, "key", parsed.id, text)
    if key is None:
        raise BadCredentials(BAD_KEY, reason="unknown_key")
    is_former = False
    # Most hashes were made by this store, and one comparison is enough.
    if not matches(key.secret_hash, computed) and not _is_secret(reader, runtime, key, key.secret_hash, computed, text):
        if key.former_hash is None or not _is_secret(reader, runtime, key, key.former_hash, computed, text):
            raise BadCredentials(BAD_KEY, reason="wrong_secret")
        if not is_in_overlap(key, now):
            raise BadCredentials(BAD_KEY, reason=ROTATED)
        is_former = True
    if (key.owner is None) is not (parsed.kind is KeyKind.SERVICE):
        raise BadCredentials(BAD_KEY, reason="wrong_kind")
    # The whole secret was shown: whoever holds it may be told why it is refused, and nobody else is.
    principal = key_principal(reader, runtime, key, is_former=is_former)
    if not principal.is_live(now):
        raise ExpiredToken(
            f"This API key expired on {rfc3339_text(principal.expires_at or 0)}: set a new expiry date or use another.",
            reason="expired",
            hint=f"herod key edit {key.id} --expires 90d",
        )
    return principal


def _check_audience(runtime: Runtime, meant: str, taken: Audience | str) -> None:
    """Refuse a token for another audience."""
    config, is_taken = runtime.config, taken is Audience.ANY
    if isinstance(taken, str):
        is_taken = is_meant_for(canonical_resource(config, meant), canonical_resource(config, taken))
    elif taken is not Audience.PLAIN:
        own = own_resource(config, meant)
        is_taken = is_taken or own is OwnResource.ROOT or (own is OwnResource.MCP and taken is Audience.MCP)
    if not is_taken:
        raise wrong_audience()


def _not_for_mcp(runtime: Runtime) -> BadToken:
    """The error for a plain token at `/mcp`: an agent that got one elsewhere could use it here."""
    resource = f"{runtime.config.public_url}{OwnResource.MCP}"
    return BadToken(
        f"/mcp takes only tokens that were issued for it: request one with resource={resource}, or present an API key.",
        reason="audience",
        hint=f"herod token issue --resource {resource}",
    )


def _was_never_here(reader: Reader, runtime: Runtime, claims: Claims) -> bool:
    """Whether the subject of a refused token neither exists nor was deleted: herods may share HERO_SECRET.

    A local admin ends with its process: one that issued the token since this process started is another herod's.
    """
    if claims.via == LOCAL_ADMIN_VIA:
        return claims.iat > runtime.started_at
    subject_type = SUBJECTS.get(claims.via.partition(":")[0])
    if subject_type is None or reader.get(subject_type, claims.sub) is not None:
        return False
    return not reader.was_deleted(subject_type, claims.sub)


def _by_legacy_secret(runtime: Runtime, text: str) -> Principal:
    secret = runtime.config.legacy.match(text)
    if secret is None:
        raise BadCredentials(typing_error(text, "secret, key or token") or BAD_SECRET, reason="unknown_secret")
    return legacy_principal(runtime, secret.id, secret.scope)


def _by_client_secret(reader: Reader, runtime: Runtime, client_id: str, secret: str) -> Principal:
    account = reader.get(Account, client_id)
    app = app_with_secret(reader, runtime, client_id, secret) if account is None else None
    if app is not None:
        return app
    # herod makes them of ASCII, but imported ones may be anything. The same work for an unknown client.
    texts = dict.fromkeys((secret, normal_secret(secret)))
    computed = {text: hash_secret(runtime.keyring, "client_secret", client_id, text) for text in texts}
    if account is None or not any(
        _is_secret(reader, runtime, account, account.secret_hash, mac, text) for text, mac in computed.items()
    ):
        told = typing_error(secret, "client secret") or BAD_CLIENT
        raise BadCredentials(told, reason="unknown_client" if account is None else "wrong_secret")
    return account_principal(runtime, account, AuthMethod.CLIENT_SECRET)


def _is_secret(
    reader: Reader, runtime: Runtime, record: Account | ApiKey, stored: bytes, computed: bytes, text: str
) -> bool:
    """Whether `text`, whose hash under this store's key is `computed`, is the record's secret with hash `stored`."""
    label = "client_secret" if isinstance(record, Account) else "key"
    return is_stored_secret(reader, runtime, label, record.id, stored=stored, computed=computed, text=text)


def _never_local_admin(principal: Principal) -> Principal:
    """Refuse the local admin's tokens and sessions at an endpoint that does not admit it."""
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        raise BadCredentials("The local admin is not accepted here: present an API key.", reason="local_admin")
    return principal
