"""Approvals: what apps asked for in the visitor's name, one page for each with the two buttons.

Must never decide by an address, a script or in a frame: only by a button here, after a recent sign-in.
"""

from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.page_security import never_framed
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render, say
from herod.operations.approvals import ApprovalView
from herod.protocols.error_codes import row_of
from herod_client.core.errors import Conflict, HerodError, InvalidRequest, NotFound

__all__ = ["ORIGINS", "add_routes"]

# Where the name of an app comes from.
ORIGINS: Final = {
    "registered": "registered by an admin",
    "dynamic": "a name that the app chose itself",
    "document": "named by its own web page",
}


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = ApprovalsPage(gateway)
    app.add_url_rule("/ui/approvals", "approvals", pages.list)
    app.add_url_rule("/ui/approvals/<id>", "approval", pages.show)
    app.add_url_rule("/ui/approvals/<id>/decide", "approval_decide", pages.decide, methods=["POST"])


class ApprovalsPage:
    """The list, and one approval."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """What waits for the visitor, and what they decided in the last minutes."""
        return await self._list(await self._gateway.enter())

    async def show(self, id: str) -> Page:
        """One call that an app asked for, and the buttons."""
        visit = await self._gateway.enter(leads_to="approvals.decide")
        try:
            approval = await self._gateway.call(visit, "approvals.get", id=id)
        except NotFound:
            return await self._list(visit, is_gone=True)
        return await self._page(visit, approval)

    async def decide(self, id: str) -> Page:
        """Approve it or decline it."""
        visit, fields = await self._gateway.submitted()
        try:
            decided = await self._gateway.call(visit, "approvals.decide", id=id, approve=fields.get("approve"))
        except NotFound:
            return await self._list(visit, is_gone=True)
        except (Conflict, InvalidRequest) as error:
            return await self._page(visit, await self._gateway.call(visit, "approvals.get", id=id), error=error)
        return say(visit, f"approval-{decided.state}", "approvals")

    async def _list(self, visit: Visit, *, is_gone: bool = False) -> Page:
        page = await self._gateway.call(visit, "approvals.list", cursor=visit.query.get("cursor"), limit=50)
        values = {"approvals": page.items, "next_cursor": page.next_cursor, "is_gone": is_gone}
        status = HTTPStatus.NOT_FOUND if is_gone else HTTPStatus.OK
        return never_framed(await render("approvals.html", visit, status=status, what=self._what, **values))

    async def _page(self, visit: Visit, approval: ApprovalView, *, error: HerodError | None = None) -> Page:
        values: dict[str, Any] = {"approval": approval, "error": error, "origin": ORIGINS[approval.app_origin]}
        status = HTTPStatus.OK if error is None else row_of(error).http
        page = await render("approval.html", visit, status=status, what=self._what(approval.operation), **values)
        return never_framed(page)

    def _what(self, operation: str) -> str:
        """What an operation does, in a few words: the first sentence of its documentation."""
        known = self._gateway.operations.get(operation)
        return operation if known is None else known.summary.partition(".")[0]
