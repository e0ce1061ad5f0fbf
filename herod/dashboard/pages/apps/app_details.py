"""The page of one app: its details, what to enter in its settings, and the forms that change it."""

from collections.abc import Mapping
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.apps.app_forms import ALGORITHMS, CONSENTS, PKCE, app_scopes, fields_of, given_app
from herod.dashboard.grant_forms import ticked
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render, say
from herod.identity.apps.grant_types import DEVICE_CODE
from herod.pipeline.result_views import AppView, IssuedApp
from herod.protocols.documents.oauth_metadata import OPENID_PATH
from herod.protocols.documents.server_metadata import ServerFacts, server_metadata
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes", "issued_page"]

# What the settings of an app ask for, and what they call it.
ENDPOINTS: Final = (
    ("issuer", "Issuer"),
    ("authorization_endpoint", "Authorization URL"),
    ("token_endpoint", "Token URL"),
    ("userinfo_endpoint", "Userinfo URL"),
    ("jwks_uri", "Keys (JWKS)"),
    ("end_session_endpoint", "Sign-out URL"),
)
DEVICE_ENDPOINT: Final = ("device_authorization_endpoint", "Device URL")


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of one app."""
    pages = AppDetailPages(gateway)
    app.add_url_rule("/ui/apps/<id>", "app", pages.show)
    app.add_url_rule("/ui/apps/<id>/delete", "app_delete_ask", pages.ask_delete)
    for name in ("edit", "secret", "enable", "disable", "delete"):
        app.add_url_rule(f"/ui/apps/<id>/{name}", f"app_{name}", getattr(pages, name), methods=["POST"])


class AppDetailPages:
    """One page for each app."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, id: str) -> Page:
        """The details of an app."""
        return await self._page(await self._gateway.enter(), id)

    async def edit(self, id: str) -> Page:
        """Change it."""
        visit, fields = await self._gateway.submitted()
        try:
            before = await self._gateway.call(visit, "apps.get", client_id=id)
            await self._gateway.call(visit, "apps.update", client_id=id, **given_app(fields, before.grants))
        except HerodError as error:
            return await self._page(visit, id, error=error, fields=fields)
        return say(visit, "app-changed", "app", id=id)

    async def secret(self, id: str) -> Page:
        """Give it a new secret, and show that once."""
        visit, _ = await self._gateway.submitted()
        try:
            issued = await self._gateway.call(visit, "apps.rotate_secret", client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return await issued_page(self._gateway, visit, issued, is_new=False)

    async def enable(self, id: str) -> Page:
        """Enable it."""
        return await self._do(id, "enable")

    async def disable(self, id: str) -> Page:
        """Disable it."""
        return await self._do(id, "disable")

    async def ask_delete(self, id: str) -> Page:
        """Ask before deleting it."""
        visit = await self._gateway.enter()
        return await render("app_delete.html", visit, app=await self._gateway.call(visit, "apps.get", client_id=id))

    async def delete(self, id: str) -> Page:
        """Delete it."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "apps.delete", client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, "app-deleted", "apps")

    async def _do(self, id: str, what: str) -> Page:
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, f"apps.{what}", client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, f"app-{what}d", "app", id=id)

    async def _page(
        self, visit: Visit, id: str, *, error: HerodError | None = None, fields: Mapping[str, str] | None = None
    ) -> Page:
        app = await self._gateway.call(visit, "apps.get", client_id=id)
        shown = fields_of(app) if fields is None else fields
        return await render(
            "app.html",
            visit,
            status=200 if error is None else row_of(error).http,
            app=app,
            error=error,
            fields=shown,
            scopes=app_scopes(self._gateway, visit, held=app.scope),
            fields_scopes=ticked(shown),
            pkce=PKCE,
            algorithms=ALGORITHMS,
            consents=CONSENTS,
            endpoints=_endpoints(self._gateway, app),
        )


async def issued_page(gateway: Gateway, visit: Visit, app: IssuedApp, *, is_new: bool) -> Page:
    """The page that shows a new app, or its new secret, once."""
    return await render("app_issued.html", visit, app=app, is_new=is_new, endpoints=_endpoints(gateway, app))


def _endpoints(gateway: Gateway, app: AppView) -> list[tuple[str, str]]:
    """What to enter in the settings of this app, as far as herod offers it: name and URL."""
    config = gateway.pipeline.runtime.config
    offered = server_metadata(ServerFacts(config, tuple(gateway.operations.values())))
    wanted = (*ENDPOINTS, DEVICE_ENDPOINT) if DEVICE_CODE in app.grants else ENDPOINTS
    found = [(label, str(offered[name])) for name, label in wanted if name in offered]
    return [("Discovery", f"{config.public_url}{OPENID_PATH}"), *found]
