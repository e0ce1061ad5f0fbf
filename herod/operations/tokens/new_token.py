"""Signing an access token for a principal, for every operation that issues one."""

from typing import NamedTuple

from herod.identity.parent_credential import delegation_via, via_of
from herod.pipeline.operation_definition import Context
from herod.records import Delegation
from herod.scopes.principal import Principal
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.grants import Networks
from herod_client.core.key_format import new_id
from herod_client.core.signing_keys import SigningKey

__all__ = ["NewToken", "issue_app_token", "issue_token"]


class NewToken(NamedTuple):
    """A signed token, and its lifetime in seconds."""

    text: str
    expires_in: int


def issue_token(context: Context, principal: Principal, scope: str, resource: str | None = None) -> NewToken:
    """Sign an access token for `principal`, which expires no later than its grant.

    Args:
        principal: has one grant, whose networks the token carries.
        scope: within the grant, which the caller has checked.
        resource: the token's only audience (RFC 8707); such a token follows RFC 9068.
    """
    runtime, grant = context.runtime, principal.widest
    end = context.now + runtime.config.token_ttl
    if grant.expires_at is not None:
        end = min(end, grant.expires_at)
    claims = Claims(
        sub=principal.id,
        iss=runtime.config.issuer if resource is None else runtime.config.public_url,
        iat=context.now,
        exp=end,
        scope=scope,
        jti=new_id(),
        epoch=principal.epoch,
        via=via_of(principal),
        networks=None if "*" in grant.networks else tuple(sorted(grant.networks)),
        aud=resource,
        client_id=None if resource is None else principal.id,
    )
    return NewToken(issue(claims, runtime.signing.current), end - context.now)


def issue_app_token(
    context: Context,
    delegation: Delegation,
    *,
    scope: str,
    audience: str,
    family: str | None,
    ttl: int,
    networks: Networks | None = None,
    key: SigningKey | None = None,
) -> NewToken:
    """Sign an access token of an app (RFC 9068), which expires no later than its delegation.

    What it may do is narrowed at each use to what the account holds then.

    Args:
        delegation: what the account granted; live, which the caller has checked.
        scope: within the delegation's, which the caller has checked.
        audience: the resource that it is for, or the app's client_id for a token that is good at `/userinfo` alone.
        family: the id of the family of refresh tokens that it belongs to; revoking that ends it.
        ttl: seconds; at most the `token_ttl` of the settings, beyond which no token is accepted.
        networks: within the delegation's, which the caller has checked; by default those.
        key: signs it; by default the key of plain tokens, which only herod and its Verifiers read.
    """
    runtime, reached = context.runtime, frozenset(delegation.networks) if networks is None else networks
    end = context.now + min(ttl, runtime.config.token_ttl)
    if delegation.expires_at is not None:
        end = min(end, delegation.expires_at)
    claims = Claims(
        sub=delegation.account,
        iss=runtime.config.public_url,
        iat=context.now,
        exp=end,
        scope=scope,
        jti=new_id(),
        epoch=delegation.epoch,
        via=delegation_via(delegation),
        networks=None if "*" in reached else tuple(sorted(reached)),
        aud=audience,
        client_id=delegation.app,
        family=family,
    )
    return NewToken(issue(claims, key or runtime.signing.current), end - context.now)
