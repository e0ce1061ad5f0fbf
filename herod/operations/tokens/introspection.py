"""Token introspection for services (RFC 7662).

Accepts anything that can be presented as a bearer token. Unlike validation it accepts a token for another resource and
returns its audience: the caller must check that it is that audience. It changes nothing and returns no secret.
"""

import msgspec

from herod.identity.credential_types import Audience
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context, Params, query
from herod.pipeline.parameter_types import CLIENT_IN_HEADER
from herod.scopes.decisions import Access
from herod.scopes.principal import PrincipalKind
from herod.store.store_interface import Store
from herod_client.core.errors import Unauthenticated

__all__ = ["token_introspect"]


class IntrospectToken(Params, frozen=True, kw_only=True):
    """RFC 7662, section 2.1. The hint is ignored: the token's form shows its type."""

    elsewhere = CLIENT_IN_HEADER

    token: str
    token_type_hint: str | None = None


class Introspection(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7662, section 2.2. For an inactive token `active` is the only field.

    `scope` is the effective one; `networks` is present unless it is all of them; `client_id` for an account's token or
    one with `aud`; `exp` and `iat` are RFC 7519 NumericDates.
    """

    active: bool
    scope: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    username: str | msgspec.UnsetType = msgspec.UNSET
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType = msgspec.UNSET
    iat: int | msgspec.UnsetType = msgspec.UNSET
    sub: str | msgspec.UnsetType = msgspec.UNSET
    aud: str | msgspec.UnsetType = msgspec.UNSET
    iss: str | msgspec.UnsetType = msgspec.UNSET
    jti: str | msgspec.UnsetType = msgspec.UNSET
    networks: list[str] | msgspec.UnsetType = msgspec.UNSET


@query(
    "token.introspect",
    needs=Access.AUTHENTICATED,
    example={"token": "eyJhbGciOiJIUzI1NiJ9.eyJ….4fZ0…"},
    http=("POST /introspect",),
    verifies="token",
    form=True,
    is_quiet=True,
)
def token_introspect(store: Store, context: Context, params: IntrospectToken) -> Introspection:
    """Introspect a token, API key or legacy secret (RFC 7662), with its audience.

    Any caller may ask about a token that it can present; the answer says no more than validation does. A token with
    `aud` is for that resource alone: accept it only if that is you.
    """
    runtime = context.runtime
    try:
        principal = verify_credential(store, context, params.token, audience=Audience.ANY)
    except Unauthenticated:
        return Introspection(active=False)
    has_client = principal.kind is PrincipalKind.ACCOUNT or principal.audience is not None
    networks = principal.widest.networks
    return Introspection(
        active=True,
        scope=runtime.scope_text(principal.widest),
        client_id=principal.id if has_client else msgspec.UNSET,
        username=principal.name,
        token_type="Bearer",  # noqa: S106 - the token type's name in RFC 6750, not a secret
        exp=_or_unset(principal.expires_at),
        iat=_or_unset(principal.issued_at),
        sub=principal.id,
        aud=msgspec.UNSET if principal.audience is None else principal.audience,
        iss=runtime.config.issuer if principal.audience is None else runtime.config.public_url,
        jti=principal.credential,
        networks=msgspec.UNSET if "*" in networks else sorted(networks),
    )


def _or_unset(seconds: int | None) -> int | msgspec.UnsetType:
    return msgspec.UNSET if seconds is None else seconds
