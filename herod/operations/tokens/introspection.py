"""What services ask about a token that was shown to them: introspection (RFC 7662).

Answers for whatever can be presented as a bearer. Unlike validation it takes a token that was made for another
resource, and tells its audience: who asks must find itself in it. Nothing is changed here and no secret is told.
"""

import msgspec

from herod.identity.credential_types import Audience
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context, Params, query
from herod.scopes.decisions import Access
from herod.scopes.principal import PrincipalKind
from herod.store.store_interface import Store
from herod_client.core.errors import Unauthenticated

__all__ = ["token_introspect"]


class IntrospectToken(Params, frozen=True, kw_only=True):
    """RFC 7662, section 2.1. The hint changes nothing: herod sees by its form what it is."""

    token: str
    token_type_hint: str | None = None


class Introspection(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7662, section 2.2. What is not active says no more than that.

    `scope` is what it is good for right now; `networks` stands there when it is not all of them; `client_id` where an
    account or a resource is behind it; `exp` and `iat` are RFC 7519 NumericDates.
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
    example={"token": "eyJhbGciOiJIUzI1NiJ9.…"},
    http=("POST /introspect",),
    form=True,
    is_quiet=True,
)
def token_introspect(store: Store, context: Context, params: IntrospectToken) -> Introspection:
    """Introspect a token, API key or legacy secret (RFC 7662), with its audience.

    Whoever holds it may ask: it must be shown whole, and says no more than validation does. A token with `aud` is for
    that resource alone: accept it only if it is yours.
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
        token_type="Bearer",  # noqa: S106 - RFC 6750's name for it, no secret
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
