"""Sessions: the signed-in browsers, and signing others out."""

from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render, say
from herod_client.core.scope_graph import OWNER

__all__ = ["FACTORS", "METHODS", "add_routes"]

# Display names of the credentials that sign in.
METHODS: Final = {
    "password": "password",
    "passkey": "passkey",
    "client_secret": "client secret",
    "user_key": "API key",
    "service_key": "service key",
    "legacy_secret": "legacy secret",
    "peer": "local user",
}
# Display names of what a person showed besides (RFC 8176); what the method says already is left out.
FACTORS: Final = {
    "otp": "one-time code",
    "kba": "recovery code",
    "user": "user verified",
}


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = SessionsPage(gateway)
    app.add_url_rule("/ui/sessions", "sessions", pages.list)
    app.add_url_rule("/ui/sessions/<id>/end", "sessions_end", pages.end, methods=["POST"])
    app.add_url_rule("/ui/sessions/end-all", "sessions_end_all", pages.end_all, methods=["POST"])
    app.add_url_rule("/ui/sessions/end-everyone", "sessions_end_everyone", pages.end_everyone, methods=["POST"])


class SessionsPage:
    """The list."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """The visitor's sessions, or all of them for admins."""
        visit = await self._gateway.enter()
        page = await self._gateway.call(visit, "session.list", cursor=visit.query.get("cursor"), limit=50)
        config = self._gateway.pipeline.runtime.config
        return await render(
            "sessions.html",
            visit,
            sessions=page.items,
            next_cursor=page.next_cursor,
            methods=METHODS,
            factors=FACTORS,
            is_everybody=self._gateway.may(visit, "users.list"),
            may_end_everyone=OWNER in visit.who.scope.split(),
            most=config.quotas.sessions,
            idle_minutes=config.session_idle // 60,
        )

    async def end_all(self) -> Page:
        """Sign the visitor out of all other browsers."""
        visit, _ = await self._gateway.submitted()
        await self._gateway.call(visit, "session.end_all")
        return say(visit, "sessions-ended", "sessions")

    async def end_everyone(self) -> Page:
        """Sign out every browser but this one."""
        visit, _ = await self._gateway.submitted()
        await self._gateway.call(visit, "session.end_all", everyone=True)
        return say(visit, "sessions-ended", "sessions")

    async def end(self, id: str) -> Page:
        """Sign another browser out."""
        visit, _ = await self._gateway.submitted()
        await self._gateway.call(visit, "session.end", id=id)
        return say(visit, "session-ended", "sessions")
