"""Who is this? Every kind of credential becomes a `Principal` here, and nowhere else.

The effective grant is own ∩ the credential ∩ whatever it was made with, read from the store at every use: what was
demoted, disabled or deleted a moment ago is so already. The same function runs before a command and again inside its
transaction.
"""

from typing import Final

from herod.credentials.imported_secret_hashes import HASH_BYTES, OWN_KEY, matches_imported, parse_hash
from herod.credentials.keyring import Purpose
from herod.credentials.secret_hashes import hash_secret, matches
from herod.identity.credential_types import (
    ApiKeyHeader,
    Audience,
    Basic,
    Bearer,
    PeerClaim,
    Presented,
    SecretHeader,
    SessionCookie,
    UnknownScheme,
)
from herod.identity.effective_principals import BAD_KEY, account_principal, key_principal, legacy_principal
from herod.identity.parent_credential import cookie_principal, parent_of
from herod.identity.runtime_state import Runtime
from herod.identity.unix_peer import peer_principal
from herod.records import Account, ApiKey, HashKey, Revocation
from herod.scopes.principal import ANONYMOUS, AuthMethod, Principal, PrincipalKind, Source
from herod.store.store_interface import Reader
from herod_client.core.access_tokens import Claims, looks_like_token
from herod_client.core.errors import BadCredentials, BadToken, RevokedToken
from herod_client.core.grants import MAX_NETWORKS, intersect_grants
from herod_client.core.key_format import KeyKind, looks_like_key, parse_key

__all__ = [
    "bearer_principal",
    "identify",
    "looks_like_token",
    "token_holder",
    "token_principal",
]

BAD_CLIENT: Final = "Unknown client_id or wrong client secret."
BAD_SECRET: Final = "Unknown secret, key or token."  # noqa: S105 - a message


def identify(reader: Reader, runtime: Runtime, presented: Presented | None, source: Source, now: int) -> Principal:
    """Turn what was presented into who it is, with what they hold right now.

    Raises:
        Unauthenticated: one of its kinds; nothing presented at all is `ANONYMOUS`, not an error.
    """
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
        case SessionCookie(text):
            principal = cookie_principal(reader, runtime, text, now)
            return principal if presented.may_be_admin else _never_local_admin(principal)
        case PeerClaim():
            return peer_principal(reader, runtime, presented, source)
        case UnknownScheme():
            raise BadCredentials("The Authorization header cannot be read: use Bearer, Basic or Peer.", reason="scheme")


def bearer_principal(
    reader: Reader, runtime: Runtime, text: str, now: int, *, audience: Audience = Audience.HEROD
) -> Principal:
    """Who a token, an API key or a legacy secret stands for.

    Args:
        audience: which tokens are taken of those that were made for one resource.

    Raises:
        Unauthenticated: it stands for nobody.
    """
    if looks_like_key(text):
        return _by_key(reader, runtime, text, now)
    if not looks_like_token(text):
        return _by_legacy_secret(runtime, text)
    try:
        claims = runtime.claims(text, now)
    except BadToken:
        secret = runtime.config.legacy.match(text)  # which may look like anything
        if secret is None:
            raise
        return legacy_principal(runtime, secret.id, secret.scope)
    principal = token_principal(reader, runtime, claims, now)
    if claims.aud is not None:
        _check_audience(runtime, claims.aud, audience)
    return principal


def token_principal(reader: Reader, runtime: Runtime, claims: Claims, now: int) -> Principal:
    """Who holds a verified token, narrowed to what it was made with as that is now.

    Raises:
        RevokedToken: it was revoked, its epoch is over, or its subject is gone.
        Disabled: its account is switched off.
    """
    mark = f"{claims.sub}/{claims.jti}"
    if mark in runtime.revoked or reader.get(Revocation, mark) is not None:
        raise RevokedToken("This token was revoked: get a new one.")
    return token_holder(reader, runtime, claims, now)


