"""What a person may let an app do, of what it asks for, and what comes next: to ask them, or something else.

The rules of who is asked, when, and about how much. Must never offer more than the person's session holds, than the app
may be given and than it asked for, and never `owner`.
"""

from typing import Generic, Literal, TypeVar

import msgspec

from herod.credentials.apps.redirect_uris import RedirectUri
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp
from herod.identity.effective_principals import is_delegation_live
from herod.identity.people.persons import RECENT_SECONDS
from herod.operations.oauth.authorization.authorization_answers import Redirection, answer_app
from herod.operations.oauth.authorization.authorization_requests import AuthorizationRequest, open_request, read_request
from herod.operations.oauth.consent.asked_access import AskedAccess
from herod.pipeline.operation_definition import Context
from herod.records import Account, Delegation
from herod.store.store_interface import Reader
from herod_client.core.scope_graph import ADMIN, OWNER, READ

__all__ = [
    "Offer",
    "Step",
    "is_recent",
    "is_this_app",
    "lets_admin",
    "make_offer",
    "next_step",
    "read_offer",
    "with_less",
]


A = TypeVar("A", bound=AskedAccess)
A_co = TypeVar("A_co", bound=AskedAccess, covariant=True)

Step = Literal["ask", "continue", "sign_in", "answer"]


class Offer(msgspec.Struct, Generic[A_co], frozen=True, kw_only=True):
    """What this person may give now of what an app asks for.

    Attributes:
        scope: what may be ticked, of herod's scopes.
        withheld: what the app asks for beyond that.
        former: what the person allowed the same app for the same resource, if that is in force.
    """

    request: A_co
    account: Account
    scope: tuple[str, ...]
    withheld: tuple[str, ...]
    former: Delegation | None


def read_offer(reader: Reader, context: Context, text: str) -> Offer[AuthorizationRequest]:
    """What the calling person may give of what a sealed request asks for.

    Raises:
        InvalidRequest: herod did not seal it, it is too old, or the app or its redirect is gone.
        RefusedRequest: the app is told why not.
    """
    runtime = context.runtime
    request = read_request(reader, runtime, open_request(runtime.keyring, text, context.now))
    offer = make_offer(reader, context, request)
    return offer if is_this_app(request.app, request.redirect) else with_less(context, offer)


def is_this_app(app: OAuthApp, redirect: RedirectUri | None) -> bool:
    """Whether what a person allows reaches an app that an admin registered, and nobody who only says that it is that.

    A public app is anything on the person's own machine that says so (RFC 8252, section 8.6), or any terminal.

    Args:
        app: that asks.
        redirect: where its answer goes; None if it waits with a device code.
    """
    is_own_site = redirect is not None and not redirect.is_private_use and not redirect.is_loopback
    return app.origin is AppOrigin.REGISTERED and (is_own_site or not app.is_public)


def with_less(context: Context, offer: Offer[A]) -> Offer[A]:
    """The offer with `read` among it, if something in it includes that: it is what to give to be careful."""
    graph = context.runtime.config.graph
    if READ in offer.scope or graph.mask((READ,)) & ~graph.mask(offer.scope):
        return offer
    return msgspec.structs.replace(offer, scope=(READ, *offer.scope))


def make_offer(reader: Reader, context: Context, request: A, *, never: str = OWNER) -> Offer[A]:
    """What the calling person may give of what an app asks for.

    Args:
        reader: the store.
        context: its principal is the person who is asked.
        request: what the app asks for.
        never: the least scope that cannot be given in this way.
    """
    account = reader.get(Account, context.principal.id)
    assert account is not None  # noqa: S101 - it has just been identified, in this transaction
    graph = context.runtime.config.graph
    most = -1 if request.app.scope is None else graph.mask(request.app.scope)
    held = context.principal.widest.mask & most & ~graph.bit(OWNER) & ~graph.bit(never)
    scope = tuple(name for name in request.scope if not graph.mask((name,)) & ~held)
    withheld = tuple(name for name in request.scope if name not in scope)
    narrowed = graph.names(graph.mask(withheld) & held)  # of what exceeds the person, the part that they have
    return Offer(
        request=request,
        account=account,
        scope=(*scope, *(name for name in narrowed if name not in scope)),
        withheld=withheld,
        former=_former(reader, context, request, account),
    )


def _former(reader: Reader, context: Context, request: AskedAccess, account: Account) -> Delegation | None:
    """What the account grants to the same app for the same resource, if that is in force."""
    found = reader.find(Delegation, "delegation", account.id, request.app.id, request.resource or "")
    live = [one for one in found if is_delegation_live(context.runtime, one, account, context.now)]
    return live[-1] if live else None


def next_step(context: Context, offer: Offer[AuthorizationRequest]) -> tuple[Step, Redirection | None]:
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
    if not request.app.admits(offer.account):
        told = f"An admin must confirm your account before you can sign in to {request.app.name} with it."
        return answer("access_denied", told, is_automatic=is_silent)
    if not offer.scope and not request.openid:
        told = f"The app asks for {' '.join(offer.withheld) or 'nothing that herod knows'}, which you cannot give."
        return answer("access_denied" if offer.withheld else "invalid_scope", told, is_automatic=is_silent)
    is_remembered = _is_remembered(context, offer)
    is_too_old = is_remembered and lets_admin(context, offer.scope) and not is_recent(context)
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


def _is_remembered(context: Context, offer: Offer[AuthorizationRequest]) -> bool:
    """Whether the person's former answer counts for this request too."""
    request, former, graph = offer.request, offer.former, context.runtime.config.graph
    if former is None or "consent" in request.prompt:
        return False
    if request.app.origin is not AppOrigin.REGISTERED or not request.app.remembers_consent:
        return False
    is_covered = not graph.mask(offer.scope) & ~graph.mask(former.scope)
    return is_covered and set(request.openid) <= set(former.scope)


def lets_admin(context: Context, scope: tuple[str, ...]) -> bool:
    """Whether a scope includes `admin`, which needs a recent sign-in."""
    graph = context.runtime.config.graph
    return bool(graph.mask(scope) & graph.bit(ADMIN))


def is_recent(context: Context) -> bool:
    """Whether the calling person signed in recently enough for `admin`."""
    return context.now - (context.principal.signed_in_at or 0) <= RECENT_SECONDS
