"""Token introspection for services (RFC 7662).

Accepts anything that can be presented as a bearer token. A token that was issued for one resource is active only to
whom it concerns: services that look at `active` alone must not take it for one of their own. It changes nothing and
returns no secret.
"""

import msgspec

from herod.credentials.apps.refresh_tokens import looks_like_refresh_token
from herod.identity.apps.openid_scopes import PROFILE
from herod.identity.credential_types import Audience
from herod.identity.effective_principals import is_delegation_live
from herod.identity.people.second_factors import is_second_factor_due
from herod.operations.tokens.refresh_token_families import family_mark, find_family, is_current
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context, Params, query
from herod.pipeline.parameters.parameter_types import CLIENT_IN_HEADER, Resource
from herod.records import Account, Delegation, TokenFamily
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal, PrincipalKind
from herod.store.store_interface import Store
from herod_client.core.errors import InvalidGrant, Unauthenticated
from herod_client.core.resource_indicators import check_required_resource

__all__ = ["token_introspect"]


class IntrospectToken(Params, frozen=True, kw_only=True):
    """RFC 7662, section 2.1. The hint is ignored: the token's form shows its type.

    With `resource` a service says that it is the one that a token with `aud` must be for, as at validation.
    """

    elsewhere = CLIENT_IN_HEADER

    token: str
    token_type_hint: str | None = None
    resource: Resource | None = None


class Introspection(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7662, section 2.2. For an inactive token `active` is the only field.

    `scope` is the effective one; `networks` is present unless it is all of them; `client_id` for an account's token or
    one with `aud`, where it is the app's if an app acts for the account; `exp` and `iat` are RFC 7519 NumericDates.
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
    takes_apps=True,
    example={"token": "eyJhbGciOiJIUzI1NiJ9.eyJ….4fZ0…"},
    http=("POST /introspect",),
    verifies="token",
    form=True,
    is_quiet=True,
)
def token_introspect(store: Store, context: Context, params: IntrospectToken) -> Introspection:
    """Introspect a token, API key or legacy secret (RFC 7662), with its audience.

    Any caller may ask about a token that it can present; the answer says no more than validation does. A token with
    `aud` is active only to its own holder or app, to admins, and to who says with `resource` that it is for them: it
    equals that or lies below it by whole segments of its path. A refresh token is active to its app and to admins.
    """
    runtime = context.runtime
    if looks_like_refresh_token(params.token):
        return _introspect_refresh_token(store, context, params.token)
    if params.resource is not None:
        check_required_resource(params.resource)
    try:
        audience = Audience.ANY if params.resource is None else params.resource
        principal = verify_credential(store, context, params.token, audience=audience)
    except Unauthenticated:
        return Introspection(active=False)
    if principal.audience is not None and params.resource is None and not _concerns(context, principal):
        return Introspection(active=False)
    has_client = principal.kind is PrincipalKind.ACCOUNT or principal.audience is not None
    networks = principal.widest.networks
    return Introspection(
        active=True,
        scope=runtime.scope_text(principal.widest),
        client_id=(principal.app or principal.id) if has_client else msgspec.UNSET,
        username=principal.name or msgspec.UNSET,
        token_type="Bearer",  # noqa: S106 - the token type's name in RFC 6750, not a secret
        exp=_or_unset(principal.expires_at),
        iat=_or_unset(principal.issued_at),
        sub=principal.id,
        aud=msgspec.UNSET if principal.audience is None else principal.audience,
        iss=runtime.config.issuer if principal.audience is None else runtime.config.public_url,
        jti=principal.credential,
        networks=msgspec.UNSET if "*" in networks else sorted(networks),
    )


def _introspect_refresh_token(store: Store, context: Context, text: str) -> Introspection:
    try:
        family, number = find_family(store, context.runtime, text)
    except InvalidGrant:
        return Introspection(active=False)
    delegation, account = store.get(Delegation, family.delegation), store.get(Account, family.account)
    is_good = (
        is_current(family, number, context.now)
        and not family.has_ended(context.now)
        and family_mark(family) not in context.runtime.revoked
        and delegation is not None
        and is_delegation_live(context.runtime, delegation, account, context.now)
        and not is_second_factor_due(store, context.runtime.config, family.account, family.amr)
    )
    is_its_app = context.principal.kind is PrincipalKind.APP and context.principal.id == family.app
    if not is_good or account is None or not (is_its_app or is_admin(context)):
        return Introspection(active=False)
    return Introspection(
        active=True,
        scope=" ".join(family.scope),
        client_id=family.app,
        username=account.name if _tells_name(context, family) else msgspec.UNSET,
        exp=_or_unset(family.expires_at),
        iat=family.rotated_at or family.created_at,
        sub=family.account,
        aud=family.resource or family.app,
        iss=context.runtime.config.public_url,
    )


def _tells_name(context: Context, family: TokenFamily) -> bool:
    """As for an access token of the family (`identify.py`)."""
    return PROFILE in family.scope or bool(context.runtime.config.graph.mask(family.scope))


def _concerns(context: Context, principal: Principal) -> bool:
    """Whether the caller may learn of a token for one resource, of this principal, without being that resource."""
    caller = context.principal
    if is_admin(context):
        return True
    if caller.kind is PrincipalKind.APP:
        return principal.app == caller.id
    is_own = principal.id in {caller.id, *(part.id for part in caller.parts)}
    return is_own and caller.delegation in (None, principal.delegation)


def _or_unset(seconds: int | None) -> int | msgspec.UnsetType:
    return msgspec.UNSET if seconds is None else seconds
