"""Which key signs an app's tokens: herod's own verify with the plain key, those for others with a key for apps."""

from herod.identity.oauth_apps import OAuthApp
from herod.identity.own_resources import own_resource
from herod.pipeline.app_signing_keys import key_for_apps, public_algorithm
from herod.pipeline.operation_definition import Context
from herod.store.store_interface import Writer
from herod_client.core.signing_keys import SigningKey

__all__ = ["access_token_key"]


def access_token_key(tx: Writer, context: Context, app: OAuthApp, audience: str) -> SigningKey:
    """The key for an app's access token.

    Args:
        tx: stores a key for apps, if there is none of the app's algorithm yet.
        context: of the operation that issues the token.
        app: whose token it is.
        audience: its `aud`: a resource, or the app's client_id for a token that only herod reads, at `/userinfo`.
    """
    if audience == app.id or own_resource(context.runtime.config, audience) is not None:
        return context.runtime.signing.current
    return key_for_apps(tx, context, public_algorithm(app.id_token_algorithm))