def token_holder(reader: Reader, runtime: Runtime, claims: Claims, now: int) -> Principal:
    """As `token_principal`, whether or not the token itself was revoked: for who revokes it, not for who presents it.

    Raises:
        BadToken: it names more networks than anything may.
        RevokedToken: its epoch is over, or its subject is gone.
        Disabled: its account is switched off.
    """
    maker = parent_of(reader, runtime, claims.sub, claims.via, claims.epoch, now)
    if claims.networks is not None and len(claims.networks) > MAX_NETWORKS and "*" in maker.widest.networks:
        # Not one of ours: who holds all networks gives all of them, and who holds some adds none by what a token says.
        raise BadToken("The token names too many networks: ask for a new one.", reason="malformed")
    own = runtime.grant(tuple(claims.scope.split()), ("*",) if claims.networks is None else claims.networks)
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name,
        method=AuthMethod.JWT,
        grants=intersect_grants(maker.grants, own),
        credential=claims.jti,
        made_with=maker.method,
        epoch=maker.epoch,
        issued_at=claims.iat,
        expires_at=claims.exp,
        audience=claims.aud,
    )


def _by_key(reader: Reader, runtime: Runtime, text: str, now: int) -> Principal:
    parsed = parse_key(text)
    key = reader.get(ApiKey, parsed.id)
    computed = hash_secret(runtime.keyring, "key", parsed.id, text)
    if key is None:
        raise BadCredentials(BAD_KEY, reason="unknown_key")
    is_former = False
    # Most hashes are of this store's own making: then it is one step.
    if not matches(key.secret_hash, computed) and not _is_secret(reader, runtime, key, key.secret_hash, computed, text):
        if key.former_hash is None or not _is_secret(reader, runtime, key, key.former_hash, computed, text):
            raise BadCredentials(BAD_KEY, reason="wrong_secret")
        if now >= key.former_until:
            raise BadCredentials(BAD_KEY, reason="rotated")
        is_former = True
    if (key.owner is None) is not (parsed.kind is KeyKind.SERVICE):
        raise BadCredentials(BAD_KEY, reason="wrong_kind")
    principal = key_principal(reader, runtime, key, is_former=is_former)
    if not principal.is_live(now):
        raise BadCredentials(BAD_KEY, reason="expired")
    return principal


def _check_audience(runtime: Runtime, meant: str, taken: Audience) -> None:
    """Refuse a token that is meant for somebody else: whom it was sent to must not be able to use it here."""
    own = runtime.config.public_url
    if taken is Audience.ANY or meant in {own, f"{own}/"} or (taken is Audience.MCP and meant == f"{own}/mcp"):
        return
    raise BadToken("This token was made for another resource: ask for one without it.", reason="audience")


def _by_legacy_secret(runtime: Runtime, text: str) -> Principal:
    secret = runtime.config.legacy.match(text)
    if secret is None:
        raise BadCredentials(BAD_SECRET, reason="unknown_secret")
    return legacy_principal(runtime, secret.id, secret.scope)


def _by_client_secret(reader: Reader, runtime: Runtime, client_id: str, secret: str) -> Principal:
    account = reader.get(Account, client_id)
    computed = hash_secret(runtime.keyring, "client_secret", client_id, secret)  # the same work for an unknown client
    if account is None or not _is_secret(reader, runtime, account, account.secret_hash, computed, secret):
        raise BadCredentials(BAD_CLIENT, reason="unknown_client" if account is None else "wrong_secret")
    return account_principal(runtime, account, AuthMethod.CLIENT_SECRET)


def _is_secret(
    reader: Reader, runtime: Runtime, record: Account | ApiKey, stored: bytes, computed: bytes, text: str
) -> bool:
    """Whether `text`, whose hash under this store's key is `computed`, is the record's secret kept as `stored`."""
    if len(stored) == HASH_BYTES:
        return matches(stored, computed)
    carried = parse_hash(stored)  # imported: another store or Hero Auth has made it
    if carried is None:
        return False
    if carried.key_id == OWN_KEY:
        key = runtime.keyring.key(Purpose.KEY_HASHES)
    else:
        kept = reader.get(HashKey, carried.key_id)
        if kept is None:
            return False
        key = kept.key
    label = "client_secret" if isinstance(record, Account) else "key"
    return matches_imported(carried, key, label, record.id, text)


def _never_local_admin(principal: Principal) -> Principal:
    """Refuse what the local admin made for itself, at a door where it does not exist."""
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        raise BadCredentials("The local admin does not exist here: present a key.", reason="local_admin")
    return principal
