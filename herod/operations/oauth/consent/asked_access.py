"""What an app asks for, however it asks: at `/authorize`, or with a device code. Read anew at every step."""

from dataclasses import dataclass

from herod.identity.apps.app_resources import app_resource
from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.apps.openid_scopes import OPENID, OPENID_SCOPES, openid_scopes_of
from herod.identity.runtime_state import Runtime
from herod_client.core.errors import InvalidRequest, InvalidScope
from herod_client.core.scope_graph import READ, canonical_scope, split_scope

__all__ = ["AskedAccess", "read_access"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAccess:
    """What an app may ask a person for.

    Attributes:
        resource: what the tokens are for, in canonical form; None for `/userinfo` alone.
        scope: the scopes of herod's that it asks for, in herod's names.
        openid: those of OpenID Connect.
        unknown: how many more it asks for that herod does not know.
    """

    app: OAuthApp
    resource: str | None
    scope: tuple[str, ...]
    openid: tuple[str, ...]
    unknown: int


def read_access(runtime: Runtime, app: OAuthApp, scope: str, resource: str | None) -> AskedAccess:
    """What the app asks for, as its request says it.

    Args:
        runtime: has the scopes and resources there are now.
        app: who asks.
        scope: separated by spaces; empty for what an app gets that names none.
        resource: None if it names none.

    Raises:
        InvalidTarget: apps get no tokens for the resource.
        InvalidScope: it cannot be read.
    """
    target = None if resource is None else app_resource(runtime.config, resource)
    try:
        names = split_scope(scope)
    except InvalidRequest as error:
        raise InvalidScope(error.message) from None
    openid = openid_scopes_of(names)
    if target is None and OPENID not in openid:
        openid = (OPENID, *openid)  # such a token is good at `/userinfo` alone, and tells at least who it is
    graph = runtime.config.graph
    own = tuple(canonical_scope(name for name in names if graph.bit(name) and name not in OPENID_SCOPES).split())
    if not names and target is not None:
        own = (READ,) if app.scope is None else app.scope
    return AskedAccess(
        app=app,
        resource=target,
        scope=own if target is not None else (),
        openid=openid if OPENID in openid else (),
        unknown=len({name for name in names if not graph.bit(name) and name not in OPENID_SCOPES}),
    )
