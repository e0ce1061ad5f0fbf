"""Revoking tokens (RFC 7009): an access token by a record that is kept until it has expired, a refresh token for good.

With a refresh token its whole family ends, access tokens included.
"""

import msgspec

from herod.credentials.apps.refresh_tokens import looks_like_refresh_token
from herod.identity.identify import token_holder
from herod.identity.parent_credential import delegation_behind
from herod.operations.tokens.refresh_token_families import end_family, family_mark, find_family
from herod.operations.tokens.revocation_records import make_room
from herod.pipeline.ceilings.privilege_ceilings import check_target, is_admin
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Tool, command
from herod.pipeline.parameters.parameter_types import CLIENT_IN_HEADER, Verbatim
from herod.pipeline.targets import grants_of
from herod.records import Delegation, Revocation, TokenFamily
from herod.scopes.decisions import Access
from herod.scopes.principal import PrincipalKind
from herod.store.store_interface import Reader, Writer
from herod_client.core.access_tokens import Claims
from herod_client.core.errors import (
    ExpiredToken,
    FutureToken,
    InvalidGrant,
    InvalidRequest,
    TargetDenied,
    Unauthenticated,
    UnsupportedTokenType,
)
from herod_client.core.grants import Grants
from herod_client.core.key_format import looks_like_key

__all__ = ["token_revoke"]


class RevokeToken(Params, frozen=True, kw_only=True):
    """RFC 7009, section 2.1."""

    elsewhere = CLIENT_IN_HEADER

    token: Verbatim
    token_type_hint: Verbatim | None = None


class Revoked(msgspec.Struct, frozen=True):
    """A token that was already invalid counts as revoked (RFC 7009, section 2.2)."""

    revoked: bool


def _revoke_in_memory(reader: Reader, context: Context, params: RevokeToken, record: None) -> None:
    """Revoke a token in this process while the store cannot be written."""
    if looks_like_refresh_token(params.token):
        family = _revocable_family(reader, context, params.token)
        if family is not None:
            context.target = family.delegation
            context.runtime.revoked[family_mark(family)] = family.ends_at
            context.runtime.counters["unwritten"] += 1
        return
    claims = _revocable(reader, context, params.token)
    if claims is not None:
        context.target = claims.jti
        context.runtime.revoked[_mark(claims)] = claims.exp
        context.runtime.counters["unwritten"] += 1


@command(
    "token.revoke",
    credential=True,
    apps_may=True,
    takes_apps=True,
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
    """Revoke a token (RFC 7009): your own, or any as admin. An app revokes its own.

    With a refresh token all tokens end that came from the same sign-in of its app.
    When its subject has as many revoked tokens as the settings allow, all of the subject's tokens end; those of an app
    count for its delegation, which ends instead.
    """
    if looks_like_refresh_token(params.token):
        family = _revocable_family(tx, context, params.token)
        if family is not None:
            end_family(tx, context, tx.get(Delegation, family.delegation), family.id)
            context.target = context.target or family.delegation
        return Revoked(revoked=True)
    claims = _revocable(tx, context, params.token)
    if claims is not None and tx.get(Revocation, _mark(claims)) is None:
        context.target = claims.jti
        found = Revocation(
            id=_mark(claims),
            created_at=context.now,
            expires_at=claims.exp,
            subject=claims.sub,
            jti=claims.jti,
            epoch=claims.epoch,
            delegation=delegation_behind(claims.via),
        )
        if make_room(tx, context, found):
            tx.put(found)
    return Revoked(revoked=True)


def _revocable(reader: Reader, context: Context, token: str) -> Claims | None:
    """The claims of the token to revoke; None if it is already invalid.

    Raises:
        InvalidRequest: it is empty.
        UnsupportedTokenType: it is an API key.
        TargetDenied: it belongs to another principal, and the actor is not an admin or holds less than that principal;
            or the actor is an app, and it is not of the same delegation.
    """
    if not token.strip():
        raise InvalidRequest("The parameter 'token' is empty: give the token to revoke.")
    if looks_like_key(token):
        raise UnsupportedTokenType("This is an API key: delete it with keys.delete.", hint="herod key delete ID")
    found = _claims(context, token)
    if found is None:
        return None
    claims, now = found
    try:
        # Not `token_principal`: a token that is revoked only in memory must still be written to the store.
        grants = token_holder(reader, context.runtime, claims, now).grants
    except Unauthenticated:
        if not {claims.sub, delegation_behind(claims.via)} & context.runtime.switched_off:
            return None
        grants = grants_of(reader, context, claims.sub)  # its holder is back after a restart, and so is the token
    _check_right(context, claims.sub, grants, delegation=delegation_behind(claims.via), app=claims.client_id)
    return claims


def _revocable_family(reader: Reader, context: Context, token: str) -> TokenFamily | None:
    """The family of the refresh token to revoke; None if it is already invalid.

    Raises:
        TargetDenied: it is another app's, or another account's and the actor is not an admin or holds less than that.
    """
    try:
        family, _ = find_family(reader, context.runtime, token)
    except InvalidGrant:
        return None
    grants = grants_of(reader, context, family.account)
    _check_right(context, family.account, grants, delegation=family.delegation, app=family.app)
    return family


def _check_right(context: Context, sub: str, grants: Grants, *, delegation: str | None, app: str | None) -> None:
    """Refuse to revoke somebody else's token.

    Args:
        sub: its subject.
        grants: what the subject holds.
        delegation: of an app's token.
        app: its client_id.

    Raises:
        TargetDenied: the actor is neither its subject, nor its app, nor an admin who holds as much.
    """
    principal = context.principal
    if principal.kind is PrincipalKind.APP or principal.delegation is not None:
        is_own = app == principal.id if principal.delegation is None else delegation == principal.delegation
        if delegation is None or not is_own:
            raise TargetDenied("An app can revoke only its own tokens.")
    elif sub not in {principal.id, *(part.id for part in principal.parts)}:
        if not is_admin(context):
            raise TargetDenied("This token is not yours: only its holder or an admin can revoke it.")
        check_target(context, *grants)


def _claims(context: Context, token: str) -> tuple[Claims, int] | None:
    """The claims of a token of herod's that is good now or may be later, and when; None for any other."""
    now = context.now
    try:
        try:
            return context.runtime.claims(token, now), now
        except ExpiredToken:  # the clock may be ahead, and the token valid again once it is corrected
            now = context.process.steady.earliest(now)
            return context.runtime.claims(token, now), now
        except FutureToken as error:  # it becomes valid in time, or when the clock is corrected
            return context.runtime.claims_at(token, error.begins), error.begins
    except Unauthenticated:
        return None


def _mark(claims: Claims) -> str:
    return f"{claims.sub}/{claims.jti}"
