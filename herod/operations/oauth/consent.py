"""Consent: what a person is asked before an app gets anything, and what their answer makes.

Only a person's own session is asked and answers (`person` in the table). What it grants is one delegation of their
account: no more than the session holds, than the app may be given, than the app asked for and than they ticked, and
never `owner`. `admin` needs a sign-in of the last five minutes. Apps that nobody vouches for are asked about each time.

Must never grant anything without that answer: a registered app's former one counts, where an admin set it so.
"""

from typing import Annotated, Final, Literal

import msgspec

from herod.identity.effective_principals import is_delegation_live
from herod.identity.oauth_apps import AppOrigin
from herod.identity.openid_scopes import OFFLINE_ACCESS, OPENID
from herod.identity.own_resources import OwnResource, own_resource
from herod.operations.oauth.authorization_codes import issue_code
from herod.operations.oauth.authorization_requests import (
    EXAMPLE_REQUEST,
    AuthorizationRequest,
    Redirection,
    RefusedRequest,
    answer_app,
    open_request,
    read_request,
)
from herod.pipeline.admission import SIGN_IN_AGAIN
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
from herod.pipeline.parameter_types import AS_IT_IS, Verbatim
from herod.pipeline.quotas import Quota, check_quota
from herod.pipeline.result_views import hide_values, rfc3339
from herod.records import Account, Delegation
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import ExpiredToken, InvalidRequest
from herod_client.core.grants import intersect_networks
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import ADMIN, MAX_SCOPE_CHARS, OWNER, READ, split_scope

__all__ = ["DELEGATION_SECONDS", "ConsentView", "oauth_allow", "oauth_consent", "oauth_continue", "oauth_deny"]

DELEGATION_SECONDS: Final = 90 * 86_400
# How recent a sign-in must be to delegate `admin`.
ADMIN_SIGN_IN_SECONDS: Final = 300
SESSIONS: Final = frozenset({AuthMethod.SESSION})
# Not a question of their own: who signs in says who they are, and until when is on the page.
FIXED: Final = frozenset({OPENID, OFFLINE_ACCESS})
PAGES: Final = frozenset({Surface.DASHBOARD})

DELEGATIONS: Final = Quota(
    name="delegations",
    most=lambda quotas: quotas.delegations,
    full="You have connected {most} apps, as many as one account may",
    advice="disconnect one that you do not need",
    hint="herod app connected",
    record_type=Delegation,
)

Step = Literal["ask", "continue", "sign_in", "answer"]


class Consent(Params, frozen=True, kw_only=True):
    """The sealed request that a browser carries."""

    request: Verbatim


class Allow(Consent, frozen=True, kw_only=True):
    """`scope` are the names that were ticked, separated by spaces."""

    scope: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_SCOPE_CHARS}), AS_IT_IS] = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One scope to tick, or one that is part of the rest (`is_fixed`); `includes` are those that it contains."""

    name: str
    includes: list[str]
    is_ticked: bool
    is_fixed: bool = False
    needs_sign_in: bool = False


class ConsentView(msgspec.Struct, frozen=True, kw_only=True):
    """What the consent page shows, if `step` is `ask`. `withheld` are the scopes that the account cannot give.

    Otherwise: `continue` because an earlier answer counts, `sign_in` anew first, or `answer` the app by `redirection`.
    """

    __repr__ = hide_values

    step: Step
    app: str
    client_id: str
    origin: str
    document_age: Time | None
    redirect_host: str
    redirect_kind: str
    form_action: str
    resource: str | None
    resource_kind: Literal["herod", "mcp", "other"]
    choices: list[Choice]
    withheld: list[str]
    unknown: int
    account: str
    email: str | None
    ends_at: Time | None
    redirection: Redirection | None = None


class _Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What this person may give now of what an app asks for."""

    request: AuthorizationRequest
    account: Account
    scope: tuple[str, ...]
    withheld: tuple[str, ...]
    former: Delegation | None


@query(
    "oauth.consent",
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    example={"request": EXAMPLE_REQUEST},
    surfaces=PAGES,
)
def oauth_consent(reader: Reader, context: Context, params: Consent) -> ConsentView:
    """Return what a person is asked before an app may act for them, or why they need not be asked."""
    offer = _offer(reader, context, params.request)
    request, app = offer.request, offer.request.app
    step, redirection = _step(context, offer)
    return ConsentView(
        step=step,
        app=app.name,
        client_id=app.id,
        origin=app.origin,
        document_age=rfc3339(app.document_age),
        redirect_host=request.redirect.shown_host,
        redirect_kind=request.redirect.kind,
        form_action=request.redirect.form_action_source,
        resource=request.resource,
        resource_kind=_resource_kind(context, request),
        choices=_choices(context, offer),
        withheld=list(offer.withheld),
        unknown=request.unknown,
        account=offer.account.name,
        email=offer.account.email,
        ends_at=rfc3339(context.now + DELEGATION_SECONDS),
        redirection=redirection,
    )


