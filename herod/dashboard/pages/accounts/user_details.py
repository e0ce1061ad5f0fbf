"""The page of one account: its details, and the forms that change it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.apps.connected_apps import connected_apps
from herod.dashboard.grant_forms import given_networks, given_scope, scopes_to_give, ticked
from herod.dashboard.pages.accounts.own_account import signed_out_page
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render, say
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes"]

SECRETS = ("password", "current")
FORMS = (
    "edit", "scope", "confirm", "enable", "disable", "password", "secret", "delete", "sign_out", "factors",
)  # fmt: skip


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of one account."""
    pages = UserDetailPages(gateway)
    app.add_url_rule("/ui/users/<id>", "user", pages.show)
    app.add_url_rule("/ui/users/<id>/delete", "user_delete_ask", pages.ask_delete)
    app.add_url_rule("/ui/users/<id>/apps/<delegation>", "user_disconnect", pages.disconnect, methods=["POST"])
    for name in FORMS:
        app.add_url_rule(f"/ui/users/<id>/{name}", f"user_{name}", getattr(pages, name), methods=["POST"])


class UserDetailPages:
    """One page for each account."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, id: str) -> Page:
        """The details of an account."""
        return await self._page(await self._gateway.enter(), id)

    async def edit(self, id: str) -> Page:
        """Change its name and networks."""
        visit, fields = await self._gateway.submitted(kept_as="Save the user")
        networks = fields.get("networks", "")
        try:
            changes = {"name": fields.get("name") or " ", "networks": given_networks({"networks": networks})}
            await self._gateway.call(visit, "users.update", client_id=id, **changes)
        except HerodError as error:
            return await self._page(visit, id, error=error, fields=fields)
        return say(visit, "user-changed", "user", id=id)

    async def scope(self, id: str) -> Page:
        """Give it another scope."""
        visit, fields = await self._gateway.submitted(kept_as="Set the scope")
        try:
            await self._gateway.call(visit, "users.scope", client_id=id, scope=given_scope(fields))
        except HerodError as error:
            return await self._page(visit, id, error=error, fields=fields)
        return say(visit, "user-scope", "user", id=id)

    async def confirm(self, id: str) -> Page:
        """Confirm that it is who it says it is, or take that back."""
        visit, fields = await self._gateway.submitted()
        is_confirmed = fields.get("confirmed") == "on"
        try:
            await self._gateway.call(visit, "users.update", client_id=id, confirmed=is_confirmed)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, "user-confirmed" if is_confirmed else "user-unconfirmed", "user", id=id)

    async def enable(self, id: str) -> Page:
        """Enable it."""
        return await self._do(id, "users.enable", "user-enabled")

    async def disable(self, id: str) -> Page:
        """Disable it."""
        return await self._do(id, "users.disable", "user-disabled")

    async def sign_out(self, id: str) -> Page:
        """Sign out all of its browsers, except this one."""
        return await self._do(id, "session.end_all", "user-signed-out")

    async def factors(self, id: str) -> Page:
        """Remove its second factors: its person has lost them."""
        return await self._do(id, "factors.reset", "user-factors")

    async def disconnect(self, id: str, delegation: str) -> Page:
        """End what one of its apps may do."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "delegations.revoke", id=delegation)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, "app-disconnected", "user", id=id)

    async def password(self, id: str) -> Page:
        """Set its password."""
        visit, fields = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "users.password", client_id=id, password=fields.get("password"))
        except HerodError as error:
            return await self._page(visit, id, error=error)
        if id == visit.who.sub:
            return await signed_out_page("Your password is set: sign in with it.")
        return say(visit, "user-password", "user", id=id)

    async def secret(self, id: str) -> Page:
        """Give it a new client secret, and show that once."""
        visit, _ = await self._gateway.submitted()
        try:
            user = await self._gateway.call(visit, "users.get", client_id=id)
            rotated = await self._gateway.call(visit, "users.rotate_secret", client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return await render(
            "user_secret.html",
            visit,
            client_id=id,
            secret=rotated.client_secret,
            user=user,
            is_new=False,
            warning=rotated.warning,
        )

    async def ask_delete(self, id: str) -> Page:
        """Ask before deleting it, and list what is deleted with it."""
        visit = await self._gateway.enter()
        user = await self._gateway.call(visit, "users.get", client_id=id)
        keys = await self._gateway.call(visit, "keys.list", owner=id)
        return await render(
            "user_delete.html", visit, user=user, keys=keys.items, has_more=keys.next_cursor is not None
        )

    async def delete(self, id: str) -> Page:
        """Delete it."""
        visit, _ = await self._gateway.submitted()
        try:
            gone = await self._gateway.call(visit, "users.delete", client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        if id == visit.who.sub:
            return await signed_out_page("Your account was deleted.")
        return say(visit, "user-deleted-makes" if gone.service_keys or gone.peer_rules else "user-deleted", "users")

    async def _do(self, id: str, operation: str, word: str) -> Page:
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, operation, client_id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        if id == visit.who.sub and operation == "users.disable":
            return await signed_out_page("Your account is disabled.")
        return say(visit, word, "user", id=id)

    async def _page(
        self,
        visit: Visit,
        id: str,
        *,
        error: HerodError | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        user = await self._gateway.call(visit, "users.get", client_id=id)
        keys = await self._gateway.call(visit, "keys.list", owner=id, order="newest", limit=10)
        factors = await self._gateway.call(visit, "factors.get", client_id=id)
        apps = await connected_apps(self._gateway, visit, id)
        values: dict[str, Any] = {name: value for name, value in (fields or {}).items() if name not in SECRETS}
        return await render(
            "user.html",
            visit,
            status=200 if error is None else row_of(error).http,
            user=user,
            keys=keys.items,
            factors=factors,
            apps=apps,
            has_more=keys.next_cursor is not None,
            error=error,
            fields=values,
            scopes=scopes_to_give(self._gateway, visit.who.scope),
            fields_scopes=ticked(fields),
            now=datetime.fromtimestamp(self._gateway.pipeline.now(), UTC),
            may_keys=self._gateway.may(visit, "keys.create"),
        )
