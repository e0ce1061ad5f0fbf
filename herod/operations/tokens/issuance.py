"""Making what people hold: access tokens for principals, client secrets for accounts. Used by several operations."""

from collections.abc import Callable

from herod_client.core.access_tokens import Claims, issue
from herod_client.core.key_format import new_client_secret, new_id

from herod.credentials.passwords import check_password, hash_password
from herod.credentials.secret_hashes import hash_secret
from herod.identity.provenance import via_of
from herod.pipeline.normalization import parse_email, parse_name
from herod.pipeline.operation import Context
from herod.records import Account
from herod.scopes.principal import Principal

__all__ = ["account_with_secret", "hashing", "issue_token"]


def issue_token(context: Context, principal: Principal, scope: str, resource: str | None = None) -> str:
    """Sign an access token for `principal`.

    Args:
        principal: with one grant, whose networks the token carries.
        scope: the caller has checked it to be within the grant.
        resource: the one audience that it is for (RFC 8707); then it is of the form of RFC 9068.
    """
    realm = context.realm
    networks = principal.widest.networks
    realm.counters["tokens"] += 1
    claims = Claims(
        sub=principal.id,
        iss=realm.issuer if resource is None else realm.public_url,
        iat=context.now,
        exp=context.now + realm.token_ttl,
        scope=scope,
        jti=new_id(),
        epoch=principal.epoch,
        via=via_of(principal),
        networks=None if "*" in networks else tuple(sorted(networks)),
        aud=resource,
        client_id=None if resource is None else principal.id,
    )
    return issue(claims, realm.signing.current)


def account_with_secret(
    context: Context,
    *,
    email: str | None,
    name: str | None,
    password: str | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
) -> tuple[Account, str]:
    """A new account and its client secret, which is shown once and kept as an HMAC.

    Args:
        email: as given; normalised here.
        password: a PHC string.
    """
    client_id, secret = new_id(), new_client_secret()
    normal = None if email is None else parse_email(email)
    account = Account(
        id=client_id,
        created_at=context.now,
        email=normal,
        name=(normal or f"client {client_id[:8]}") if name is None else parse_name(name),
        password=password,
        secret_hash=hash_secret(context.realm.keyring, "client_secret", client_id, secret),
        scope=scope,
        networks=networks,
    )
    return account, secret


def hashing(password: str) -> Callable[[], str]:
    """The slow work of hashing a new password.

    Raises:
        InvalidRequest: the password is too short or too long.
    """
    check_password(password)
    return lambda: hash_password(password)
