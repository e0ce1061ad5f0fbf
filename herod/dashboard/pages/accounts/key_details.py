"""The page of one key: its details, and the forms that change it. Its secret is shown only when it is created."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.grant_forms import ENDS, end_of, given_networks, given_scope, scopes_to_give, ticked
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render, say
from herod.pipeline.result_views import IssuedKey, KeyDetails
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError

__all__ = ["add_routes", "issued_page"]

OVERLAPS: Final = (
    ("0", "At once"),
    ("300", "In 5 minutes"),
    ("3600", "In an hour"),
    ("86400", "In a day"),
    ("604800", "In 7 days"),
)


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of one key."""
    pages = KeyDetailPages(gateway)
    app.add_url_rule("/ui/keys/<id>", "key", pages.show)
    app.add_url_rule("/ui/keys/<id>/delete", "key_delete_ask", pages.ask_delete)
    for name in ("rotate", "enable", "disable", "edit", "delete"):
        app.add_url_rule(f"/ui/keys/<id>/{name}", f"key_{name}", getattr(pages, name), methods=["POST"])


class KeyDetailPages:
    """One page for each key."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, id: str) -> Page:
        """The details of a key."""
        return await self._page(await self._gateway.enter(), id)

    async def rotate(self, id: str) -> Page:
        """Give it a new secret, and show that once."""
        visit, fields = await self._gateway.submitted(kept_as="Create a new secret")
        try:
            issued = await self._gateway.call(visit, "keys.rotate", id=id, overlap=fields.get("overlap"))
        except HerodError as error:
            return await self._page(visit, id, error=error, fields=fields)
        return await issued_page(visit, issued, is_new=False, overlap=dict(OVERLAPS).get(fields.get("overlap", "0")))

    async def enable(self, id: str) -> Page:
        """Enable it."""
        return await self._do(id, "enable")

    async def disable(self, id: str) -> Page:
        """Disable it."""
        return await self._do(id, "disable")

    async def edit(self, id: str) -> Page:
        """Rename it, narrow it, or change its expiry."""
        visit, fields = await self._gateway.submitted(kept_as="Save the key")
        try:
            before = await self._gateway.call(visit, "keys.get", id=id)
            await self._gateway.call(visit, "keys.update", id=id, **self._changes(before, fields))
        except HerodError as error:
            return await self._page(visit, id, error=error, fields=fields)
        return say(visit, "key-changed", "key", id=id)

    async def ask_delete(self, id: str) -> Page:
        """Ask before deleting it."""
        visit = await self._gateway.enter()
        return await render("key_delete.html", visit, key=await self._gateway.call(visit, "keys.get", id=id))

    async def delete(self, id: str) -> Page:
        """Delete it."""
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, "keys.delete", id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, "key-deleted", "keys")

    def _changes(self, before: KeyDetails, fields: Mapping[str, str]) -> dict[str, Any]:
        """The fields that differ: a key's scope, sent back unchanged, could exceed what the visitor may grant."""
        changes: dict[str, Any] = {}
        if fields.get("name", "") != before.name:
            changes["name"] = fields.get("name") or " "  # refused by the operation, with the reason
        scope = given_scope(fields)
        graph = self._gateway.pipeline.runtime.config.graph
        if graph.mask(tuple(scope.split())) != graph.mask(tuple(before.scope.split())):
            changes["scope"] = scope
        networks = given_networks(fields)
        if networks is not None and sorted(networks) != before.networks:
            changes["networks"] = networks
        if fields.get("ends", "keep") != "keep":
            changes["expires_at"] = end_of(fields, now=self._gateway.pipeline.now())
        return changes

    async def _do(self, id: str, what: str) -> Page:
        visit, _ = await self._gateway.submitted()
        try:
            await self._gateway.call(visit, f"keys.{what}", id=id)
        except HerodError as error:
            return await self._page(visit, id, error=error)
        return say(visit, f"key-{what}d", "key", id=id)

    async def _page(
        self,
        visit: Visit,
        id: str,
        *,
        error: HerodError | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        key = await self._gateway.call(visit, "keys.get", id=id)
        now = datetime.fromtimestamp(self._gateway.pipeline.now(), UTC)
        owner = None
        if key.owner is not None and self._gateway.may(visit, "users.get"):
            owner = await self._gateway.call(visit, "users.get", client_id=key.owner)
        return await render(
            "key.html",
            visit,
            status=200 if error is None else row_of(error).http,
            key=key,
            owner=owner,
            error=error,
            fields=fields or {},
            scopes=scopes_to_give(self._gateway, key.scope),
            fields_scopes=ticked(fields),
            ends=(("keep", "Unchanged"), *ENDS),
            has_ended=key.expires_at is not None and key.expires_at <= now,
            overlaps=OVERLAPS,
            may_change=self._gateway.may(visit, "keys.update"),
            now=now,
            soon=timedelta(days=7),
        )


async def issued_page(visit: Visit, issued: IssuedKey, *, is_new: bool, overlap: str | None = None) -> Page:
    """A key's new secret, shown only in this response."""
    return await render("key_issued.html", visit, key=issued, is_new=is_new, overlap=overlap)
