"""The apps that an admin registered, and those that are always there. `oauth_apps.py` has all kinds of apps."""

from typing import Final

from herod.identity.apps.grant_types import GRANT_TYPES
from herod.identity.runtime_state import Runtime
from herod.records import App
from herod.store.store_interface import Reader
from herod_client.core.grants import Grant
from herod_client.core.scope_graph import OWNER

__all__ = ["HEROD_CLI", "app_grant", "built_in_apps", "is_built_in", "registered_app"]

HEROD_CLI: Final = "herod-cli"
"""The client_id of the `herod` command, with which `herod login` signs a person in."""


def built_in_apps(runtime: Runtime) -> tuple[App, ...]:
    """The apps that are always there. They cannot be changed, and an app of an admin cannot have their names."""
    graph = runtime.config.graph
    return (
        App(
            id=HEROD_CLI,
            created_at=0,
            name=HEROD_CLI,
            creator=HEROD_CLI,
            redirect_uris=("http://127.0.0.1/callback", "http://localhost/callback"),
            scope=graph.names(graph.mask((OWNER,)) & ~graph.bit(OWNER)),
            grants=GRANT_TYPES,
            remembers_consent=False,  # any program on the machine can say that it is this one (RFC 8252, section 8.6)
            admits_unconfirmed=True,
        ),
    )


def is_built_in(app: App) -> bool:
    """Whether it is one of `built_in_apps`."""
    return app.id == HEROD_CLI


def registered_app(reader: Reader, runtime: Runtime, client_id: str) -> App | None:
    """The registered or built-in app with this client_id; None if there is none, or it is disabled."""
    if client_id == HEROD_CLI:
        return built_in_apps(runtime)[0]
    app = reader.get(App, client_id)
    return app if app is not None and app.enabled and app.id not in runtime.switched_off else None


def app_grant(runtime: Runtime, app: App) -> Grant:
    """The most that people may give an app."""
    return runtime.grant(app.scope, app.networks)
