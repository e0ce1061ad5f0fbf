"""Explain a decision: whether a principal may do something, why, and how to fix it. Uses the real engine."""

from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart_trio import QuartTrio

from herod.dashboard.pipeline_gateway import Gateway
from herod.dashboard.rendering import render
from herod.protocols.error_codes import row_of
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["add_routes"]

# Texts for denial reasons; a reason that is not listed is shown by its name.
REASONS: Final = {
    "anonymous": "This credential identifies no principal.",
    "outside_window": "Their grant has expired, or is not valid yet.",
    "missing_scope": "Their scope does not include what this needs.",
    "network_denied": "They have no access to this network.",
    "method_not_allowed": "This takes another kind of credential.",
    "disabled": "The account or key is disabled.",
    "owner_disabled": "The owner of the key is disabled.",
    "expired": "The key has expired.",
}
COMMAND: Final = "herod "


def add_routes(app: QuartTrio, gateway: Gateway) -> None:
    """Add the pages of this area."""
    pages = ExplainPage(gateway)
    app.add_url_rule("/ui/explain", "explain", pages.ask)


def _asked(what: str) -> dict[str, str]:
    """The scope or operation of the list's choice; none for "to be authenticated".

    Raises:
        InvalidRequest: it is not a choice of the list: an answer to another question would be misleading.
    """
    kind, _, name = what.partition(":")
    if what and (kind not in ("operation", "scope") or not name.strip()):
        raise InvalidRequest("Choose a scope or an operation from the list.")
    return {kind: name} if what else {}


class ExplainPage:
    """A form, and the decision above it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def ask(self) -> Page:
        """The form, and the answer to the question in the URL."""
        visit = await self._gateway.enter()
        is_admin = self._gateway.may(visit, "users.list")
        asked = {name: visit.query.get(name, "") for name in ("principal", "what", "network")}
        given = {name: text.strip() or text for name, text in asked.items()}  # blank is not left out
        answer: Any = None
        error: HerodError | None = None
        if "what" in visit.query:
            try:
                answer = await self._gateway.call(
                    visit,
                    "access.explain",
                    principal=given["principal"],
                    network=given["network"],
                    **_asked(given["what"]),
                )
            except HerodError as refused:
                error = refused
        runtime = self._gateway.pipeline.runtime
        hint = None if answer is None else answer.hint
        return await render(
            "explain.html",
            visit,
            status=HTTPStatus.OK if error is None else row_of(error).http,
            answer=answer,
            why=None if answer is None or answer.reason is None else REASONS.get(answer.reason),
            command_text=hint if hint and hint.startswith(COMMAND) else None,
            given=given,
            what=given["what"].partition(":")[2],
            error=error,
            is_admin=is_admin,
            operations=sorted(self._gateway.pipeline.process.operations),
            scopes=runtime.config.graph.scopes,
            networks=sorted(runtime.config.networks - {"*"}),
        )
