"""Users: the list, and the form for a new one. The pages of one account are in `user_details.py`."""

from collections.abc import Mapping
from typing import Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.grant_forms import given_networks, given_scope, scopes_to_give, ticked
from herod.dashboard.pages.accounts import user_details
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render
from herod.pipeline.result_views import User
from herod.protocols.error_codes import row_of
from herod.store.store_interface import Page as Listed
from herod_client.core.errors import HerodError, InvalidRequest, NotFound

__all__ = ["add_routes"]

PAGE_ROWS: Final = 50
ORDERS: Final = ("newest", "oldest")


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = UsersPage(gateway)
    app.add_url_rule("/ui/users", "users", pages.list)
    app.add_url_rule("/ui/users/new", "user_new", pages.new)
    app.add_url_rule("/ui/users", "user_add", pages.add, methods=["POST"])
    user_details.add_routes(app, gateway)


class UsersPage:
    """The list with its search, and the form for a new account."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """Accounts, newest first by default."""
        visit = await self._gateway.enter()
        who, order = visit.query.get("who", "").strip(), visit.query.get("order", "newest")
        found, error = Listed[User]([]), None
        try:
            found = await self._find(visit, who, order)
        except HerodError as problem:
            error = problem
        return await render(
            "users.html",
            visit,
            status=200 if error is None else row_of(error).http,
            error=error,
            users=found.items,
            next_cursor=found.next_cursor,
            total=(await self._gateway.call(visit, "stats")).users,
            who=who,
            order=order,
        )

    async def new(self) -> Page:
        """The form for a new account."""
        return await self._form(await self._gateway.enter(leads_to="users.add"), {"scope:read": "on"})

    async def add(self) -> Page:
        """Create an account, and show its client secret once."""
        visit, fields = await self._gateway.submitted(kept_as="Add the user")
        try:
            if not fields.get("email", "").strip() and not fields.get("name", "").strip():
                raise InvalidRequest("Give an email, a name, or both, so that people can find the account.")
            added = await self._gateway.call(
                visit,
                "users.add",
                email=fields.get("email"),
                name=fields.get("name"),
                password=fields.get("password"),
                scope=given_scope(fields),
                networks=given_networks(fields),
            )
        except HerodError as error:
            return await self._form(visit, fields, error)
        return await render(
            "user_secret.html", visit, client_id=added.client_id, secret=added.client_secret, user=added, is_new=True
        )

    async def _find(self, visit: Visit, who: str, order: str) -> Listed[User]:
        if who:
            try:
                return Listed([await self._gateway.call(visit, "users.get", client_id=who)])
            except NotFound:
                return Listed([])  # an empty result is not an error
        page: Listed[User] = await self._gateway.call(
            visit, "users.list", order=order, cursor=visit.query.get("cursor"), limit=PAGE_ROWS
        )
        return page

    async def _form(self, visit: Visit, fields: Mapping[str, str], error: HerodError | None = None) -> Page:
        return await render(
            "user_new.html",
            visit,
            status=200 if error is None else row_of(error).http,
            error=error,
            fields={name: value for name, value in fields.items() if name != "password"},
            scopes=scopes_to_give(self._gateway, visit.who.scope),
            fields_scopes=ticked(fields),
        )
