"""An app refreshes its tokens (RFC 6749, section 6), with the rotation of RFC 9700, section 4.14.2, for public apps.

Each refresh of a public app gives a new refresh token, and the former one is used up. Agents refresh from several
processes at once, and some lose an answer on its way, so for a minute after a rotation

    the former token and the new one both give the new one, and nothing is rotated again.

After that minute the former one, or any earlier one, is in two hands: its family ends, access tokens included, and the
person's delegation stays. A confidential app proves itself with its secret and keeps its token.
"""

from typing import Annotated

import msgspec

from herod.credentials.apps.refresh_tokens import MAX_NUMBER
from herod.identity.apps.grant_types import REFRESH_TOKEN
from herod.identity.apps.openid_scopes import OPENID_SCOPES
from herod.identity.runtime_state import Runtime
from herod.operations.oauth.form_parameters import AppResource, FormSecret, check_resource
from herod.operations.oauth.token_families import (
    answer_with_tokens,
    app_of,
    delegated_principal,
    narrowed,
    prepare_keys,
    refuse_reuse,
    used_now,
)
from herod.operations.tokens import family_mark, find_family, is_current, is_in_grace
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Work, command
from herod.pipeline.parameters.parameter_types import AS_IT_IS, CLIENT_IN_HEADER, Scope
from herod.pipeline.result_views import AppTokens
from herod.records import Delegation, TokenFamily
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import CeilingExceeded, InvalidGrant, InvalidRequest, InvalidScope
from herod_client.core.scope_graph import canonical_scope, split_scope

__all__ = ["token_refresh"]


class RefreshTokens(Params, frozen=True, kw_only=True):
    """RFC 6749, section 6. `scope` narrows the access token alone; `resource` is that of the first request."""

    elsewhere = CLIENT_IN_HEADER

    grant_type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [REFRESH_TOKEN]}), AS_IT_IS]
    refresh_token: FormSecret
    scope: Scope | None = None
    resource: AppResource | None = None


def _prepare(reader: Reader, context: Context, params: RefreshTokens) -> Work | None:
    try:
        family, _ = find_family(reader, context.runtime, params.refresh_token)
    except InvalidGrant:
        return None  # it is refused in the transaction
    return prepare_keys(context, app_of(reader, context), family)


@command(
    "token.refresh",
    credential=True,
    gives=GivesNothing("what the person allowed, until the end that they were shown"),
    counts=("tokens", "refreshes"),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.APP}),
    takes_apps=True,
    target=NoTarget("a refresh token is not stored"),
    example={"grant_type": REFRESH_TOKEN, "refresh_token": "herod_r_…"},
    prepare=_prepare,
    http=("POST /token",),
    surfaces=frozenset(),
    form=True,
    grant_type=REFRESH_TOKEN,
    is_routine=True,
)
def token_refresh(tx: Writer, context: Context, params: RefreshTokens) -> AppTokens:
    """Refresh an app's tokens. A refresh token that was replaced over a minute ago ends all of its family."""
    app = app_of(tx, context)
    if REFRESH_TOKEN not in app.grants:
        raise CeilingExceeded(
            "The app did not register the grant type refresh_token: register it with that.", reason="grant_type"
        )
    family, number = find_family(tx, context.runtime, params.refresh_token)
    if family.app != context.principal.id:
        raise InvalidGrant("This refresh token was issued to another app.", reason="refresh_token_of_another_app")
    delegation = tx.get(Delegation, family.delegation)
    if family.has_ended(context.now) or family_mark(family) in context.runtime.revoked:
        raise InvalidGrant("This refresh token is not valid any more: connect again.", reason="refresh_token_expired")
    if not is_current(family, number, context.now):
        reuse = InvalidGrant(
            "This refresh token was used before, so all tokens that came from it have ended: connect again.",
            reason="refresh_reuse",
        )
        return refuse_reuse(tx, context, delegation, family.id, reuse)
    delegation, principal = delegated_principal(tx, context, app, delegation)
    check_resource(context.runtime.config, params.resource, family.resource)
    names = family.scope if params.scope is None else _part(context.runtime, family, params.scope)
    context.principal, context.target = principal, delegation.id
    kept = used_now(family, context.now)
    if family.is_rotated and number == family.number and not is_in_grace(family, context.now) and number < MAX_NUMBER:
        kept = msgspec.structs.replace(kept, number=number + 1, rotated_at=context.now)
    tx.put(kept)
    scope = narrowed(context.runtime, names, delegation, principal)
    return answer_with_tokens(tx, context, app, delegation, kept, scope=scope, family=kept)


def _part(runtime: Runtime, family: TokenFamily, text: str) -> tuple[str, ...]:
    """The names of a narrower scope.

    Raises:
        InvalidScope: one of them exceeds the family's scope.
    """
    try:
        names = split_scope(text)
    except InvalidRequest as error:
        raise InvalidScope(error.message) from None
    graph = runtime.config.graph
    most = graph.mask(family.scope)
    for name in names:
        is_known = name in family.scope if name in OPENID_SCOPES else bool(graph.bit(name))
        if not is_known or graph.mask((name,)) & ~most:
            raise InvalidScope(f"The person did not allow scope {name[:64]!r}: they allowed {' '.join(family.scope)}.")
    if not names:
        raise InvalidScope("The scope is empty: name one, or leave it out.")
    return tuple(canonical_scope(names).split())
