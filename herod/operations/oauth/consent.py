"""Consent: what a person is asked before an app gets anything, and what their answer makes.

Only a person's own session is asked and answers (`person` in the table). What it grants is one delegation of their
account: no more than the session holds, than the app may be given, than the app asked for and than they ticked, and
never `owner`. `admin` needs a sign-in of the last five minutes. Apps that nobody vouches for are asked about each time.

Must never grant anything without that answer: a registered app's former one counts, where an admin set it so.
"""

from typing import Annotated, Final, Literal

import msgspec

from herod.identity.oauth_apps import AppOrigin
from herod.identity.openid_scopes import OFFLINE_ACCESS, OPENID
from herod.identity.own_resources import OwnResource, own_resource
from herod.operations.oauth.authorization_answers import Redirection, RefusedRequest, answer_app
from herod.operations.oauth.authorization_codes import issue_code
from herod.operations.oauth.authorization_requests import EXAMPLE_REQUEST, AuthorizationRequest, open_request
from herod.operations.oauth.consent_offers import (
    ADMIN_SIGN_IN_SECONDS,
    Offer,
    Step,
    is_recent,
    lets_admin,
    next_step,
    read_offer,
)
from herod.pipeline.admission import SIGN_IN_AGAIN
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
from herod.pipeline.parameter_types import AS_IT_IS, Verbatim
from herod.pipeline.quotas import Quota, check_quota
from herod.pipeline.result_views import rfc3339
from herod.records import Delegation
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Store, Writer
from herod_client.core.errors import ExpiredToken, InvalidRequest, RateLimited
from herod_client.core.grants import intersect_networks
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import MAX_SCOPE_CHARS, READ, split_scope

__all__ = [
    "DELEGATION_SECONDS",
    "Choice",
    "ConsentView",
    "Question",
    "oauth_allow",
    "oauth_consent",
    "oauth_continue",
    "oauth_deny",
]

DELEGATION_SECONDS: Final = 90 * 86_400
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


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the consent page says; the account cannot give what is `withheld`, and herod does not know `unknown` more.

    `form_action` is the source of `form-action` (CSP) under which the page's form may lead to the app.
    """

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


class ConsentView(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next.

    To `ask` the `question`, to `continue` because an earlier answer counts, to `sign_in` anew first, or to `answer` the
    app by `redirection`.
    """

    step: Step
    question: Question | None = None
    redirection: Redirection | None = None


async def _see(store: Store, context: Context, params: Consent) -> ConsentView:
    sealed = open_request(context.runtime.keyring, params.request, context.now)
    await learn_app(store, context, sealed.client_id, sealed.redirect_uri)
    return _view(store, context, params)


@query(
    "oauth.consent",
    needs=Access.AUTHENTICATED,
    methods=SESSIONS,
    person=0,
    example={"request": EXAMPLE_REQUEST},
    wait=_see,
    failures=(InvalidRequest, RateLimited),
    surfaces=PAGES,
)
def oauth_consent(reader: Reader, context: Context, params: Consent) -> ConsentView:
    """Return what a person is asked before an app may act for them, or why they need not be asked."""
    raise NotImplementedError  # `wait` answers: the app's document may have to be fetched


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
    step, redirection = next_step(context, offer)
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
    step, _ = next_step(context, offer)
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


def _view(reader: Reader, context: Context, params: Consent) -> ConsentView:
    try:
        offer = read_offer(reader, context, params.request)
    except RefusedRequest as refused:
        return ConsentView(step="answer", redirection=refused.redirection)
    step, redirection = next_step(context, offer)
    return ConsentView(
        step=step, redirection=redirection, question=_question(context, offer) if step == "ask" else None
    )


def _question(context: Context, offer: Offer) -> Question:
    request, app = offer.request, offer.request.app
    return Question(
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
    )


def _offer(reader: Reader, context: Context, text: str) -> Offer:
    """What the calling person may give, for an answer of theirs.

    Raises:
        InvalidRequest: as `read_offer`, or the app may not ask for it any more: a reload took a scope away, say.
    """
    try:
        return read_offer(reader, context, text)
    except RefusedRequest as refused:
        raise InvalidRequest(refused.redirection.description, reason=refused.redirection.error) from None


def _resource_kind(context: Context, request: AuthorizationRequest) -> Literal["herod", "mcp", "other"]:
    match own_resource(context.runtime.config, request.resource or ""):
        case OwnResource.ROOT:
            return "herod"
        case OwnResource.MCP:
            return "mcp"
        case None:
            return "other"


def _choices(context: Context, offer: Offer) -> list[Choice]:
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
            needs_sign_in=lets_admin(context, (name,)) and not is_recent(context),
        )
        for name in sorted(offer.scope, key=lambda name: graph.mask((name,)).bit_count())
    ]
    return [*openid, *own]


def _ticked(context: Context, offer: Offer, text: str) -> tuple[str, ...]:
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
    if lets_admin(context, ticked) and not is_recent(context):
        raise _too_old(
            f"To let an app act as an admin, you must have signed in within the last {ADMIN_SIGN_IN_SECONDS // 60} "
            "minutes: sign in again."
        )
    return ticked


def _delegation(context: Context, offer: Offer, scope: tuple[str, ...]) -> Delegation:
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


def _too_old(told: str) -> ExpiredToken:
    return ExpiredToken(told, reason=SIGN_IN_AGAIN)
