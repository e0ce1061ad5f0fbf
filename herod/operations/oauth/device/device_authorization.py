"""An app without a browser asks for a device code (RFC 8628, section 3.1).

It grants nothing: a person has to enter the user code at herod's page and say yes there. Apps that registered
themselves may ask only on herod's own machine: elsewhere anybody can be one, with any name.
"""

from typing import Final

import msgspec

from herod.identity.apps.app_credentials import app_principal
from herod.identity.apps.device_polls import INTERVAL_SECONDS
from herod.operations.oauth.consent.asked_access import read_access
from herod.operations.oauth.device.device_codes import (
    DEVICE_CODE_SECONDS,
    KEPT_SECONDS,
    check_device_grant,
    device_code_id,
    make_room,
    new_user_code,
    user_code_id,
)
from herod.operations.oauth.form_parameters import AppResource
from herod.operations.oauth.token_families import app_of
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, command
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import CLIENT_IN_HEADER, Scope
from herod.pipeline.result_views import hide_values
from herod.records import DeviceCode
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, device_authorization
from herod.throttle.source_places import place_of
from herod.throttle.source_shares import share_of
from herod_client.core.errors import InvalidRequest, InvalidScope, InvalidTarget
from herod_client.core.key_format import new_opaque

__all__ = ["DEVICE_PAGE", "oauth_device_authorization"]

DEVICE_PAGE: Final = "/ui/device"


class DeviceAuthorization(Params, frozen=True, kw_only=True):
    """RFC 8628, section 3.1; RFC 8707, section 2."""

    elsewhere = CLIENT_IN_HEADER

    scope: Scope | None = None
    resource: AppResource | None = None


class DeviceAuthorizationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8628, section 3.2. Times are seconds."""

    __repr__ = hide_values

    device_code: SecretText
    user_code: SecretText
    verification_uri: str
    verification_uri_complete: str
    expires_in: int = DEVICE_CODE_SECONDS
    interval: int = INTERVAL_SECONDS


def _limit(reader: Reader, context: Context, params: DeviceAuthorization) -> Attempt:
    return device_authorization(context.source)


@command(
    "oauth.device_authorization",
    credential=True,
    gives=GivesNothing("a person has to enter the code and allow it"),
    counts=("device_codes",),
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.APP}),
    takes_apps=True,
    dynamic_direct=True,
    target=NoTarget("makes a code that nobody has allowed yet"),
    example={"scope": "read", "resource": "http://localhost:3350/mcp"},
    http=("POST /device_authorization",),
    surfaces=frozenset(),
    form=True,
    limit=_limit,
    failures=(InvalidScope, InvalidTarget),
)
def oauth_device_authorization(tx: Writer, context: Context, params: DeviceAuthorization) -> DeviceAuthorizationAnswer:
    """Give an app a device code, and a user code that a person enters at `verification_uri` (RFC 8628).

    The app shows both, and asks `/token` for its tokens meanwhile, `interval` seconds apart.
    """
    runtime = context.runtime
    app = app_of(tx, context)
    check_device_grant(runtime, app)
    if not runtime.config.has_browser_origin:
        raise InvalidRequest(
            "People cannot sign in here, because another program may hold the address that browsers use: herod's log "
            "says which one.",
            reason="no_browser_origin",
        )
    asked = read_access(runtime, app, params.scope or "", params.resource)
    if not asked.scope and not asked.openid:
        raise InvalidScope("Herod knows none of these scopes: ask for others, or leave 'scope' out.")
    make_room(tx, context.now)
    device_code, user_code = new_opaque(), new_user_code()
    while tx.find(DeviceCode, "user_code", user_code_id(runtime, user_code)):
        user_code = new_user_code()
    ends_at = context.now + DEVICE_CODE_SECONDS
    tx.put(
        DeviceCode(
            id=device_code_id(runtime, device_code),
            created_at=context.now,
            expires_at=ends_at + KEPT_SECONDS,
            user_code=user_code_id(runtime, user_code),
            ends_at=ends_at,
            app=app.id,
            resource=asked.resource,
            scope=params.scope or "",
            source=context.source.label,
            place=place_of(context.source),
            share=share_of(context.source),
        )
    )
    context.target = app_principal(app).credential
    page = runtime.config.public_url + DEVICE_PAGE
    return DeviceAuthorizationAnswer(
        device_code=device_code,
        user_code=user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={user_code}",
    )
