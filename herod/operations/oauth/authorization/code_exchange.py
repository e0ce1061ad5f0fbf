"""An app exchanges its authorization code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5).

Faults of the code are `invalid_grant`: only an unknown app or a wrong secret is `invalid_client`, because agents throw
their registration away for that.
"""

from typing import Annotated, Final

import msgspec

from herod.credentials.apps.redirect_uris import asked_redirect
from herod.identity.apps.grant_types import AUTHORIZATION_CODE
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp
from herod.identity.parent_credential import session_principal
from herod.operations.oauth.authorization.authorization_codes import code_id
from herod.operations.oauth.authorization.authorization_parameters import proof_fault
from herod.operations.oauth.authorization.code_challenges import is_proven
from herod.operations.oauth.form_parameters import AppResource, FormSecret, check_resource
from herod.operations.oauth.token_families import (
    answer_with_tokens,
    app_of,
    begin_family,
    delegated_principal,
    narrowed,
    prepare_keys,
    refuse_reuse,
)
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Work, command
from herod.pipeline.parameters.parameter_types import AS_IT_IS, CLIENT_IN_HEADER, Verbatim
from herod.pipeline.result_views import AppTokens
from herod.records import AuthorizationCode, Delegation, Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import CeilingExceeded, InvalidGrant, InvalidRequest, Unauthenticated
from herod_client.core.key_format import new_key_id

__all__ = ["token_exchange_code"]

EXAMPLE_CODE: Final = "4f9x2b7w1p0z8k5m3n6q"
BAD_CODE: Final = "This code is not valid: it lasts a minute and works once. Connect again."


class ExchangeCode(Params, frozen=True, kw_only=True):
    """RFC 6749, section 4.1.3. `redirect_uri` and `resource` are those of the request at `/authorize`."""

    elsewhere = CLIENT_IN_HEADER

    grant_type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [AUTHORIZATION_CODE]}), AS_IT_IS]
    code: FormSecret
    redirect_uri: Verbatim | None = None
    code_verifier: FormSecret | None = None
    resource: AppResource | None = None


def _prepare(reader: Reader, context: Context, params: ExchangeCode) -> Work | None:
    code = reader.get(AuthorizationCode, code_id(context.runtime, params.code))
    return prepare_keys(context, app_of(reader, context), code)


@command(
    "token.exchange_code",
    credential=True,
    gives=GivesNothing("what the person allowed when the code was made"),
    counts=("tokens",),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.APP}),
    takes_apps=True,
    target=NoTarget("the code is no record that anybody sees"),
    example={"grant_type": AUTHORIZATION_CODE, "code": EXAMPLE_CODE},
    prepare=_prepare,
    http=("POST /token",),
    surfaces=frozenset(),
    form=True,
    grant_type=AUTHORIZATION_CODE,
)
def token_exchange_code(tx: Writer, context: Context, params: ExchangeCode) -> AppTokens:
    """Exchange an authorization code for tokens, once. Its second use ends the tokens of the first."""
    app = app_of(tx, context)
    if AUTHORIZATION_CODE not in app.grants:
        raise CeilingExceeded(
            "The app did not register the grant type authorization_code: register it with that.", reason="grant_type"
        )
    code = tx.get(AuthorizationCode, code_id(context.runtime, params.code))
    if code is None:
        raise InvalidGrant(BAD_CODE, reason="unknown_code")
    delegation = tx.get(Delegation, code.delegation)
    if code.family:
        reuse = InvalidGrant(
            "This code was used before, so all tokens that came from it have ended: connect again.", reason="code_reuse"
        )
        return refuse_reuse(tx, context, delegation, code.family, reuse)
    _check_code(tx, context, app, code, params)
    delegation, principal = delegated_principal(tx, context, app, delegation)
    context.principal, context.target = principal, delegation.id
    used = msgspec.structs.replace(code, family=new_key_id())
    tx.put(used)
    family = begin_family(tx, context, app, used, delegation)
    scope = narrowed(context.runtime, code.scope, delegation, principal)
    return answer_with_tokens(tx, context, app, delegation, used, scope=scope, family=family)


def _check_code(reader: Reader, context: Context, app: OAuthApp, code: AuthorizationCode, params: ExchangeCode) -> None:
    """Check that an unused code is redeemed by who asked for it, in time.

    Raises:
        InvalidGrant: it is not.
        InvalidTarget: another resource was asked for.
    """
    now = context.now
    if code.has_ended(now) or code.created_at - CLOCK_SKEW > now:
        raise InvalidGrant(BAD_CODE, reason="code_expired")
    if code.app != app.id:
        raise InvalidGrant("This code was made for another app.", reason="code_of_another_app")
    if code.redirect_uri and params.redirect_uri != code.redirect_uri:
        raise InvalidGrant(
            "The redirect_uri differs from that of the request at /authorize: send the same one.", reason="redirect_uri"
        )
    if not is_proven(code.challenge, params.code_verifier):
        raise InvalidGrant(
            "The code_verifier does not belong to this code's code_challenge: send the one that it was made of, and "
            "none if there was no challenge.",
            reason="code_verifier",
        )
    _check_registration(context, app, code)
    check_resource(context.runtime.config, params.resource, code.resource)
    session = reader.get(Session, code.session)
    try:
        if session is None:
            raise InvalidGrant("The person has signed out since: connect again.", reason="session_over")
        session_principal(reader, context.runtime, session, now)
    except Unauthenticated as error:
        raise InvalidGrant(error.message, reason=error.reason) from None


def _check_registration(context: Context, app: OAuthApp, code: AuthorizationCode) -> None:
    """Check that the app may still ask as it did: an admin may have changed its registration in the code's minute.

    A document that is not known any more says nothing, and what an app registered itself never changes.

    Raises:
        InvalidGrant: it may not.
    """
    told = "An admin has changed the app's registration since: connect again."
    if proof_fault(app, code.challenge or None, code.nonce):
        raise InvalidGrant(told, reason="code_challenge")
    if app.origin is AppOrigin.REGISTERED and code.redirect_uri:
        try:
            asked_redirect(app.redirect_uris, code.redirect_uri, context.runtime.config.own_origins)
        except InvalidRequest:
            raise InvalidGrant(told, reason="redirect_uri") from None
