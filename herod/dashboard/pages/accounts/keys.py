"""Keys: the list, and the form for a new one. The pages of one key are in `key_details.py`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.grant_forms import ENDS, end_of, given_networks, given_scope, scopes_to_give, ticked
from herod.dashboard.pages.accounts import key_details
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest, NotFound

__all__ = ["add_routes"]

PAGE_ROWS: Final = 50
STATES: Final = (("", "any"), ("on", "on"), ("off", "off"), ("expired", "expired"), ("unused", "unused for 90 days"))
FILTERS: Final = ("owner", "kind", "state", "name", "order")
_DEFAULT: Final = {"ends": "90", "scope:read": "on"}


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = KeysPage(gateway)
    app.add_url_rule("/ui/keys", "keys", pages.list)
    app.add_url_rule("/ui/keys/new", "key_new", pages.new)
    app.add_url_rule("/ui/keys", "key_create", pages.create, methods=["POST"])
    key_details.add_routes(app, gateway)


class KeysPage:
    """The list with its filters, and the form for a new key."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """Keys, newest first by default."""
        visit = await self._gateway.enter()
        asked = {name: visit.query[name].strip() for name in FILTERS if visit.query.get(name, "").strip()}
        is_admin = self._gateway.may(visit, "users.get")
        found, error, owners = None, None, {}
        try:
            found = await self._find(visit, asked)
            owners = await self._emails(visit, {key.owner for key in found.items if key.owner}) if is_admin else {}
        except HerodError as problem:
            error = problem
        return await render(
            "keys.html",
            visit,
            status=200 if error is None else row_of(error).http,
            error=error,
            keys=[] if found is None else found.items,
            next_cursor=None if found is None else found.next_cursor,
            owners=owners,
            total=(await self._gateway.call(visit, "stats")).keys if is_admin else None,
            asked=asked,
            order=asked.get("order", "newest"),
            is_admin=is_admin,
            may_create=self._gateway.may(visit, "keys.create"),
            states=STATES,
            now=datetime.fromtimestamp(self._gateway.pipeline.now(), UTC),
            soon=timedelta(days=7),
        )

    async def new(self) -> Page:
        """The form for a new key."""
        visit = await self._gateway.enter(leads_to="keys.create")
        fields = {**_DEFAULT, "owner": visit.query.get("owner", "")}
        return await self._form(visit, {**fields, "for": "owner"} if fields["owner"] else fields)

    async def create(self) -> Page:
        """Create a key, and show its secret once."""
        visit, fields = await self._gateway.submitted(kept_as="Create the key")
        try:
            issued = await self._gateway.call(
                visit,
                "keys.create",
                name=fields.get("name"),
                scope=given_scope(fields),
                networks=given_networks(fields),
                expires_at=end_of(fields, now=self._gateway.pipeline.now()),
                **_whose(fields),
            )
        except HerodError as error:
            return await self._form(visit, fields, error)
        return await key_details.issued_page(visit, issued, is_new=True)

    async def _find(self, visit: Visit, asked: Mapping[str, str]) -> Any:
        """The page of the list that the URL asks for."""
        order = asked.get("order", "newest")
        if asked.get("state") == "expired" and "order" not in asked and self._gateway.may(visit, "users.get"):
            order = "expires"  # where they come first
        return await self._gateway.call(
            visit,
            "keys.list",
            owner=asked.get("owner"),
            order=order,
            kind=asked.get("kind"),
            state=asked.get("state"),
            name=asked.get("name"),
            cursor=visit.query.get("cursor"),
            limit=PAGE_ROWS,
        )

    async def _emails(self, visit: Visit, owners: set[str]) -> dict[str, str]:
        """The emails or names of the owners of the keys on a page."""
        found = {}
        for owner in owners:
            try:
                user = await self._gateway.call(visit, "users.get", client_id=owner)
            except NotFound:
                continue  # deleted since
            found[owner] = user.email or user.name
        return found

    async def _form(self, visit: Visit, fields: Mapping[str, str], error: HerodError | None = None) -> Page:
        is_admin = self._gateway.may(visit, "users.get")
        choices = [("service", "A service: the key has its own scope")] if is_admin else []
        if visit.who.kind == "account":
            choices.insert(0, ("me", "Me"))
        if is_admin:
            choices.append(("owner", "Another user, named below"))
        return await render(
            "key_new.html",
            visit,
            status=200 if error is None else row_of(error).http,
            error=error,
            fields=fields,
            choices=choices,
            scopes=scopes_to_give(self._gateway, visit.who.scope),
            fields_scopes=ticked(fields),
            ends=ENDS,
            may_create=self._gateway.may(visit, "keys.create"),
        )


def _whose(fields: Mapping[str, str]) -> dict[str, str]:
    """The kind and owner of a new key, from the form's choice."""
    match fields.get("for", "me"):
        case "me":
            return {"kind": "user"}
        case "service":
            return {"kind": "service"}
        case "owner":
            who = fields.get("owner", "").strip()
            if not who:
                raise InvalidRequest("Give the owner of the key: an email, a client_id or a unique name.")
            return {"kind": "user", "owner": who}
        case _:
            raise InvalidRequest("Choose whose key it is.")
