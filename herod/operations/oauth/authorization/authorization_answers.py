"""What an app is told: a code or an error, by a redirect of the person's browser (RFC 6749, section 4.1.2)."""

import msgspec

from herod.credentials.apps.redirect_uris import RedirectKind, RedirectUri, with_parameters
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp
from herod.identity.runtime_state import Runtime
from herod.pipeline.result_views import hide_values

__all__ = ["Redirection", "RefusedRequest", "answer_app"]


class Redirection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser takes the answer to the app.

    `location` holds what is only for the app. It is followed without a click if `is_automatic`: an error never goes by
    itself to a place on the internet that nobody vouches for (RFC 9700, section 4.11.2). `error` is OAuth's code, empty
    for success; `description` is for people and developers.
    """

    __repr__ = hide_values

    location: str
    host: str
    app: str
    is_automatic: bool
    error: str = ""
    description: str = ""


class RefusedRequest(Exception):
    """A request whose app is told why it is refused; `redirection` takes the error there."""

    def __init__(self, redirection: Redirection) -> None:
        super().__init__(redirection.error)
        self.redirection = redirection


def answer_app(
    runtime: Runtime,
    app: OAuthApp,
    redirect: RedirectUri,
    *,
    state: str | None,
    code: str = "",
    error: str = "",
    description: str = "",
) -> Redirection:
    """The answer to an app: a code or an error, its own state, and who answers (RFC 9207).

    Args:
        state: the app's, echoed as it is; None if it sent none.
        description: of an error, for developers.
    """
    answer = [("code", code)] if code else [("error", error), ("error_description", description)]
    echoed = [] if state is None else [("state", state)]
    is_trusted = app.origin is AppOrigin.REGISTERED or redirect.kind is RedirectKind.LOOPBACK
    return Redirection(
        location=with_parameters(redirect, [*answer, *echoed, ("iss", runtime.config.public_url)]),
        host=redirect.shown_host,
        app=app.name,
        is_automatic=bool(code) or is_trusted,
        error=error,
        description=description,
    )
