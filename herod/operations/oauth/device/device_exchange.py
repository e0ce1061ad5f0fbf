"""An app redeems its device code for tokens, once a person has allowed it (RFC 8628, section 3.4).

Until then it asks again and again, so asking writes nothing. What follows is as for an authorization code, but the
session in which the person said yes may be over: they may have signed out of a browser that is not theirs.
"""

from typing import Annotated, Final

import msgspec

from herod.identity.apps.grant_types import DEVICE_CODE
from herod.operations.oauth.device.device_codes import check_device_grant, device_code_id, has_passed
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
from herod.pipeline.parameters.parameter_types import AS_IT_IS, CLIENT_IN_HEADER
from herod.pipeline.result_views import AppTokens
from herod.records import AuthorizationCode, Delegation, DeviceCode
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, device_code_miss
from herod_client.core.errors import AccessDenied, AuthorizationPending, ExpiredDeviceCode, InvalidGrant, SlowDown
from herod_client.core.key_format import new_key_id

__all__ = ["token_exchange_device_code"]

EXAMPLE_CODE: Final = "7t3k9w2c5r8v1y6n4d0g"


class ExchangeDeviceCode(Params, frozen=True, kw_only=True):
    """RFC 8628, section 3.4. `resource` is that of the request at `/device_authorization`."""

    elsewhere = CLIENT_IN_HEADER

    grant_type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [DEVICE_CODE]}), AS_IT_IS]
    device_code: FormSecret
    resource: AppResource | None = None


def _limit(reader: Reader, context: Context, params: ExchangeDeviceCode) -> Attempt | None:
    """Only unknown codes are counted: who has one may ask as often as its interval says."""
    is_known = reader.get(DeviceCode, device_code_id(context.runtime, params.device_code)) is not None
    return None if is_known else device_code_miss(context.source)


def _prepare(reader: Reader, context: Context, params: ExchangeDeviceCode) -> Work | None:
    code = _readable_code(reader, context, params)
    return None if code.family else prepare_keys(context, app_of(reader, context), _as_granted(code))


@command(
    "token.exchange_device_code",
    credential=True,
    gives=GivesNothing("what the person allowed when they entered the code"),
    counts=("tokens",),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.APP}),
    takes_apps=True,
    dynamic_direct=True,
    target=NoTarget("the code is no record that anybody sees"),
    example={"grant_type": DEVICE_CODE, "device_code": EXAMPLE_CODE},
    limit=_limit,
    prepare=_prepare,
    http=("POST /token",),
    surfaces=frozenset(),
    form=True,
    grant_type=DEVICE_CODE,
    failures=(AuthorizationPending, SlowDown, AccessDenied, ExpiredDeviceCode),
)
def token_exchange_device_code(tx: Writer, context: Context, params: ExchangeDeviceCode) -> AppTokens:
    """Exchange a device code for tokens, once, when a person has allowed it.

    Until then the error is `authorization_pending`: ask again after the interval.
    """
    app = app_of(tx, context)
    code = _readable_code(tx, context, params)
    delegation = tx.get(Delegation, code.delegation)
    if code.family:
        reuse = InvalidGrant(
            "This device code was used before, so all tokens that came from it have ended: sign in again.",
            reason="code_reuse",
        )
        return refuse_reuse(tx, context, delegation, code.family, reuse)
    delegation, principal = delegated_principal(tx, context, app, delegation)
    context.principal, context.target = principal, delegation.id
    used = msgspec.structs.replace(code, family=new_key_id())
    tx.put(used)
    context.on_commit.append(lambda: context.runtime.device_polls.forget(code.id))
    granted = _as_granted(used)
    family = begin_family(tx, context, app, granted, delegation)
    scope = narrowed(context.runtime, granted.scope, delegation, principal)
    return answer_with_tokens(tx, context, app, delegation, granted, scope=scope, family=family)


def _readable_code(reader: Reader, context: Context, params: ExchangeDeviceCode) -> DeviceCode:
    """The app's device code, allowed or used.

    Raises:
        InvalidGrant: there is none, or it is another app's.
        InvalidTarget: another resource was asked for.
        AccessDenied, ExpiredDeviceCode: it will never be allowed.
        AuthorizationPending, SlowDown: nobody has decided yet.
    """
    app = app_of(reader, context)
    check_device_grant(context.runtime, app)
    code = reader.get(DeviceCode, device_code_id(context.runtime, params.device_code))
    if code is None:
        raise InvalidGrant("This device code is not valid: ask for a new one.", reason="unknown_code")
    if code.app != app.id:
        raise InvalidGrant("This device code was made for another app.", reason="code_of_another_app")
    check_resource(context.runtime.config, params.resource, code.resource)
    if code.state == "denied":
        raise AccessDenied("The person denied access.")
    if has_passed(code, context.now) and not code.family:
        raise ExpiredDeviceCode("Nobody allowed this device code in time: ask for a new one.", reason="code_expired")
    if code.state == "waiting":
        if context.runtime.device_polls.is_too_soon(code.id, context.now):
            raise SlowDown("Nobody has decided yet, and you ask too often: wait 5 seconds longer each time.")
        raise AuthorizationPending("Nobody has decided yet: ask again after the interval.")
    return code


def _as_granted(code: DeviceCode) -> AuthorizationCode:
    """What a person allowed, as an authorization code says it, which shares the way from here. It is not stored."""
    return AuthorizationCode(
        id=code.id,
        created_at=code.created_at,
        expires_at=code.ends_at,
        delegation=code.delegation,
        account=code.account,
        session=code.session,
        app=code.app,
        redirect_uri="",
        challenge="",
        resource=code.resource,
        scope=code.granted,
        nonce="",
        auth_time=code.auth_time,
        amr=code.amr,
        family=code.family,
    )
