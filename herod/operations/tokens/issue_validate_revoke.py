"""Access tokens: issue for a client or a local process, validate for services, revoke."""

import re
from itertools import islice
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from herod.identity.identify import token_holder
from herod.identity.own_resources import canonical_resource, own_resource
from herod.operations.tokens.new_token import issue_token
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Tool, command, query
from herod.pipeline.parameter_types import AS_IT_IS, CLIENT_IN_HEADER, Network, Scope, Verbatim
from herod.pipeline.privilege_ceilings import check_target, is_admin
from herod.pipeline.result_views import TokenAnswer, networks_list
from herod.pipeline.targets import grants_of
from herod.records import Account, PeerRule, Revocation
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod, Principal, part_of
from herod.store.owned_records import DELETED_AT_ONCE, owned_by
from herod.store.store_interface import Reader, Store, Writer
from herod_client.core.access_tokens import Claims
from herod_client.core.errors import (
    ExpiredToken,
    FutureToken,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    TargetDenied,
    Unauthenticated,
    UnsupportedGrantType,
    UnsupportedTokenType,
)
from herod_client.core.grants import check_required_network
from herod_client.core.key_format import looks_like_key
from herod_client.core.refusal_reasons import RefusalReason, refusal_reason
from herod_client.core.scope_graph import canonical_scope, split_scope

__all__ = ["token_create", "token_revoke", "token_validate"]

CLIENT_CREDENTIALS: Final = "client_credentials"
# An absolute URI without a fragment (RFC 3986, sections 2 and 3.1; RFC 8707, section 2).
RESOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
MAX_RESOURCE_CHARS: Final = 512


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
            msgspec.Meta(
                description="the URI of the only service that the token is for",
                extra_json_schema={
                    "format": "uri",
                    "pattern": f"^{RESOURCE.pattern}$",
                    "maxLength": MAX_RESOURCE_CHARS,
                },
            ),
            AS_IT_IS,
        ]
        | None
    ) = None


class ValidateToken(Params, frozen=True, kw_only=True):
    """A token, API key or legacy secret; `scope` and `network` are what it must cover.

    Absent requires nothing; empty, blank or unknown ones are refused, so that a mistake never admits anybody.
    """

    token: Annotated[str, msgspec.Meta(description="a token, an API key or a legacy secret")]
    scope: Scope | None = None
    network: Network | None = None


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


class RevokeToken(Params, frozen=True, kw_only=True):
    """RFC 7009, section 2.1."""

    elsewhere = CLIENT_IN_HEADER

    token: Verbatim
    token_type_hint: Verbatim | None = None


