"""Families of refresh tokens: how one begins, which tokens it gives, how it ends, and how many there are.

A family is one sign-in of an app: each redeemed code begins one, if the app may refresh its tokens. It ends 30 days
after its last use, 90 days after its begin, with its delegation, or when a token that was used up is used again.
"""

from typing import Final

import msgspec

from herod.credentials.apps.refresh_tokens import derive_refresh_token
from herod.identity.apps.grant_types import REFRESH_TOKEN
from herod.identity.apps.oauth_apps import OAuthApp, find_app
from herod.identity.apps.openid_scopes import OPENID, OPENID_SCOPES
from herod.identity.effective_principals import delegation_principal
from herod.identity.own_resources import own_resource
from herod.identity.people.second_factors import is_second_factor_due
from herod.identity.runtime_state import Runtime
from herod.operations.openid import access_token_key, access_token_scope, issue_id_token, prepare_id_token
from herod.operations.tokens import end_family, issue_app_token
from herod.pipeline.operation_definition import Context, Work
from herod.pipeline.result_views import AppTokens
from herod.records import Account, AuthorizationCode, Delegation, TokenFamily
from herod.scopes.principal import Principal
from herod.store.owned_records import delete_owned
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import InvalidGrant, Unauthenticated

__all__ = [
    "FAMILY_IDLE_SECONDS",
    "FAMILY_SECONDS",
    "MAX_FAMILIES",
    "answer_with_tokens",
    "app_of",
    "begin_family",
    "delegated_principal",
    "narrowed",
    "prepare_keys",
    "refuse_reuse",
    "used_now",
]

FAMILY_IDLE_SECONDS: Final = 30 * 86_400
FAMILY_SECONDS: Final = 90 * 86_400
# Of one delegation: an app that signs in once more ends its oldest family.
MAX_FAMILIES: Final = 20
# What a handler returns that has refused with `context.refused`: nobody gets it.
_NO_TOKENS: Final = AppTokens(access_token="", expires_in=0, scope="")


def app_of(reader: Reader, context: Context) -> OAuthApp:
    """The app that calls."""
    app = find_app(reader, context.runtime, context.principal.id)
    assert app is not None  # noqa: S101 - it has just been identified, in this transaction
    return app


def begin_family(
    tx: Writer, context: Context, app: OAuthApp, code: AuthorizationCode, delegation: Delegation
) -> TokenFamily | None:
    """Begin the family of a redeemed code, which names it; None if its app did not register the grant."""
    if REFRESH_TOKEN not in app.grants:
        return None
    excess = tx.count_owned(TokenFamily, delegation.id, limit=MAX_FAMILIES) - MAX_FAMILIES + 1
    if excess > 0:
        delete_owned(tx, TokenFamily, delegation.id, limit=excess)
    ends_at = min(context.now + FAMILY_SECONDS, delegation.expires_at or context.now + FAMILY_SECONDS)
    family = TokenFamily(
        id=code.family,
        created_at=context.now,
        expires_at=min(context.now + FAMILY_IDLE_SECONDS, ends_at),
        delegation=delegation.id,
        account=code.account,
        session=code.session,
        app=code.app,
        resource=code.resource,
        scope=code.scope,
        auth_time=code.auth_time,
        amr=code.amr,
        epoch=delegation.epoch,
        is_rotated=app.is_public,
        used_at=context.now,
        ends_at=ends_at,
    )
    tx.put(family)
    return family


def used_now(family: TokenFamily, now: int) -> TokenFamily:
    """The family with its end moved on by a use."""
    return msgspec.structs.replace(family, used_at=now, expires_at=min(now + FAMILY_IDLE_SECONDS, family.ends_at))


def _refresh_token_of(runtime: Runtime, family: TokenFamily) -> str:
    """The newest refresh token of a family."""
    return derive_refresh_token(runtime.keyring, family=family.id, number=family.number, epoch=family.epoch)


def delegated_principal(
    reader: Reader, context: Context, app: OAuthApp, delegation: Delegation | None
) -> tuple[Delegation, Principal]:
    """A delegation that is in force, and the person as the app acts for them now.

    Raises:
        InvalidGrant: the delegation has ended, the account is disabled, or the app does not admit it any more: nothing
            of it is exchanged or refreshed.
    """
    account = None if delegation is None else reader.get(Account, delegation.account)
    if delegation is None or account is None:
        raise InvalidGrant("The person has taken the app's access back: connect again.", reason="revoked")
    try:
        principal = delegation_principal(reader, context.runtime, delegation, context.now)
    except Unauthenticated as error:
        raise InvalidGrant(error.message, reason=error.reason) from None
    if not app.admits(account):
        raise InvalidGrant(
            "This app takes only accounts that an admin has confirmed: ask an admin to confirm this one, and connect "
            "again.",
            reason="unconfirmed",
        )
    return delegation, principal


