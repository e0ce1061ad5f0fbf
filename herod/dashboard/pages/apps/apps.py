"""Apps: the list, and the form for a new one. The pages of one app are in `app_details.py`."""

from collections.abc import Mapping
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.apps.app_forms import ALGORITHMS, NEW_CONSENTS, PKCE, TYPES, app_scopes, given_app
from herod.dashboard.grant_forms import ticked
from herod.dashboard.pages.apps import app_details
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]

PAGE_ROWS: Final = 50


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = AppsPage(gateway)
    app.add_url_rule("/ui/apps", "apps", pages.list)
    app.add_url_rule("/ui/apps/new", "app_new", pages.new)
    app.add_url_rule("/ui/apps", "app_add", pages.add, methods=["POST"])
    app_details.add_routes(app, gateway)


class AppsPage:
    """The list, and the form for a new app."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """All registered apps."""
        visit = await self._gateway.enter()
        found = await self._gateway.call(visit, "apps.list", cursor=visit.query.get("cursor"), limit=PAGE_ROWS)
        return await render("apps.html", visit, apps=found.items, next_cursor=found.next_cursor)

    async def new(self) -> Page:
        """The form for a new app."""
        return await self._form(await self._gateway.enter(leads_to="apps.add"), {"scope:read": "on"})

    async def add(self) -> Page:
        """Register an app, and show its secret once."""
        visit, fields = await self._gateway.submitted()
        try:
            added = await self._gateway.call(visit, "apps.add", type=fields.get("type"), **given_app(fields))
        except HerodError as error:
            return await self._form(visit, fields, error)
        return await app_details.issued_page(self._gateway, visit, added, is_new=True)

    async def _form(self, visit: Visit, fields: Mapping[str, str], error: HerodError | None = None) -> Page:
        return await render(
            "app_new.html",
            visit,
            status=200 if error is None else row_of(error).http,
            error=error,
            fields=fields,
            scopes=app_scopes(self._gateway, visit),
            fields_scopes=ticked(fields),
            types=TYPES,
            pkce=PKCE,
            algorithms=ALGORITHMS,
            consents=NEW_CONSENTS,
        )
