"""What the pages of accounts show of the apps that act for them."""

from typing import NamedTuple

from herod.dashboard.apps.app_names import shown_name
from herod.dashboard.apps.scope_words import words_of
from herod.dashboard.pipeline_gateway import Gateway, Visit
from herod.operations.delegations import ConnectedApp

__all__ = ["ConnectedAppView", "connected_apps"]


class ConnectedAppView(NamedTuple):
    """A connected app, its name as it can be shown, and what it may do: the scope's name and words for it."""

    app: ConnectedApp
    name: str
    abilities: list[tuple[str, str]]


async def connected_apps(gateway: Gateway, visit: Visit, account: str) -> list[ConnectedAppView]:
    """The apps that act for an account, the visitor's own or for admins any."""
    whose = {} if account == visit.who.sub else {"account": account}
    page = await gateway.call(visit, "delegations.list", **whose)
    return [
        ConnectedAppView(app, shown_name(app.app_name), [(name, words_of(name)[0]) for name in app.scope.split()])
        for app in page.items
    ]