def refuse_reuse(
    tx: Writer, context: Context, delegation: Delegation | None, family_id: str, error: InvalidGrant
) -> AppTokens:
    """Refuse what was used before: all tokens that came from it end, which is kept and audited.

    Args:
        tx: ends them.
        context: gets the refusal.
        delegation: None if it has ended, and all of its tokens with it.
        family_id: of the tokens.
        error: what the app is told.

    Raises:
        InvalidGrant: the error, if they had ended already.
    """
    if not end_family(tx, context, delegation, family_id):
        raise error
    context.target = context.target or (None if delegation is None else delegation.id)
    context.refused = error
    return _NO_TOKENS


def narrowed(runtime: Runtime, names: tuple[str, ...], delegation: Delegation, principal: Principal) -> str:
    """What is left of the scopes of a code or family now, as a token's scope.

    Names that hold are kept as the app knows them; of a wider one that its account or delegation lost, what is left.
    """
    graph, held = runtime.config.graph, principal.widest.mask
    openid = [name for name in names if name in OPENID_SCOPES and name in delegation.scope]
    own = tuple(name for name in names if name not in OPENID_SCOPES)
    asked = graph.mask(own)
    left = own if not asked & ~held else graph.names(asked & held)
    return " ".join([*openid, *left])


def prepare_keys(context: Context, app: OAuthApp, granted: AuthorizationCode | TokenFamily | None) -> Work | None:
    """For an operation's `prepare`: makes the key with which others verify an app's tokens, if it has none yet."""
    if granted is None:
        return None
    is_for_others = granted.resource is not None and own_resource(context.runtime.config, granted.resource) is None
    return prepare_id_token(context.runtime, app) if is_for_others or OPENID in granted.scope else None


def answer_with_tokens(
    tx: Writer,
    context: Context,
    app: OAuthApp,
    delegation: Delegation,
    granted: AuthorizationCode | TokenFamily,
    *,
    scope: str,
    family: TokenFamily | None,
) -> AppTokens:
    """A new access token, the family's newest refresh token and, if the app signs people in, an id_token.

    Args:
        tx: as for the id_token.
        context: of the operation that issues them; its principal is the person as the app acts for them now.
        app: whose tokens they are.
        delegation: what the person granted.
        granted: the code that is redeemed, with its family, or the family whose tokens are refreshed.
        scope: from `narrowed`.
        family: None if the app may not refresh its tokens.

    Raises:
        InvalidGrant: nothing is left of the scope, or the person signed in with less than their account must show now.
    """
    # As for a session of that sign-in: who knew a password alone must not stay once there is a second factor.
    if is_second_factor_due(tx, context.runtime.config, granted.account, granted.amr):
        raise InvalidGrant(
            "The person signed in without the second factor that their account has or must have now: connect again.",
            reason="second_factor",
        )
    if not scope:
        raise InvalidGrant(
            "The account has nothing left of what the person allowed: connect again.", reason="nothing_left"
        )
    audience = granted.resource or app.id  # without a resource they are good at `/userinfo` alone
    token = issue_app_token(
        context,
        delegation,
        scope=access_token_scope(context.runtime, app, audience, scope),
        audience=audience,
        family=granted.family if isinstance(granted, AuthorizationCode) else granted.id,
        ttl=context.runtime.config.app_token_ttl
        if family is None
        else min(context.runtime.config.app_token_ttl, family.ends_at - context.now),
        networks=context.principal.widest.networks,
        key=access_token_key(tx, context, app, audience),
    )
    account = tx.get(Account, delegation.account)
    id_token = None
    if account is not None:
        id_token = issue_id_token(tx, context, app, account, granted, token.text, scope=tuple(scope.split()))
    return AppTokens(
        access_token=token.text,
        expires_in=token.expires_in,
        scope=scope,
        refresh_token=msgspec.UNSET if family is None else _refresh_token_of(context.runtime, family),
        id_token=msgspec.UNSET if id_token is None else id_token,
    )
