"""Access tokens: issue for a client or a local process, and validate for services."""

from typing import Annotated, Final

import msgspec

from herod.identity.credential_types import Audience
from herod.identity.own_resources import canonical_resource, own_resource
from herod.operations.tokens.new_token import issue_token
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Tool, command, query
from herod.pipeline.parameters.parameter_types import AS_IT_IS, CLIENT_IN_HEADER, RESOURCE, Network, Resource, Scope
from herod.pipeline.result_views import TokenAnswer, networks_list
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod, Principal, part_of
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    Unauthenticated,
    UnsupportedGrantType,
)
from herod_client.core.grants import check_required_network
from herod_client.core.refusal_reasons import RefusalReason, refusal_reason
from herod_client.core.resource_indicators import MAX_RESOURCE_CHARS, check_required_resource, is_resource
from herod_client.core.scope_graph import canonical_scope, split_scope

__all__ = ["token_create", "token_validate"]

CLIENT_CREDENTIALS: Final = "client_credentials"


class CreateToken(Params, frozen=True, kw_only=True):
    """RFC 6749, section 4.4. Without `scope` the token gets the client's full scope.

    `resource` is the only service that the token is for (RFC 8707): it becomes `aud`, and no other service accepts it.
    """

    elsewhere = CLIENT_IN_HEADER

    grant_type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [CLIENT_CREDENTIALS]}), AS_IT_IS] = (
        CLIENT_CREDENTIALS
    )
    scope: Scope | None = None
    resource: (
        Annotated[
            str,
            msgspec.Meta(description="the URI of the only service that the token is for", extra_json_schema=RESOURCE),
            AS_IT_IS,
        ]
        | None
    ) = None


class ValidateToken(Params, frozen=True, kw_only=True):
    """A token, API key or legacy secret; `scope` and `network` are what it must cover.

    Absent requires nothing; empty, blank or unknown ones are refused, so that a mistake never admits anybody. A token
    that was issued for one resource (`aud`) is valid only if you say with `resource` that you are that.
    """

    token: Annotated[str, msgspec.Meta(description="a token, an API key or a legacy secret")]
    scope: Scope | None = None
    network: Network | None = None
    resource: Resource | None = None


class Validated(msgspec.Struct, frozen=True, omit_defaults=True):
    """`scope` is the effective one, not expanded; `exp` and `iat` are RFC 7519 NumericDates, or `exp` is null."""

    valid: bool
    sub: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    networks: list[str] | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType | None = msgspec.UNSET
    iat: int | msgspec.UnsetType | None = msgspec.UNSET
    iss: str | msgspec.UnsetType = msgspec.UNSET
    jti: str | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    reason: RefusalReason | msgspec.UnsetType = msgspec.UNSET


@command(
    "token.create",
    credential=True,
    gives=GivesNothing("a token expires no later than its maker"),
    counts=("tokens",),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.CLIENT_SECRET, AuthMethod.PEER}),
    target=NoTarget("issues a token"),
    example={"grant_type": "client_credentials", "scope": "read"},
    http=("POST /token",),
    form=True,
    grant_type=CLIENT_CREDENTIALS,
    always_audited=True,
)
def token_create(tx: Writer, context: Context, params: CreateToken) -> TokenAnswer:
    """Issue an access token for a client id and secret, or for a local process by its peer rule."""
    if params.grant_type != CLIENT_CREDENTIALS:
        raise UnsupportedGrantType(f"The only grant type here is {CLIENT_CREDENTIALS}.")
    resource = None if params.resource is None else _audience(context, params.resource)
    holder, scope = _everything(context) if params.scope is None else _asked(context, params.scope)
    token = issue_token(context, holder, scope, resource)
    return TokenAnswer(access_token=token.text, expires_in=token.expires_in, scope=scope)


