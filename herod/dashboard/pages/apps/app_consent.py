"""The consent page: who asks for what, and the form with which a person allows or denies it.

The decision is a form of this origin's own page, with the ticket that only our pages know, never shown in a frame. The
answer leaves for the app by a page of its own (`leaving_page`), so no form of ours ends elsewhere.
"""

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.apps.app_names import name_warnings, shown_name
from herod.dashboard.apps.scope_words import scope_words
from herod.dashboard.page_security import as_entry, never_framed
from herod.dashboard.pages.apps.app_requests import leaving_page, refused_page
from herod.dashboard.pipeline_gateway import Gateway, SignInAgain, SignInNeeded, Visit, asked, texts
from herod.dashboard.rendering import render, see_other
from herod.identity.apps.oauth_apps import AppOrigin
from herod.operations.oauth import ConsentView, NextStep, Question
from herod.protocols.decode import read_query
from herod_client.core.errors import ExpiredToken, HerodError, InvalidRequest, RateLimited

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = ConsentPage(gateway)
    app.add_url_rule("/ui/consent", "consent", pages.show)
    app.add_url_rule("/ui/consent/nobody", "nobody", pages.nobody)
    app.add_url_rule("/ui/consent", "consent_post", pages.decide, methods=["POST"])


class ConsentPage:
    """The question, and what the answer does."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """Ask, or go on without asking where an earlier answer counts or no page may be shown."""
        request = ""
        try:
            request = read_query(asked().query).get("request", "")
            try:
                visit = await self._gateway.enter()
                view: ConsentView = await self._gateway.call(visit, "oauth.consent", request=request)
                return await self._next(visit, view, request)
            except (SignInNeeded, SignInAgain):
                told = await self._told_that_nobody_is_signed_in(request)
                if told is None:
                    raise
                return told
        except (InvalidRequest, RateLimited) as error:  # the latter if too many documents were fetched
            return await refused_page(error)

    async def nobody(self) -> Page:
        """Tell an app that wants no page to be shown that nobody is signed in."""
        try:
            request = read_query(asked().query).get("request", "")
            told = await self._told_that_nobody_is_signed_in(request)
        except InvalidRequest as error:
            return await refused_page(error)
        return as_entry(see_other(url_for("consent", request=request))) if told is None else told

    async def decide(self) -> Page:
        """Allow or deny."""
        visit, fields = await self._gateway.submitted()
        request = fields.get("request", "")
        try:
            if fields.get("decision") == "allow":
                scope = " ".join(texts(fields, "scope"))
                return await leaving_page(
                    await self._gateway.call(visit, "oauth.allow", request=request, scope=scope), visit
                )
            return await leaving_page(await self._gateway.call(visit, "oauth.deny", request=request), visit)
        except InvalidRequest as error:
            if error.reason != "nothing_ticked":
                return await refused_page(error)
            view = await self._gateway.call(visit, "oauth.consent", request=request)
            return await self._next(visit, view, request, error)

    async def _next(self, visit: Visit, view: ConsentView, request: str, error: HerodError | None = None) -> Page:
        match view.step:
            case "sign_in":
                raise SignInAgain(ExpiredToken("The app asks you to sign in first.", reason="sign_in_again"))
            case "continue":
                return await leaving_page(await self._gateway.call(visit, "oauth.continue", request=request), visit)
            case _ if view.redirection is not None:
                return await leaving_page(view.redirection, visit)
        assert view.question is not None  # noqa: S101 - nothing else is left to do
        return await self._ask(visit, view.question, request, error)

    async def _ask(self, visit: Visit, question: Question, request: str, error: HerodError | None) -> Page:
        page = await render(
            "consent.html",
            visit,
            question=question,
            request=request,
            name=shown_name(question.app),
            warnings=name_warnings(question.app, AppOrigin(question.origin)),
            words=scope_words,
            error=error,
        )
        return never_framed(page)

    async def _told_that_nobody_is_signed_in(self, request: str) -> Page | None:
        """The answer to an app that wants no page to be shown; None if it lets herod ask the person to sign in."""
        step: NextStep = await self._gateway.call_public("oauth.login_required", {"request": request}, asked().source)
        return None if step.redirection is None else await leaving_page(step.redirection)
