"""Legacy secrets: where each is still used from, and the service key that replaces it.

Shows ids of secrets, never the secrets; a new key is shown once.
"""

from http import HTTPStatus
from typing import Any

from quart import Response as Page
from quart import current_app
from quart_trio import QuartTrio

from herod.dashboard.pages.audit import find_known
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = LegacyPage(gateway)
    app.add_url_rule("/ui/legacy", "legacy", pages.list)
    app.add_url_rule("/ui/legacy", "legacy_promote", pages.promote, methods=["POST"])


class LegacyPage:
    """The list, and below it the form that replaces one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """All legacy secrets, by their ids."""
        return await self._page(await self._gateway.enter())

    async def promote(self) -> Page:
        """Create the key that replaces one, and show it once."""
        visit, fields = await self._gateway.submitted(kept_as="Create the key")
        try:
            issued = await self._gateway.call(
                visit,
                "legacy.promote",
                id=fields.get("id", ""),
                name=fields.get("name", "").strip(),
                expires_at=fields.get("expires_at", "").strip(),
            )
        except HerodError as error:
            return await self._page(visit, status=row_of(error).http, error=error, fields=fields)
        return await self._page(visit, status=HTTPStatus.CREATED, issued=issued)

    async def _page(self, visit: Visit, *, fields: dict[str, str] | None = None, **values: Any) -> Page:
        page = await self._gateway.call(visit, "legacy.status", cursor=visit.query.get("cursor"))
        secrets = page.items
        promoted = {secret.id: secret.promoted_to for secret in secrets if secret.promoted_to}
        return await render(
            "legacy.html",
            visit,
            secrets=secrets,
            next_cursor=page.next_cursor,
            promoted=promoted,
            known=await find_known(self._gateway, visit, promoted.values()),
            fields=fields or {},
            pages=current_app.view_functions,
            **values,
        )