@command(
    "oauth.allow",
    credential=True,
    gives=Delegation,
    issues=True,
    counts=("consents",),
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    target=NoTarget("makes a delegation, or replaces the former one for the same app and resource"),
    example={"request": EXAMPLE_REQUEST, "scope": "read"},
    surfaces=PAGES,
)
def oauth_allow(tx: Writer, context: Context, params: Allow) -> Redirection:
    """Let an app act for the calling person, with the ticked scopes, and give it a code."""
    offer = _offer(tx, context, params.request)
    request = offer.request
    step, redirection = _step(context, offer)
    if step == "sign_in":
        raise _too_old("The app asks you to sign in first: sign in again.")
    if redirection is not None:
        context.target = None
        raise InvalidRequest(redirection.description, reason=redirection.error)
    scope = _ticked(context, offer, params.scope)
    delegation = _delegation(context, offer, scope)
    if offer.former is None:
        check_quota(tx, context, DELEGATIONS, owner=offer.account.id)
    tx.put(delegation)
    context.target = delegation.id
    code = issue_code(tx, context, request, delegation, scope)
    return answer_app(context.runtime, request.app, request.redirect, state=request.sealed.state, code=code)


@command(
    "oauth.continue",
    credential=True,
    gives=GivesNothing("a code for what the person allowed the app before, which their account still limits"),
    issues=True,
    counts=("repeated_consents",),
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    target=NoTarget("makes a code under the former delegation"),
    example={"request": EXAMPLE_REQUEST},
    surfaces=PAGES,
)
def oauth_continue(tx: Writer, context: Context, params: Consent) -> Redirection:
    """Give an app a code for what the calling person allowed it before, without asking again."""
    offer = _offer(tx, context, params.request)
    request, former = offer.request, offer.former
    step, _ = _step(context, offer)
    if step != "continue" or former is None:
        raise InvalidRequest("Herod has to ask first: go back to the app and connect again.", reason="not_remembered")
    context.target = former.id
    scope = (*offer.scope, *request.openid)
    code = issue_code(tx, context, request, former, scope)
    return answer_app(context.runtime, request.app, request.redirect, state=request.sealed.state, code=code)


@command(
    "oauth.deny",
    credential=True,
    gives=GivesNothing("refuses"),
    counts=("refused_consents",),
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    target=NoTarget("makes nothing"),
    example={"request": EXAMPLE_REQUEST},
    surfaces=PAGES,
    always_audited=True,
)
def oauth_deny(tx: Writer, context: Context, params: Consent) -> Redirection:
    """Tell an app that the calling person does not let it act for them."""
    request = _offer(tx, context, params.request).request
    redirection = answer_app(
        context.runtime,
        request.app,
        request.redirect,
        state=request.sealed.state,
        error="access_denied",
        description="The person denied access.",
    )
    return msgspec.structs.replace(redirection, is_automatic=True)  # they clicked


def _offer(reader: Reader, context: Context, text: str) -> _Offer:
    """What the calling person may give of what a sealed request asks for.

    Raises:
        InvalidRequest: herod did not seal it, it is too old, or the app or its redirect is gone.
    """
    runtime = context.runtime
    sealed = open_request(runtime.keyring, text, context.now)
    try:
        request = read_request(reader, runtime, sealed)
    except RefusedRequest as refused:  # it was good at `/authorize`; a reload has taken a scope or a name away
        raise InvalidRequest(refused.redirection.description, reason=refused.redirection.error) from None
    account = reader.get(Account, context.principal.id)
    assert account is not None  # noqa: S101 - it has just been identified, in this transaction
    graph = runtime.config.graph
    most = -1 if request.app.scope is None else graph.mask(request.app.scope)
    held = context.principal.widest.mask & most & ~graph.bit(OWNER)
    scope = tuple(name for name in request.scope if not graph.mask((name,)) & ~held)
    withheld = tuple(name for name in request.scope if name not in scope)
    narrowed = graph.names(graph.mask(withheld) & held)  # of what exceeds the person, the part that they have
    return _Offer(
        request=request,
        account=account,
        scope=(*scope, *(name for name in narrowed if name not in scope)),
        withheld=withheld,
        former=_former(reader, context, request, account),
    )


def _former(reader: Reader, context: Context, request: AuthorizationRequest, account: Account) -> Delegation | None:
    """What the account grants to the same app for the same resource, if that is in force."""
    found = reader.find(Delegation, "delegation", account.id, request.app.id, request.resource or "")
    live = [one for one in found if is_delegation_live(context.runtime, one, account, context.now)]
    return live[-1] if live else None


