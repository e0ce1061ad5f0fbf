"""Revoking access tokens (RFC 7009), one by one or a family of an app's tokens at once.

A revocation is a record that is kept until the token has expired. How many there are of one subject is bounded without
refusing one: one too many ends all of its tokens. Those of an app's tokens count for its delegation, so an app can end
its own access, and never that of the person behind it.
"""

from itertools import islice

import msgspec

from herod.identity.identify import token_holder
from herod.identity.parent_credential import delegation_behind
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Tool, command
from herod.pipeline.parameter_types import CLIENT_IN_HEADER, Verbatim
from herod.pipeline.privilege_ceilings import check_target, is_admin
from herod.pipeline.targets import grants_of
from herod.records import Account, Delegation, PeerRule, Revocation
from herod.scopes.decisions import Access
from herod.store.owned_records import DELETED_AT_ONCE, delete_delegations, delete_with_owned, owned_by
from herod.store.store_interface import Reader, Writer
from herod_client.core.access_tokens import Claims
from herod_client.core.errors import (
    ExpiredToken,
    FutureToken,
    InvalidRequest,
    TargetDenied,
    Unauthenticated,
    UnsupportedTokenType,
)
from herod_client.core.key_format import looks_like_key

__all__ = ["revoke_family", "token_revoke"]


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
    claims = _revocable(reader, context, params.token)
    if claims is not None:
        context.target = claims.jti
        context.runtime.revoked[_mark(claims)] = claims.exp
        context.runtime.counters["unwritten"] += 1


@command(
    "token.revoke",
    credential=True,
    apps_may=True,
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

    When its subject has as many revoked tokens as the settings allow, all of the subject's tokens end; those of an app
    count for its delegation, which ends instead.
    """
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
        if _make_room(tx, context, found):
            tx.put(found)
    return Revoked(revoked=True)


def revoke_family(tx: Writer, context: Context, delegation: Delegation, family: str) -> None:
    """Revoke all access tokens of a family of an app's tokens, here and at every verifier.

    If the delegation has as many revocations as the settings allow, it ends, and with it all of its tokens.
    """
    found = Revocation(
        id=f"{delegation.account}/{family}",
        created_at=context.now,
        expires_at=context.now + context.runtime.config.token_ttl,  # no token of it lasts longer
        subject=delegation.account,
        jti=family,
        epoch=delegation.epoch,
        delegation=delegation.id,
    )
    if _make_room(tx, context, found):
        tx.put(found)


def _make_room(tx: Writer, context: Context, new: Revocation) -> bool:
    """Keep the number of revocations of one owner bounded without refusing one: if there are too many, end all tokens.

    A new epoch ends them all, and makes the records of those that were revoked before superfluous. Those of an app end
    with its delegation, and then the new one is superfluous too; return whether it is not.
    """
    most = context.runtime.config.quotas.revocations
    if new.delegation is not None:
        is_full = tx.count_owned(Revocation, new.delegation, limit=most) >= most
        delegation = tx.get(Delegation, new.delegation) if is_full else None
        if delegation is not None:
            delete_with_owned(tx, delegation, now=context.now)
            context.target = delegation.id
        return delegation is None
    subject = tx.get(Account, new.subject) or tx.get(PeerRule, new.subject)  # others have no epoch in the store
    if subject is None or tx.count_owned(Revocation, new.subject, limit=most) < most:
        return True
    oldest = list(islice(owned_by(tx, Revocation, new.subject), DELETED_AT_ONCE))
    superfluous = [one for one in oldest if one.epoch not in (None, subject.epoch)]
    if not superfluous:
        subject = msgspec.structs.replace(subject, epoch=subject.epoch + 1)
        tx.put(subject)
        if isinstance(subject, Account):
            delete_delegations(tx, subject, now=context.now)
        context.target = new.subject
        superfluous = oldest
    for one in superfluous:
        tx.delete(Revocation, one.id)
    return True


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
    principal = context.principal
    if principal.delegation is not None and principal.delegation != delegation_behind(claims.via):
        raise TargetDenied("An app can revoke only its own tokens.")
    if claims.sub not in {principal.id, *(part.id for part in principal.parts)}:
        if not is_admin(context):
            raise TargetDenied("This token is not yours: only its holder or an admin can revoke it.")
        check_target(context, *grants)
    return claims


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
