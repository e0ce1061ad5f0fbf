"""Resources: counts by claimant and kind. Never a name, an attribute or a secret."""

from http import HTTPStatus

from quart import Response as Page
from quart import current_app
from quart_trio import QuartTrio

from herod.dashboard.pages.audit import find_known
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render, say
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = ResourcesPage(gateway)
    app.add_url_rule("/ui/resources", "resources", pages.count)
    app.add_url_rule("/ui/resources/release", "resources_release", pages.release, methods=["POST"])


class ResourcesPage:
    """The counts, with a form to release one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def count(self) -> Page:
        """The counts by claimant and kind."""
        return await self._page(await self._gateway.enter())

    async def release(self) -> Page:
        """Release one by its sid."""
        visit, fields = await self._gateway.submitted()
        sid = fields.get("sid", "").strip()
        try:
            await self._gateway.call(visit, "resources.release", sid=sid)
        except HerodError as error:
            return await self._page(visit, error=error, sid=sid)
        return say(visit, "resource-released", "resources")

    async def _page(self, visit: Visit, *, error: HerodError | None = None, sid: str = "") -> Page:
        counts = await self._gateway.call(visit, "resources.count")
        return await render(
            "resources.html",
            visit,
            status=HTTPStatus.OK if error is None else row_of(error).http,
            counts=counts,
            known=await find_known(self._gateway, visit, (group.claimant for group in counts.groups)),
            error=error,
            sid=sid,
            pages=current_app.view_functions,
        )
