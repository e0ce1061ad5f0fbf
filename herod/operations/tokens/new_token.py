"""Signing an access token for a principal, for every operation that issues one."""

from herod.identity.parent_credential import via_of
from herod.pipeline.operation_definition import Context
from herod.scopes.principal import Principal
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.key_format import new_id

__all__ = ["issue_token"]


def issue_token(context: Context, principal: Principal, scope: str, resource: str | None = None) -> str:
    """Sign an access token for `principal`.

    Args:
        principal: has one grant, whose networks the token carries.
        scope: within the grant, which the caller has checked.
        resource: the token's only audience (RFC 8707); such a token follows RFC 9068.
    """
    runtime = context.runtime
    networks = principal.widest.networks
    runtime.counters["tokens"] += 1
    claims = Claims(
        sub=principal.id,
        iss=runtime.config.issuer if resource is None else runtime.config.public_url,
        iat=context.now,
        exp=context.now + runtime.config.token_ttl,
        scope=scope,
        jti=new_id(),
        epoch=principal.epoch,
        via=via_of(principal),
        networks=None if "*" in networks else tuple(sorted(networks)),
        aud=resource,
        client_id=None if resource is None else principal.id,
    )
    return issue(claims, runtime.signing.current)
