"""How an app's tokens are written for whoever verifies them: herod, with the plain key, or somebody else."""

from herod.identity.apps.oauth_apps import OAuthApp
from herod.identity.apps.openid_scopes import openid_scopes_of
from herod.identity.own_resources import own_resource
from herod.identity.runtime_state import Runtime
from herod.pipeline.app_signing_keys import key_for_apps, public_algorithm
from herod.pipeline.operation_definition import Context
from herod.store.store_interface import Writer
from herod_client.core.signing_keys import SigningKey

__all__ = ["access_token_key", "access_token_scope"]


def access_token_key(tx: Writer, context: Context, app: OAuthApp, audience: str) -> SigningKey:
    """The key for an app's access token.

    Args:
        tx: stores a key for apps, if there is none of the app's algorithm yet.
        context: of the operation that issues the token.
        app: whose token it is.
        audience: its `aud`: a resource, or the app's client_id for a token that only herod reads, at `/userinfo`.
    """
    if _is_for_herod(context.runtime, app, audience):
        return context.runtime.signing.current
    return key_for_apps(tx, context, public_algorithm(app.id_token_algorithm))


def access_token_scope(runtime: Runtime, app: OAuthApp, audience: str, scope: str) -> str:
    """The `scope` claim of an app's access token: as granted or, for others if the app is set so, with all it includes.

    Args:
        runtime: has the scope graph.
        app: whose token it is.
        audience: as above.
        scope: as granted, OpenID Connect's scopes included.
    """
    if not app.expands_scope or _is_for_herod(runtime, app, audience):
        return scope
    graph, names = runtime.config.graph, tuple(scope.split())
    held = graph.mask(names)
    return " ".join([*openid_scopes_of(names), *(name for name in graph.scopes if graph.bit(name) & held)])


def _is_for_herod(runtime: Runtime, app: OAuthApp, audience: str) -> bool:
    return audience == app.id or own_resource(runtime.config, audience) is not None
