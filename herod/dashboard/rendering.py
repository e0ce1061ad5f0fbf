"""Rendering pages from templates. Jinja escapes what a template shows; nothing here marks anything as safe."""

from http import HTTPStatus
from typing import Any, Final

from quart import Response as Page
from quart import render_template, url_for
from quart_trio import QuartTrio

from herod.dashboard.csrf import TICKET
from herod.dashboard.page_security import as_entry
from herod.dashboard.pipeline_gateway import Visit

__all__ = ["SAID", "compile_templates", "render", "say", "see_other"]

# The notices after a change, by the word in the URL: nothing from a URL is ever shown itself.
SAID: Final = {
    "key-changed": "The key was changed.",
    "key-enabled": "The key is enabled.",
    "key-disabled": "The key is disabled: its next use is refused.",
    "key-deleted": "The key was deleted: its next use is refused.",
    "user-changed": "The user was changed.",
    "user-scope": "The scope is set: their keys, sessions and tokens are narrowed at their next use.",
    "user-confirmed": "The user is confirmed: apps take their email as verified.",
    "user-unconfirmed": "The user is not confirmed any more.",
    "user-enabled": "The user is enabled.",
    "user-disabled": "The user is disabled: their tokens and sign-ins have ended.",
    "user-signed-out": "All of their browsers are signed out.",
    "user-password": "The password is set: their tokens and sign-ins have ended.",
    "user-deleted": "The user was deleted, with their keys, tokens and sign-ins.",
    "user-deleted-makes": "The user was deleted. Service keys and peer rules they created still work: review both.",
    "app-changed": "The app was changed.",
    "app-enabled": "The app is enabled: what people gave it is valid again.",
    "app-disabled": "The app is disabled: its secret and tokens are refused.",
    "app-deleted": "The app was deleted: its tokens are refused, and nobody can sign in to it any more.",
    "passkey-added": "The passkey is enrolled.",
    "passkey-renamed": "The passkey has its new name.",
    "passkey-deleted": "The passkey was deleted: it signs nobody in any more.",
    "app-added": "The authenticator app is set up.",
    "app-removed": "The authenticator app is removed.",
    "user-factors": "Their passkeys, app and recovery codes are removed, and their browsers signed out.",
    "app-disconnected": "The app is disconnected: its access has ended.",
    "peer-allowed": "The rule is in force.",
    "session-ended": "That browser is signed out.",
    "sessions-ended": "All other browsers are signed out.",
    "peer-removed": "The rule was removed: its next use is refused.",
    "resource-released": "The resource is released.",
    "approval-approved": "Approved: the app may now do it, once.",
    "approval-declined": "Declined: the app is told so.",
}


def compile_templates(app: QuartTrio) -> None:
    """Compile every template now: each takes up to 50 ms, which must not hold up the requests of others later."""
    for name in app.jinja_env.list_templates(extensions=["html"]):
        app.jinja_env.get_template(name)


async def render(
    template: str, visit: Visit | None = None, *, status: int = HTTPStatus.OK, is_entry: bool = True, **values: Any
) -> Page:
    """A page.

    Args:
        template: its file.
        visit: the visitor; None for pages that need no sign-in.
        status: of the answer.
        is_entry: a page without a visitor is never shown in a frame, and its window is cut off from earlier ones.
        values: further values for the template.
    """

    def link(endpoint: str, **arguments: Any) -> str:
        """The URL of a page for this visitor, with their ticket."""
        given: dict[str, Any] = {name: value for name, value in arguments.items() if value not in (None, "")}
        if visit is not None:
            given[TICKET] = visit.ticket
        return url_for(endpoint, **given)

    menu = [] if visit is None else [(entry, link(entry.endpoint)) for entry in visit.menu]
    said = None if visit is None else SAID.get(visit.query.get("said", ""))
    resume = "" if visit is None else visit.resume
    html = await render_template(template, visit=visit, link=link, menu=menu, said=said, resume=resume, **values)
    page = Page(html, status, content_type="text/html; charset=utf-8")
    return as_entry(page) if visit is None and is_entry else page


def see_other(location: str) -> Page:
    """Redirect a browser to GET, so that going back or reloading does not send a form twice."""
    return Page("", HTTPStatus.SEE_OTHER, {"Location": location})


def say(visit: Visit, word: str, endpoint: str, **arguments: Any) -> Page:
    """Redirect a visitor to a page that says what was done; `word` is a key of `SAID`."""
    given: dict[str, Any] = {**arguments, "said": word, TICKET: visit.ticket}
    return see_other(url_for(endpoint, **given))
