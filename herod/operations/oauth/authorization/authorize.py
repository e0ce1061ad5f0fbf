"""The first step of signing in to an app: its request at `/authorize`, before anybody is asked anything.

Anybody may send a browser there with anything, so it is only ever a request: it reads, keeps nothing, looks at no
session, and says where the browser goes next.
"""

from typing import Final

import msgspec

from herod.operations.oauth.authorization.authorization_answers import Redirection, RefusedRequest, answer_app
from herod.operations.oauth.authorization.authorization_parameters import Authorize, parameter_fault
from herod.operations.oauth.authorization.authorization_requests import (
    EXAMPLE_REQUEST,
    MAX_REQUEST_CHARS,
    find_client,
    open_request,
    read_request,
    seal_request,
    sealed_request,
)
from herod.pipeline.operation_definition import Context, Params, Surface, query
from herod.pipeline.result_views import hide_values
from herod.scopes.decisions import Access
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest

__all__ = ["NextStep", "oauth_authorize", "oauth_login_required"]

TOO_LONG: Final = (
    "invalid_request",
    f"The request is too long: together its parameters may have some {MAX_REQUEST_CHARS * 3 // 4} bytes.",
)


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one: the sealed `request` to take to the consent page, or the `redirection` that tells the app why not.

    `is_silent` says that no page may be shown: the app asks whether there is a session (`prompt=none`).
    """

    __repr__ = hide_values

    request: str | None = None
    is_silent: bool = False
    redirection: Redirection | None = None


class SilentRequest(Params, frozen=True, kw_only=True):
    """A sealed request."""

    request: str


@query(
    "oauth.authorize",
    needs=Access.PUBLIC,
    example={"client_id": "x"},
    failures=(InvalidRequest,),
    surfaces=frozenset({Surface.DASHBOARD}),
)
def oauth_authorize(reader: Reader, context: Context, params: Authorize) -> NextStep:
    """Read what an app asks for (RFC 6749, section 4.1.1), and say what to do next.

    A request without a known app and one of its own redirects is refused, and nobody is redirected.
    """
    runtime = context.runtime
    if not runtime.config.has_browser_origin:
        raise InvalidRequest(
            "People cannot sign in to apps here, because another program may hold the address that browsers use: "
            "herod's log says which one.",
            reason="no_browser_origin",
        )
    for name in ("client_id", "redirect_uri"):
        if name in params.repeated:
            raise InvalidRequest(f"The app sent the parameter {name!r} twice: send it once.")
    app, redirect = find_client(reader, runtime, params.client_id, params.redirect_uri)
    sealed = sealed_request(params, context.now)
    text = seal_request(runtime.keyring, sealed)
    fault = parameter_fault(app, params) or (TOO_LONG if text is None else None)
    if redirect is None:  # its document has to be fetched first, and for that a person must have signed in
        if fault is not None:
            raise InvalidRequest(fault[1], reason=fault[0])
    elif fault is not None:
        state = None if "state" in params.repeated else params.state
        return NextStep(
            redirection=answer_app(runtime, app, redirect, state=state, error=fault[0], description=fault[1])
        )
    else:
        try:
            read_request(reader, runtime, sealed)
        except RefusedRequest as refused:
            return NextStep(redirection=refused.redirection)
    return NextStep(request=text, is_silent="none" in (params.prompt or "").split())


@query(
    "oauth.login_required",
    needs=Access.PUBLIC,
    example={"request": EXAMPLE_REQUEST},
    failures=(InvalidRequest,),
    surfaces=frozenset({Surface.DASHBOARD}),
)
def oauth_login_required(reader: Reader, context: Context, params: SilentRequest) -> NextStep:
    """Tell an app that asked for no page that nobody is signed in (OpenID Connect Core, section 3.1.2.6).

    For a request that does not ask for that, the answer is the request itself.
    """
    sealed = open_request(context.runtime.keyring, params.request, context.now)
    app, redirect = find_client(reader, context.runtime, sealed.client_id, sealed.redirect_uri)
    if redirect is None or "none" not in (sealed.prompt or "").split():
        return NextStep(request=params.request)
    redirection = answer_app(
        context.runtime,
        app,
        redirect,
        state=sealed.state,
        error="login_required",
        description="Nobody is signed in to herod in this browser.",
    )
    return NextStep(redirection=redirection)