class Revoked(msgspec.Struct, frozen=True):
    """A token that was already invalid counts as revoked (RFC 7009, section 2.2)."""

    revoked: bool


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
    it is not valid (401). A token for another resource than herod has the reason audience: `token.introspect` returns
    which.
    """
    runtime, network = context.runtime, params.network
    bits = 0 if params.scope is None else runtime.config.graph.required(params.scope)
    if network is not None:
        check_required_network(network, runtime.config.networks)
    try:
        principal = verify_credential(store, context, params.token)
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
        name=principal.name,
        scope=runtime.scope_text(grant),
        networks=networks_list(grant.networks),
        exp=principal.expires_at,
        iat=principal.issued_at,
        iss=runtime.config.issuer if principal.audience is None else runtime.config.public_url,
        jti=principal.credential,
        method=principal.method,
    )


def _revoke_in_memory(reader: Reader, context: Context, params: RevokeToken, record: None) -> None:
    """Revoke a token in this process while the store cannot be written."""
    claims = _revocable(reader, context, params.token)
    if claims is not None:
        context.target = claims.jti
        context.runtime.revoked[_mark(claims)] = claims.exp
        context.runtime.counters["unwritten"] += 1


@command(
    "token.revoke",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=Access.AUTHENTICATED,
    target=NoTarget("a token is not a record: the handler checks its subject"),
    example={"token": "eyJhbGciOiJIUzI1NiJ9.eyJ….4fZ0…"},
    http=("POST /revoke",),
    tool=Tool("revoke_token", destructive=True, idempotent=True),
    unwritten=_revoke_in_memory,
    form=True,
)
def token_revoke(tx: Writer, context: Context, params: RevokeToken) -> Revoked:
    """Revoke an access token (RFC 7009): your own, or any as admin.

    When its subject has as many revoked tokens as the settings allow, all of the subject's tokens end.
    """
    claims = _revocable(tx, context, params.token)
    if claims is not None and tx.get(Revocation, _mark(claims)) is None:
        context.target = claims.jti
        _make_room(tx, context, claims.sub)
        tx.put(
            Revocation(
                id=_mark(claims),
                created_at=context.now,
                expires_at=claims.exp,
                subject=claims.sub,
                jti=claims.jti,
                epoch=claims.epoch,
            )
        )
    return Revoked(revoked=True)


def _make_room(tx: Writer, context: Context, subject_id: str) -> None:
    """Keep the number of a subject's revocations bounded without refusing one: if there are too many, end all tokens.

    A new epoch ends them all, and makes the records of those that were revoked before superfluous.
    """
    most = context.runtime.config.quotas.revocations
    subject = tx.get(Account, subject_id) or tx.get(PeerRule, subject_id)  # others have no epoch in the store
    if subject is None or tx.count_owned(Revocation, subject_id, limit=most) < most:
        return
    oldest = list(islice(owned_by(tx, Revocation, subject_id), DELETED_AT_ONCE))
    superfluous = [one for one in oldest if one.epoch not in (None, subject.epoch)]
    if not superfluous:
        tx.put(msgspec.structs.replace(subject, epoch=subject.epoch + 1))
        context.target = subject_id
        superfluous = oldest
    for one in superfluous:
        tx.delete(Revocation, one.id)


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
    is_uri = len(text) <= MAX_RESOURCE_CHARS and RESOURCE.fullmatch(text) is not None
    if is_uri and text.lower().startswith(("http:", "https:")):
        try:
            is_uri = bool(urlsplit(text).hostname)
        except ValueError:
            is_uri = False
    if not is_uri:
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


def _revocable(reader: Reader, context: Context, token: str) -> Claims | None:
    """The claims of the token to revoke; None if it is already invalid.

    Raises:
        InvalidRequest: it is empty.
        UnsupportedTokenType: it is an API key.
        TargetDenied: it belongs to another principal, and the actor is not an admin or holds less than that principal.
    """
    if not token.strip():
        raise InvalidRequest("The parameter 'token' is empty: give the token to revoke.")
    if looks_like_key(token):
        raise UnsupportedTokenType("This is an API key: delete it with keys.delete.", hint="herod key delete ID")
    now = context.now
    try:
        try:
            claims = context.runtime.claims(token, now)
        except ExpiredToken:  # the clock may be ahead, and the token valid again once it is corrected
            now = context.process.steady.earliest(now)
            claims = context.runtime.claims(token, now)
        except FutureToken as error:  # it becomes valid in time, or when the clock is corrected
            now = error.begins
            claims = context.runtime.claims_at(token, now)
    except Unauthenticated:
        return None
    try:
        # Not `token_principal`: a token that is revoked only in memory must still be written to the store.
        grants = token_holder(reader, context.runtime, claims, now).grants
    except Unauthenticated:
        if claims.sub not in context.runtime.switched_off:
            return None
        grants = grants_of(reader, context, claims.sub)  # its holder is back after a restart, and so is the token
    principal = context.principal
    if claims.sub not in {principal.id, *(part.id for part in principal.parts)}:
        if not is_admin(context):
            raise TargetDenied("This token is not yours: only its holder or an admin can revoke it.")
        check_target(context, *grants)
    return claims


def _mark(claims: Claims) -> str:
    return f"{claims.sub}/{claims.jti}"
