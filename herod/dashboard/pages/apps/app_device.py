"""The page for a terminal without a browser: enter its code, see who asks for what and from where, allow or deny.

A link may fill the code in, and does nothing more: the person sends the form, sees the code again beside who asks, and
says that it is the one that their own terminal shows. Like the consent page it is never shown in a frame, and its forms
come from this origin alone, with the ticket.
"""

from http import HTTPStatus
from typing import Final

from quart import Response as Page
from quart import url_for
from quart_trio import QuartTrio

from herod.dashboard.apps.app_names import name_warnings, shown_name
from herod.dashboard.apps.scope_words import scope_words
from herod.dashboard.page_security import never_framed
from herod.dashboard.pipeline_gateway import Gateway, Visit, texts
from herod.dashboard.rendering import render, see_other
from herod.dashboard.signing_in.landing import with_ticket
from herod.identity.apps.oauth_apps import AppOrigin
from herod.operations.oauth import DeviceDecision, DeviceQuestion, DeviceRequest
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest, NotFound, RateLimited

__all__ = ["add_routes"]

ENTER: Final = "oauth.enter_user_code"
# As many characters as the field takes; a code has nine.
FILLED_IN: Final = 32
CORRECTED: Final = frozenset({"nothing_ticked", "not_confirmed"})


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = DevicePage(gateway)
    app.add_url_rule("/ui/device", "device", pages.show)
    app.add_url_rule("/ui/device", "device_post", pages.submit, methods=["POST"])


class DevicePage:
    """The code, the question, and what the answer does."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self) -> Page:
        """Ask for the code, or about the app that waits with the one that was entered."""
        visit = await self._gateway.enter(leads_to=ENTER)
        request = visit.query.get("request")
        if request is None:
            return await self._ask_for_code(visit, visit.query.get("user_code", "")[:FILLED_IN])
        try:
            return await self._ask(visit, request)
        except (InvalidRequest, RateLimited) as error:
            return await self._ask_for_code(visit, "", error)

    async def submit(self) -> Page:
        """Find the app that waits with a code; or allow or deny it."""
        visit, fields = await self._gateway.submitted()
        if "decision" in fields:
            return await self._decide(visit, fields)
        typed = fields.get("user_code", "")[:FILLED_IN]
        try:
            found: DeviceRequest = await self._gateway.call(visit, ENTER, user_code=typed)
        except (NotFound, InvalidRequest, RateLimited) as error:
            return await self._ask_for_code(visit, typed, error)
        return never_framed(see_other(with_ticket(url_for("device", request=found.request), visit.ticket)))

    async def _decide(self, visit: Visit, fields: dict[str, str]) -> Page:
        request, is_allowed = fields.get("request", ""), fields["decision"] == "allow"
        try:
            if is_allowed:
                given = {"scope": " ".join(texts(fields, "scope")), "is_mine": str("is_mine" in fields).lower()}
                decided: DeviceDecision = await self._gateway.call(
                    visit, "oauth.device_allow", request=request, **given
                )
            else:
                decided = await self._gateway.call(visit, "oauth.device_deny", request=request)
        except InvalidRequest as error:
            if error.reason not in CORRECTED:
                return await self._ask_for_code(visit, "", error)
            return await self._ask(visit, request, error, fields)
        page = await render("device_answer.html", visit, name=shown_name(decided.app), is_allowed=is_allowed)
        return never_framed(page)

    async def _ask_for_code(self, visit: Visit, typed: str, error: HerodError | None = None) -> Page:
        status = HTTPStatus.OK if error is None else row_of(error).http
        return never_framed(await render("device.html", visit, status=status, typed=typed, error=error))

    async def _ask(
        self, visit: Visit, request: str, error: HerodError | None = None, fields: dict[str, str] | None = None
    ) -> Page:
        question: DeviceQuestion = await self._gateway.call(visit, "oauth.device", request=request)
        page = await render(
            "device_question.html",
            visit,
            status=HTTPStatus.OK if error is None else row_of(error).http,
            question=question,
            request=request,
            name=shown_name(question.app),
            warnings=name_warnings(question.app, AppOrigin(question.origin)),
            words=scope_words,
            error=error,
            fields=fields,
        )
        return never_framed(page)
