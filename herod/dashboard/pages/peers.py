"""Peers: the local users and groups that are admitted without any other credential."""

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.grant_forms import scopes_to_give, ticked
from herod.dashboard.pipeline_gateway import Gateway, Visit, words
from herod.dashboard.rendering import render, say
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["add_routes"]


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = PeersPage(gateway)
    app.add_url_rule("/ui/peers", "peers", pages.list)
    app.add_url_rule("/ui/peers", "peers_allow", pages.allow, methods=["POST"])
    app.add_url_rule("/ui/peers/<id>/remove", "peers_remove", pages.remove, methods=["POST"])


class PeersPage:
    """The list, with a form for a new rule below it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """All rules."""
        return await self._page(await self._gateway.enter())

    async def allow(self) -> Page:
        """Create a rule."""
        visit, fields = await self._gateway.submitted(kept_as="Add the rule")
        by = fields.get("by", "user")
        who = {by: fields.get("who", "")}
        try:
            if by not in {"user", "uid", "group", "gid"}:
                raise InvalidRequest("Choose user or group, by name or number.")
            await self._gateway.call(
                visit,
                "peers.allow",
                **who,
                scope=" ".join(ticked(fields)),
                networks=words(fields.get("networks", "")) or None,
            )
        except HerodError as error:
            return await self._page(visit, error=error, fields=fields)
        return say(visit, "peer-allowed", "peers")

    async def remove(self, id: str) -> Page:
        """Remove a rule."""
        visit, _ = await self._gateway.submitted()
        await self._gateway.call(visit, "peers.remove", id=id)
        return say(visit, "peer-removed", "peers")

    async def _page(
        self, visit: Visit, *, error: HerodError | None = None, fields: dict[str, str] | None = None
    ) -> Page:
        page = await self._gateway.call(visit, "peers.list", cursor=visit.query.get("cursor"), limit=50)
        return await render(
            "peers.html",
            visit,
            status=200 if error is None else row_of(error).http,
            rules=page.items,
            next_cursor=page.next_cursor,
            scopes=scopes_to_give(self._gateway, visit.who.scope),
            chosen=["read"] if fields is None else ticked(fields),
            error=error,
            fields=fields or {},
        )
