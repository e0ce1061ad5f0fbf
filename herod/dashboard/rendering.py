"""Pages out of templates. What a template shows is escaped by Jinja; nothing here marks anything as safe."""

from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart import render_template, url_for

from herod.dashboard.csrf import TICKET
from herod.dashboard.pipeline_gateway import Visit

__all__ = ["SAID", "render", "say", "see_other"]

# What a page says after a change, by the word in its address: nothing from an address is ever shown itself.
SAID: Final = {
    "key-changed": "The key is changed.",
    "key-enabled": "The key is on.",
    "key-disabled": "The key is off: its next use is refused.",
    "key-deleted": "The key is gone: its next use is refused.",
    "user-changed": "The user is changed.",
    "user-scope": "The scope is set: their keys, sessions and tokens shrink with their next use.",
    "user-enabled": "The user is on.",
    "user-disabled": "The user is off: their tokens and sign-ins are over.",
    "user-password": "The password is set: their tokens and sign-ins are over.",
    "user-deleted": "The user is gone, with their keys, tokens and sign-ins.",
    "user-deleted-makes": "The user is gone. Service keys that they made live on: look through the keys.",
    "peer-allowed": "The rule holds from now on.",
    "session-ended": "That browser is signed out.",
    "peer-removed": "The rule is gone: its next use is refused.",
    "resource-released": "The resource is released.",
}


async def render(template: str, visit: Visit | None = None, *, status: int = HTTPStatus.OK, **values: Any) -> Page:
    """A page.

    Args:
        template: its file.
        visit: who sees it; None for pages that anybody may see.
        status: of the answer.
        values: what the template shows besides.
    """

    def link(endpoint: str, **arguments: Any) -> str:
        """The address of a page for this visitor, with the ticket that makes it theirs."""
        given: dict[str, Any] = {name: value for name, value in arguments.items() if value not in (None, "")}
        if visit is not None:
            given[TICKET] = visit.ticket
        return url_for(endpoint, **given)

    menu = [] if visit is None else [(entry, link(entry.endpoint)) for entry in visit.menu]
    said = None if visit is None else SAID.get(visit.query.get("said", ""))
    html = await render_template(template, visit=visit, link=link, menu=menu, said=said, **values)
    return Page(html, status, content_type="text/html; charset=utf-8")


def see_other(location: str) -> Page:
    """Lead a browser on by GET, so that going back or reloading sends no form twice."""
    return Page("", HTTPStatus.SEE_OTHER, {"Location": location})


def say(visit: Visit, word: str, endpoint: str, **arguments: Any) -> Page:
    """Lead a visitor on to a page that says what was done; `word` stands in `SAID`."""
    given: dict[str, Any] = {**arguments, "said": word, TICKET: visit.ticket}
    return see_other(url_for(endpoint, **given))
