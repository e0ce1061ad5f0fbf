"""A person enters a user code and decides about the app that waits with it (RFC 8628, section 3.3).

The code is tried in one operation, which counts wrong ones and answers all of them alike. It gives a sealed request for
that account alone, with which the same person is asked and answers. Whoever shows somebody a code could be asking for
themselves (section 5.4), so the person sees who asks, from where and since when, and says that the code is the one that
their own terminal shows. Must never give `admin` in this way, nor `owner`.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec

from herod.credentials.keyring import Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.identity.apps.app_credentials import app_principal
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.identity.apps.oauth_apps import OAuthApp, find_app
from herod.identity.runtime_state import Runtime
from herod.operations.oauth.consent.asked_access import AskedAccess, read_access
from herod.operations.oauth.consent.consent_choices import (
    AccessQuestion,
    access_question,
    keep_delegation,
    new_delegation,
    ticked_scope,
)
from herod.operations.oauth.consent.consent_offers import Offer, is_this_app, make_offer, with_less
from herod.operations.oauth.device.device_codes import (
    check_device_grant,
    find_user_code,
    has_passed,
    shown_user_code,
)
from herod.pipeline.client_documents.learning_apps import learn_app
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Surface,
    Time,
    command,
    query,
)
from herod.pipeline.parameters.parameter_types import AS_IT_IS, Verbatim
from herod.pipeline.result_views import hide_values, rfc3339
from herod.records import Delegation, DeviceCode
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Store, Writer
from herod.throttle.rules import Counter, user_code_counter
from herod.throttle.source_places import Distance, distance_of, place_of
from herod.throttle.source_ranges import page_of
from herod_client.core.errors import CeilingExceeded, InvalidRequest, InvalidScope, InvalidTarget, NotFound, RateLimited
from herod_client.core.scope_graph import ADMIN, MAX_SCOPE_CHARS

__all__ = [
    "DeviceDecision",
    "DeviceQuestion",
    "DeviceRequest",
    "oauth_device",
    "oauth_device_allow",
    "oauth_device_deny",
    "oauth_enter_user_code",
]

SESSIONS: Final = frozenset({AuthMethod.SESSION})
PAGES: Final = frozenset({Surface.DASHBOARD})
EXAMPLE_USER_CODE: Final = "WDJB-MJHT"
EXAMPLE_REQUEST: Final = "AZ9m2kGUgc2VhbGVk"
MAX_REQUEST_CHARS: Final = 512
_LABEL: Final = b"herod device request v1"
# Seconds for which the app can still redeem what was allowed at the last moment.
LEFT_TO_REDEEM: Final = 60
ANSWERED: Final = "Nobody waits with this code any more: start again in your terminal."
OTHER: Final = "This is not a code that you entered here: enter it."


class _Entered(msgspec.Struct, frozen=True, array_like=True):
    """What the browser carries: the record of the device code, who entered its user code, and that."""

    code: str
    account: str
    user_code: str


class EnterUserCode(Params, frozen=True, kw_only=True):
    """Neither case nor dashes and spaces matter."""

    user_code: Verbatim


class EnteredCode(Params, frozen=True, kw_only=True):
    """The sealed request that a browser carries."""

    request: Verbatim


class AllowDevice(EnteredCode, frozen=True, kw_only=True):
    """`scope` are the names that were ticked, separated by spaces; `is_mine` says whose terminal shows the code."""

    scope: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_SCOPE_CHARS}), AS_IT_IS] = ""
    is_mine: bool = False


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to take to the page that asks."""

    __repr__ = hide_values

    request: str


class DeviceQuestion(AccessQuestion, frozen=True, kw_only=True):
    """What the page says. `distance` is from where the app asked to the person's browser; `page`: a web page asked."""

    user_code: str
    source: str
    page: str
    distance: Distance
    asked_at: Time | None
    code_ends_at: Time | None


class DeviceDecision(msgspec.Struct, frozen=True, kw_only=True):
    """About which app a person has decided."""

    app: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Entered).decode


def _misses(context: Context, params: EnterUserCode) -> Counter:
    return user_code_counter(context.principal.id, context.source)


@query(
    "oauth.enter_user_code",
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    example={"user_code": EXAMPLE_USER_CODE},
    misses=_misses,
    failures=(NotFound, RateLimited),
    surfaces=PAGES,
)
def oauth_enter_user_code(reader: Reader, context: Context, params: EnterUserCode) -> DeviceRequest:
    """Find the app that waits with a user code. Whatever is wrong with a code, the answer is the same."""
    runtime = context.runtime
    code = find_user_code(reader, runtime, params.user_code, context.now)
    if code is None:
        raise NotFound(
            "No terminal waits with this code: compare it with the one that yours shows. A code lasts ten minutes and "
            "works once.",
            reason="wrong_user_code",
        )
    entered = _Entered(code.id, context.principal.id, shown_user_code(params.user_code))
    envelope = seal(runtime.keyring.key(Purpose.DEVICE_REQUESTS), _encode(entered), _LABEL)
    return DeviceRequest(request=base64.urlsafe_b64encode(envelope).decode().rstrip("="))


async def _see(store: Store, context: Context, params: EnteredCode) -> DeviceQuestion:
    entered = _open(context, params.request)
    code = _waiting(store, context, entered)
    await learn_app(store, context, code.app, None, grant=DEVICE_CODE)
    return _question(context, _offer(store, context, code), code, entered)


@query(
    "oauth.device",
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    example={"request": EXAMPLE_REQUEST},
    wait=_see,
    failures=(InvalidRequest, RateLimited),
    surfaces=PAGES,
)
def oauth_device(reader: Reader, context: Context, params: EnteredCode) -> DeviceQuestion:
    """Return what a person is asked before an app without a browser may act for them."""
    raise NotImplementedError  # `wait` answers: the app's document may have to be fetched


