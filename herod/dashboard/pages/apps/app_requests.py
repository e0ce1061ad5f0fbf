"""`/authorize`: where apps send a browser to sign a person in. It takes requests from anywhere and decides nothing.

The pages of other origins may link and post here, so no session is looked at, and nothing is kept or changed. What
follows, the consent page, belongs to our own origin alone.
"""

from http import HTTPStatus

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.page_security import as_entry, never_framed
from herod.dashboard.pages.signing_in.resume import resume_or
from herod.dashboard.pipeline_gateway import Gateway, Visit, asked
from herod.dashboard.rendering import render, see_other
from herod.operations.oauth import Authorize, NextStep, Redirection
from herod.protocols.decode import Pairs, form_pairs, query_pairs
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["add_routes", "answer_page", "leaving_page", "refused_page"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = AuthorizePage(gateway)
    app.add_url_rule("/authorize", "authorize", pages.by_query)
    app.add_url_rule("/authorize", "authorize_post", pages.by_form, methods=["POST"])


class AuthorizePage:
    """An app's request, and where it leads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def by_query(self) -> Page:
        """A request in the address."""
        try:
            return await self._go_on(query_pairs(asked().query))
        except HerodError as error:
            return await refused_page(error)

    async def by_form(self) -> Page:
        """A request in a form (OpenID Connect Core, section 3.1.2.1): what a query says, and nothing more."""
        try:
            return await self._go_on(form_pairs(asked()))
        except HerodError as error:
            return await refused_page(error)

    async def _go_on(self, pairs: Pairs) -> Page:
        step: NextStep = await self._gateway.ask_public("oauth.authorize", read_parameters(pairs), asked().source)
        if step.redirection is not None:
            return await answer_page(step.redirection)
        back = url_for("consent", request=step.request)
        if step.is_silent:
            return await resume_or(self._gateway, back=back, otherwise=url_for("nobody", request=step.request))
        return as_entry(see_other(back))


def read_parameters(pairs: Pairs) -> Authorize:
    """The parameters that herod knows; those without a value count as omitted (RFC 6749, section 3.1)."""
    known = set(Authorize.__struct_fields__) - {"repeated"}
    given = [(name, value) for name, value in pairs if name in known and value]
    names = [name for name, _ in given]
    repeated = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
    return Authorize(**dict(given), repeated=repeated)


async def answer_page(redirection: Redirection) -> Page:
    """Take an answer to the app: at once, where no form of ours has led here, or by the visitor's own click."""
    if redirection.is_automatic:
        return as_entry(see_other(redirection.location))
    return as_entry(await render("app_answer.html", status=HTTPStatus.OK, redirection=redirection))


async def leaving_page(redirection: Redirection, visit: Visit | None = None) -> Page:
    """Take an answer to the app after a form: the decision, a sign-in, or one that resumes a session.

    Chromium applies the policy of a form's page (`form-action`) to every redirect after it, those of the app included.
    So this is no redirect but a page that leads on by itself, also without script.

    Args:
        redirection: the answer.
        visit: whose answer it is. It may hold a code, so no window that was open before may look into the page.
    """
    if not redirection.is_automatic:
        return await answer_page(redirection)
    return never_framed(await render("app_leaving.html", visit, redirection=redirection))


async def refused_page(error: HerodError) -> Page:
    """The page for a request that no app is told about."""
    status = row_of(error).http if not isinstance(error, InvalidRequest) else HTTPStatus.BAD_REQUEST
    return as_entry(await render("app_refused.html", status=status, error=error))
