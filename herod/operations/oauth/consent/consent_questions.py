"""Consent: what a person is asked before an app gets anything, and what their answer makes.

Only a person's own session is asked and answers (`person` in the table). What it grants is one delegation of their
account: no more than the session holds, than the app may be given, than the app asked for and than they ticked, and
never `owner`. `admin` needs a sign-in of the last five minutes. Apps that nobody vouches for are asked about each time.

Must never grant anything without that answer: a registered app's former one counts, where an admin set it so.
"""

from typing import Annotated, Final

import msgspec

from herod.operations.oauth.authorization.authorization_answers import Redirection, RefusedRequest, answer_app
from herod.operations.oauth.authorization.authorization_codes import issue_code
from herod.operations.oauth.authorization.authorization_requests import (
    EXAMPLE_REQUEST,
    AuthorizationRequest,
    open_request,
)
from herod.operations.oauth.consent.consent_choices import (
    AccessQuestion,
    access_question,
    keep_delegation,
    new_delegation,
    ticked_scope,
    too_old,
)
from herod.operations.oauth.consent.consent_offers import Offer, Step, is_this_app, next_step, read_offer
from herod.pipeline.client_documents.learning_apps import learn_app
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Surface,
    command,
    query,
)
from herod.pipeline.parameters.parameter_types import AS_IT_IS, Verbatim
from herod.records import Delegation
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Store, Writer
from herod_client.core.errors import InvalidRequest, RateLimited
from herod_client.core.scope_graph import MAX_SCOPE_CHARS

__all__ = [
    "ConsentView",
    "Question",
    "oauth_allow",
    "oauth_consent",
    "oauth_continue",
    "oauth_deny",
]

SESSIONS: Final = frozenset({AuthMethod.SESSION})
PAGES: Final = frozenset({Surface.DASHBOARD})


class Consent(Params, frozen=True, kw_only=True):
    """The sealed request that a browser carries."""

    request: Verbatim


class Allow(Consent, frozen=True, kw_only=True):
    """`scope` are the names that were ticked, separated by spaces."""

    scope: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_SCOPE_CHARS}), AS_IT_IS] = ""


class Question(AccessQuestion, frozen=True, kw_only=True):
    """What the consent page says."""

    redirect_host: str
    redirect_kind: str


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
        raise too_old("The app asks you to sign in first: sign in again.")
    if redirection is not None:
        context.target = None
        raise InvalidRequest(redirection.description, reason=redirection.error)
    scope = ticked_scope(context, offer, params.scope)
    delegation = new_delegation(context, offer, scope)
    keep_delegation(tx, context, offer, delegation)
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


def _question(context: Context, offer: Offer[AuthorizationRequest]) -> Question:
    redirect = offer.request.redirect
    return Question(
        **msgspec.structs.asdict(access_question(context, offer, ticks_all=is_this_app(offer.request.app, redirect))),
        redirect_host=redirect.shown_host,
        redirect_kind=redirect.kind,
    )


def _offer(reader: Reader, context: Context, text: str) -> Offer[AuthorizationRequest]:
    """What the calling person may give, for an answer of theirs.

    Raises:
        InvalidRequest: as `read_offer`, or the app may not ask for it any more: a reload took a scope away, say.
    """
    try:
        return read_offer(reader, context, text)
    except RefusedRequest as refused:
        raise InvalidRequest(refused.redirection.description, reason=refused.redirection.error) from None