@command(
    "oauth.device_allow",
    credential=True,
    gives=Delegation,
    issues=True,
    counts=("consents", "allowed_devices"),
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    target=NoTarget("makes a delegation, or widens the former one for the same app and resource"),
    example={"request": EXAMPLE_REQUEST, "scope": "read", "is_mine": True},
    surfaces=PAGES,
)
def oauth_device_allow(tx: Writer, context: Context, params: AllowDevice) -> DeviceDecision:
    """Let an app without a browser act for the calling person, with the ticked scopes.

    What they allowed the same app before stays: it may run on another of their machines.
    """
    code = _waiting(tx, context, _open(context, params.request))
    if not params.is_mine:
        raise InvalidRequest(
            "Say that your own terminal shows this code. If it does not, deny it: somebody else wants to sign in as "
            "you.",
            reason="not_confirmed",
        )
    offer = _offer(tx, context, code)
    scope = ticked_scope(context, offer, params.scope)
    delegation = new_delegation(context, offer, (*scope, *_allowed_before(context, offer, scope)))
    keep_delegation(tx, context, offer, delegation)
    ends_at = max(code.ends_at, context.now + LEFT_TO_REDEEM)
    tx.put(
        msgspec.structs.replace(
            code,
            state="allowed",
            ends_at=ends_at,
            delegation=delegation.id,
            account=offer.account.id,
            session=context.principal.credential,
            granted=scope,
            auth_time=context.principal.signed_in_at or context.now,
            amr=context.principal.amr,
        )
    )
    return DeviceDecision(app=offer.request.app.name)


@command(
    "oauth.device_deny",
    credential=True,
    gives=GivesNothing("refuses"),
    counts=("refused_consents", "denied_devices"),
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    target=NoTarget("makes nothing"),
    example={"request": EXAMPLE_REQUEST},
    surfaces=PAGES,
)
def oauth_device_deny(tx: Writer, context: Context, params: EnteredCode) -> DeviceDecision:
    """Tell an app without a browser that the calling person does not let it act for them."""
    code = _waiting(tx, context, _open(context, params.request))
    app = _app(tx, context.runtime, code)
    tx.put(msgspec.structs.replace(code, state="denied"))
    context.target = app_principal(app).credential
    return DeviceDecision(app=app.name)


def _open(context: Context, text: str) -> _Entered:
    """What was sealed for the calling person.

    Raises:
        InvalidRequest: nothing was.
    """
    try:
        envelope = base64.b64decode(text[:MAX_REQUEST_CHARS] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        entered = _decode(unseal(context.runtime.keyring.key(Purpose.DEVICE_REQUESTS), envelope, _LABEL))
    except (SealBroken, binascii.Error, ValueError):
        raise InvalidRequest(OTHER, reason="request") from None
    if entered.account != context.principal.id:
        raise InvalidRequest(OTHER, reason="request_of_another")
    return entered


def _waiting(reader: Reader, context: Context, entered: _Entered) -> DeviceCode:
    """The device code about which to decide.

    Raises:
        InvalidRequest: somebody has, or its time is over.
    """
    code = reader.get(DeviceCode, entered.code)
    if code is None or code.state != "waiting" or has_passed(code, context.now):
        raise InvalidRequest(ANSWERED, reason="not_waiting")
    return code


def _app(reader: Reader, runtime: Runtime, code: DeviceCode) -> OAuthApp:
    app = find_app(reader, runtime, code.app)
    if app is None:
        raise InvalidRequest(ANSWERED, reason="unknown_app")
    return app


def _offer(reader: Reader, context: Context, code: DeviceCode) -> Offer[AskedAccess]:
    """What the calling person may give to the app.

    Raises:
        InvalidRequest: nothing: the app may not ask in this way any more, does not admit them, or asks for what they
            do not have.
    """
    app = _app(reader, context.runtime, code)
    try:
        check_device_grant(context.runtime, app)
        asked = read_access(context.runtime, app, code.scope, code.resource)
    except (CeilingExceeded, InvalidTarget, InvalidScope) as error:
        raise InvalidRequest(error.message, reason="asked") from None
    offer = make_offer(reader, context, asked, never=ADMIN)
    if not app.admits(offer.account):
        raise InvalidRequest(
            f"An admin must confirm your account before you can sign in to {app.name} with it.", reason="unconfirmed"
        )
    if not offer.scope and not asked.openid:
        raise InvalidRequest(
            f"The app asks for {' '.join(offer.withheld)}, which you cannot give with a code.", reason="nothing_to_give"
        )
    return with_less(context, offer)


def _allowed_before(context: Context, offer: Offer[AskedAccess], scope: tuple[str, ...]) -> tuple[str, ...]:
    """What the person allowed the app before for the same resource and holds still, besides what they tick now."""
    graph, held = context.runtime.config.graph, context.principal.widest.mask
    former = () if offer.former is None else offer.former.scope
    return tuple(name for name in former if name not in scope and not graph.mask((name,)) & ~held)


def _question(context: Context, offer: Offer[AskedAccess], code: DeviceCode, entered: _Entered) -> DeviceQuestion:
    return DeviceQuestion(
        **msgspec.structs.asdict(access_question(context, offer, ticks_all=is_this_app(offer.request.app, None))),
        user_code=entered.user_code,
        source=code.source,
        page=page_of(code.share),
        distance=distance_of(code.place, place_of(context.source)),
        asked_at=rfc3339(code.created_at),
        code_ends_at=rfc3339(code.ends_at),
    )
