"""The first step of signing in to an app: its request at `/authorize`, before anybody is asked anything.

Anybody may send a browser there with anything, so it is only ever a request: it reads, keeps nothing, looks at no
session, and says where the browser goes next.
"""

import msgspec

from herod.operations.oauth.authorization_requests import (
    EXAMPLE_REQUEST,
    MAX_REQUEST_CHARS,
    Authorize,
    Redirection,
    RefusedRequest,
    answer_app,
    check_parameters,
    find_client,
    open_request,
    read_request,
    seal_request,
)
from herod.pipeline.operation_definition import Context, Params, Surface, query
from herod.pipeline.result_views import hide_values
from herod.scopes.decisions import Access
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest

__all__ = ["NextStep", "oauth_authorize", "oauth_login_required"]


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
    try:
        sealed = check_parameters(reader, runtime, params, context.now)
        request = read_request(reader, runtime, sealed)
    except RefusedRequest as refused:
        return NextStep(redirection=refused.redirection)
    text = seal_request(runtime.keyring, sealed)
    if text is None:
        redirection = answer_app(
            runtime,
            request.app,
            request.redirect,
            state=sealed.state,
            error="invalid_request",
            description=f"The request is too long: together its parameters may have some {MAX_REQUEST_CHARS * 3 // 4} "
            "bytes.",
        )
        return NextStep(redirection=redirection)
    return NextStep(request=text, is_silent="none" in request.prompt)


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
    app, redirect = find_client(reader, context.runtime, sealed)
    if "none" not in (sealed.prompt or "").split():
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