@query(
    "token.validate",
    needs=Access.PUBLIC,
    example={"token": "eyJhbGciOiJIUzI1NiJ9.eyJ….4fZ0…", "scope": "read"},
    http=("POST /validate",),
    tool=Tool("validate_token"),
    verifies="token",
    is_quiet=True,
)
def token_validate(store: Store, context: Context, params: ValidateToken) -> Validated:
    """Validate a token, API key or legacy secret: whether it is valid now, its subject, scope and networks.

    If not, `reason` says why: with scope or network the credential is valid, but not sufficient (403); with any other,
    it is not valid (401). A token with `aud` is good only if that equals `resource` or lies below it by whole segments
    of its path; otherwise, and without `resource`, the reason is audience.
    """
    runtime, network = context.runtime, params.network
    bits = 0 if params.scope is None else runtime.config.graph.required(params.scope)
    if network is not None:
        check_required_network(network, runtime.config.networks)
    if params.resource is not None:
        check_required_resource(params.resource)
    try:
        audience = Audience.PLAIN if params.resource is None else params.resource
        principal = verify_credential(store, context, params.token, audience=audience)
    except Unauthenticated as error:
        return Validated(valid=False, reason=refusal_reason(error))
    if bits or network is not None:
        lacking = _lacking(principal, bits, network)
        if lacking is not None:
            return Validated(valid=False, reason=lacking)
    grant = principal.widest
    return Validated(
        valid=True,
        sub=principal.id,
        name=principal.name or msgspec.UNSET,
        scope=runtime.scope_text(grant),
        networks=networks_list(grant.networks),
        exp=principal.expires_at,
        iat=principal.issued_at,
        iss=runtime.config.issuer if principal.audience is None else runtime.config.public_url,
        jti=principal.credential,
        method=principal.method,
    )


def _everything(context: Context) -> tuple[Principal, str]:
    """The token's holder when no scope is requested, and its full scope.

    Raises:
        InvalidScope: there are several grants and none covers the others; a token carries only one.
    """
    principal = context.principal
    widest = principal.widest
    if not all(widest.covers(grant) for grant in principal.grants):
        raise InvalidScope(f"One token cannot carry all your grants, {_held(context)}: request a scope.")
    return part_of(principal, widest), context.runtime.scope_text(widest)


def _asked(context: Context, text: str) -> tuple[Principal, str]:
    """The token's holder with the one grant that it carries, and the requested scope in herod's names.

    What a wider name includes is kept: OAuth clients take a scope without a name that they requested for another one.

    Raises:
        InvalidScope: one of its names is unknown or exceeds the client's own, or no single grant covers them all.
    """
    graph, principal = context.runtime.config.graph, context.principal
    try:
        names = split_scope(text)
    except InvalidRequest as error:
        raise InvalidScope(error.message) from None
    if not names:
        raise InvalidScope("The scope is empty: name one, or leave it out.")
    for name in names:
        mask = graph.mask((name,))
        if not mask:
            raise InvalidScope(f"Unknown scope {name[:64]!r}: herod knows {' '.join(graph.scopes)}.")
        if principal.farthest(mask) is None:
            raise InvalidScope(f"You cannot request scope {name[:64]!r}: you hold {_held(context)}.")
    grant = principal.farthest(graph.mask(names))
    if grant is None:
        raise InvalidScope(f"One token cannot carry these scopes together: you hold {_held(context)}.")
    return part_of(principal, grant), canonical_scope(names)


def _held(context: Context) -> str:
    """The client's grants, for messages; each of several with its networks and peer rule."""
    runtime, principal = context.runtime, context.principal
    if not principal.parts:
        return runtime.scope_text(principal.widest) or "none"
    return ", ".join(
        f"{runtime.scope_text(part.widest) or 'none'} on {' '.join(sorted(part.widest.networks))} (rule {part.id})"
        for part in principal.parts
    )


def _audience(context: Context, text: str) -> str:
    """The audience of a token for a resource: as it was asked for, but herod's own has one spelling.

    Raises:
        InvalidTarget: it is not an absolute URI, has a fragment, or is too long.
    """
    if not is_resource(text):
        raise InvalidTarget(
            f"The resource must be an absolute URI without a fragment, of at most {MAX_RESOURCE_CHARS} characters, "
            "like https://jobs.example.org."
        )
    config = context.runtime.config
    return text if own_resource(config, text) is None else canonical_resource(config, text)


def _lacking(principal: Principal, bits: int, network: str | None) -> RefusalReason | None:
    """What none of the grants has: the scope with these bits, or that and the network; None if one has both."""
    grants = [grant for grant in principal.grants if grant.mask & bits == bits]
    if not grants:
        return RefusalReason.SCOPE
    if network is not None and not any(grant.proves(network) for grant in grants):
        return RefusalReason.NETWORK
    return None