def _step(context: Context, offer: _Offer) -> tuple[Step, Redirection | None]:
    """What comes next for this person and request; with `answer`, how the app is told."""
    request = offer.request

    def answer(error: str, description: str, *, is_automatic: bool = True) -> tuple[Step, Redirection]:
        redirection = answer_app(
            context.runtime,
            request.app,
            request.redirect,
            state=request.sealed.state,
            error=error,
            description=description,
        )
        if not is_automatic:  # the person should read it
            redirection = msgspec.structs.replace(redirection, is_automatic=False)
        return "answer", redirection

    is_silent = "none" in request.prompt
    if not request.app.admits_unconfirmed and not offer.account.is_confirmed:
        told = f"An admin must confirm your account before you can sign in to {request.app.name} with it."
        return answer("access_denied", told, is_automatic=is_silent)
    if not offer.scope and not request.openid:
        told = f"The app asks for {' '.join(offer.withheld) or 'nothing that herod knows'}, which you cannot give."
        return answer("access_denied" if offer.withheld else "invalid_scope", told, is_automatic=is_silent)
    is_remembered = _is_remembered(context, offer)
    is_too_old = is_remembered and _lets_admin(context, offer.scope) and not _is_recent(context)
    if is_too_old or _must_sign_in(context, request):
        return answer("login_required", "The person has to sign in first.") if is_silent else ("sign_in", None)
    if is_remembered:
        return "continue", None
    return answer("consent_required", "The person has to be asked first.") if is_silent else ("ask", None)


def _must_sign_in(context: Context, request: AuthorizationRequest) -> bool:
    """Whether the app wants a sign-in that is newer than the session's (OpenID Connect Core, section 3.1.2.1)."""
    signed_in_at = context.principal.signed_in_at or 0
    if "login" in request.prompt and signed_in_at < request.sealed.at:
        return True
    return request.max_age is not None and request.sealed.at - signed_in_at > request.max_age


def _is_remembered(context: Context, offer: _Offer) -> bool:
    """Whether the person's former answer counts for this request too."""
    request, former, graph = offer.request, offer.former, context.runtime.config.graph
    if former is None or "consent" in request.prompt:
        return False
    if request.app.origin is not AppOrigin.REGISTERED or not request.app.remembers_consent:
        return False
    is_covered = not graph.mask(offer.scope) & ~graph.mask(former.scope)
    return is_covered and set(request.openid) <= set(former.scope)


def _resource_kind(context: Context, request: AuthorizationRequest) -> Literal["herod", "mcp", "other"]:
    match own_resource(context.runtime.config, request.resource or ""):
        case OwnResource.ROOT:
            return "herod"
        case OwnResource.MCP:
            return "mcp"
        case None:
            return "other"


def _choices(context: Context, offer: _Offer) -> list[Choice]:
    """What the page lists: what an app may learn first, then what it may do, the least first."""
    graph = context.runtime.config.graph
    is_vouched_for = offer.request.app.origin is AppOrigin.REGISTERED
    openid = [
        Choice(name=name, includes=[], is_ticked=is_vouched_for or name in FIXED, is_fixed=name in FIXED)
        for name in offer.request.openid
    ]
    own = [
        Choice(
            name=name,
            includes=[other for other in graph.scopes if other != name and graph.bit(other) & graph.mask((name,))],
            is_ticked=name == READ or is_vouched_for,
            needs_sign_in=_lets_admin(context, (name,)) and not _is_recent(context),
        )
        for name in sorted(offer.scope, key=lambda name: graph.mask((name,)).bit_count())
    ]
    return [*openid, *own]


def _ticked(context: Context, offer: _Offer, text: str) -> tuple[str, ...]:
    """The scopes that the person ticked, in the order of the page.

    Raises:
        InvalidRequest: none of them, or one that the page did not offer.
        ExpiredToken: `admin`, and their sign-in is too old for it.
    """
    offered = [*offer.scope, *offer.request.openid]
    names = {*split_scope(text), *(name for name in offer.request.openid if name in FIXED)}
    if not names <= set(offered):
        raise InvalidRequest("Something was ticked that the page did not offer: go back to the app and connect again.")
    ticked = tuple(name for name in offered if name in names)
    if not set(ticked) - {OFFLINE_ACCESS}:
        raise InvalidRequest("Tick what the app may do, or deny it.", reason="nothing_ticked")
    if _lets_admin(context, ticked) and not _is_recent(context):
        raise _too_old(
            f"To let an app act as an admin, you must have signed in within the last {ADMIN_SIGN_IN_SECONDS // 60} "
            "minutes: sign in again."
        )
    return ticked


def _delegation(context: Context, offer: _Offer, scope: tuple[str, ...]) -> Delegation:
    """What the person grants: in place of the former delegation, if there is one, with its id."""
    request, former, grant = offer.request, offer.former, context.principal.widest
    return Delegation(
        id=new_id() if former is None else former.id,
        created_at=context.now,
        expires_at=context.now + DELEGATION_SECONDS,
        account=offer.account.id,
        epoch=offer.account.epoch,
        app=request.app.id,
        app_name=request.app.name,
        app_origin=request.app.origin,
        resource=request.resource,
        scope=scope,
        networks=tuple(sorted(intersect_networks(grant.networks, frozenset(request.app.networks)))),
    )


def _lets_admin(context: Context, scope: tuple[str, ...]) -> bool:
    graph = context.runtime.config.graph
    return bool(graph.mask(scope) & graph.bit(ADMIN))


def _is_recent(context: Context) -> bool:
    return context.now - (context.principal.signed_in_at or 0) <= ADMIN_SIGN_IN_SECONDS


def _too_old(told: str) -> ExpiredToken:
    return ExpiredToken(told, reason=SIGN_IN_AGAIN)
