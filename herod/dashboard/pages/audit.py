"""The audit log: list it, follow it, and verify that it is intact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart import current_app
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.dashboard.rendering import render
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest, NotFound

__all__ = ["Known", "add_routes", "as_time", "find_known"]

FILTERS: Final = ("actor", "operation", "outcome", "reason", "source", "target", "since", "until")
ROWS: Final = 50
KEY_CHARACTERS: Final = 12
UUID_CHARACTERS: Final = 36


@dataclass(frozen=True, slots=True)
class Known:
    """The user, key or app with an id, and the page that shows it."""

    name: str
    endpoint: str


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = AuditPage(gateway)
    app.add_url_rule("/ui/audit", "audit", pages.list)
    app.add_url_rule("/ui/audit/new", "audit_new", pages.list_new)
    app.add_url_rule("/ui/audit/verify", "audit_verify", pages.verify, methods=["POST"])


class AuditPage:
    """The rows, newest first, and below them the verification."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def list(self) -> Page:
        """Rows that match the filter."""
        return await self._page(await self._gateway.enter())

    async def list_new(self) -> Page:
        """The rows since a page was rendered, to be put on top of it; empty if there are none."""
        visit = await self._gateway.enter()
        after = visit.query.get("after", "0")
        page = await self._gateway.call(visit, "audit.list", **_wanted(visit), after=after, limit=ROWS)
        if not page.items:
            return Page("", HTTPStatus.NO_CONTENT)
        return await render("audit_new.html", visit, **await self._rows(visit, page.items[::-1]))

    async def verify(self) -> Page:
        """Verify the whole log."""
        visit, fields = await self._gateway.submitted()
        try:
            verdict = await self._gateway.call(visit, "audit.verify", expect=fields.get("expect", "").strip())
        except InvalidRequest as error:
            return await self._page(visit, error=error, expect=fields.get("expect", ""))
        return await self._page(visit, verdict=verdict)

    async def _page(self, visit: Visit, *, error: HerodError | None = None, **values: Any) -> Page:
        rows: Sequence[Any] = ()
        next_cursor = None
        cursor = visit.query.get("cursor")
        try:
            page = await self._gateway.call(visit, "audit.list", **_wanted(visit), cursor=cursor, limit=ROWS)
            rows, next_cursor = page.items, page.next_cursor
        except InvalidRequest as refused:
            error = error or refused
        return await render(
            "audit.html",
            visit,
            status=HTTPStatus.OK if error is None else row_of(error).http,
            next_cursor=next_cursor,
            error=error,
            has_filter=bool(_given(visit)),
            is_followed=visit.query.get("follow") == "on" and cursor is None and error is None,
            operations=sorted(self._gateway.pipeline.process.operations),
            **await self._rows(visit, rows),
            **values,
        )

    async def _rows(self, visit: Visit, rows: Sequence[Any]) -> dict[str, Any]:
        ids = [id_ for row in rows for id_ in (row.actor, row.target) if id_ is not None]
        return {
            "rows": rows,
            "given": _given(visit),
            "last": rows[0].seq if rows else 0,
            "known": await find_known(self._gateway, visit, ids),
            "pages": current_app.view_functions,
        }


async def find_known(gateway: Gateway, visit: Visit, ids: Iterable[str]) -> dict[str, Known]:
    """The existing users, keys and apps among these ids, with their names.

    Ids of resources, peer rules and deleted records look the same; they are not found.
    """
    known: dict[str, Known] = {}
    for id_ in dict.fromkeys(ids):
        try:
            if len(id_) == UUID_CHARACTERS:
                known[id_] = await _user_or_app(gateway, visit, id_)
            elif len(id_) == KEY_CHARACTERS and id_.isalnum():
                key = await gateway.call(visit, "keys.get", id=id_)
                known[id_] = Known(key.name, "key")
        except NotFound:
            continue
    return known


async def _user_or_app(gateway: Gateway, visit: Visit, id_: str) -> Known:
    """The user or app with a UUID.

    Raises:
        NotFound: it is neither's.
    """
    try:
        user = await gateway.call(visit, "users.get", client_id=id_)
    except NotFound:
        return Known((await gateway.call(visit, "apps.get", client_id=id_)).name, "app")
    return Known(user.name or user.email or id_, "user")


def as_time(text: str) -> str:
    """Convert the value of a date and time field to the format that operations take, in UTC."""
    return f"{text}:00Z" if len(text) == 16 else f"{text}Z" if len(text) == 19 else text


def _given(visit: Visit) -> dict[str, str]:
    """The filter in the page's URL."""
    return {name: text for name in FILTERS if (text := visit.query.get(name, "").strip())}


def _wanted(visit: Visit) -> dict[str, str]:
    """The filter as the operation's parameters."""
    return {name: as_time(text) if name in ("since", "until") else text for name, text in _given(visit).items()}
