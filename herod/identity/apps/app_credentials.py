"""Authenticates apps: by their secret, or, for those that have none, by their client id alone (RFC 6749, section 2.3).

An app holds nothing: its principal has no scope, and only operations that say so (`takes_apps`) admit it at all.
"""

from typing import Final

from herod.credentials.apps.dynamic_client_ids import client_id_prefix, dynamic_secret, looks_dynamic
from herod.credentials.keyring import Keyring
from herod.credentials.secret_hashes import hash_secret, matches
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp, find_app
from herod.identity.runtime_state import Runtime
from herod.identity.stored_secrets import is_stored_secret
from herod.records import App
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.errors import BadCredentials
from herod_client.core.grants import NOTHING

__all__ = ["APP_SECRET", "app_principal", "app_with_secret", "hash_app_secret", "public_app"]

APP_SECRET: Final = "app_secret"  # noqa: S105 - the label of hashes
UNKNOWN: Final = "Unknown client_id: register the app, or register it again."


def app_principal(app: OAuthApp) -> Principal:
    """The principal of an app that has authenticated."""
    return Principal(
        id=app.id,
        kind=PrincipalKind.APP,
        name=app.name,
        method=AuthMethod.APP,
        grants=(NOTHING,),
        credential=app.id if app.origin is AppOrigin.REGISTERED else client_id_prefix(app.id),
        made_with=AuthMethod.APP,
    )


def public_app(reader: Reader, runtime: Runtime, client_id: str) -> Principal:
    """The principal of a public app that sent its client id.

    Raises:
        BadCredentials: there is no such app, or it has a secret and must send it.
    """
    app = find_app(reader, runtime, client_id)
    if app is None:
        raise BadCredentials(UNKNOWN, reason="unknown_app")
    if not app.is_public:
        raise BadCredentials("This app has a client secret: send it.", reason="app_secret_missing")
    return app_principal(app)


def app_with_secret(reader: Reader, runtime: Runtime, client_id: str, secret: str) -> Principal | None:
    """The principal of an app that sent its client id and a secret; None if nothing says that this is an app's id.

    An empty secret is none (RFC 6749, section 2.3.1).

    Raises:
        BadCredentials: the secret is wrong, the app has none, or there is no such app.
    """
    app = find_app(reader, runtime, client_id)
    if app is None:
        if looks_dynamic(client_id):
            raise BadCredentials(UNKNOWN, reason="unknown_app")
        return None
    if not secret:
        return public_app(reader, runtime, client_id)
    if app.is_public:
        raise BadCredentials(
            "This app has no client secret: send client_id alone, in the form.", reason="app_has_no_secret"
        )
    if not _is_secret(reader, runtime, app, secret):
        raise BadCredentials("Wrong client secret: check it, or register the app again.", reason="wrong_secret")
    return app_principal(app)


def hash_app_secret(keyring: Keyring, client_id: str, secret: str) -> bytes:
    """The hash of a registered app's secret, as its record keeps it."""
    return hash_secret(keyring, APP_SECRET, client_id, secret)


def _is_secret(reader: Reader, runtime: Runtime, app: OAuthApp, secret: str) -> bool:
    match app.origin:
        case AppOrigin.DYNAMIC:
            own = dynamic_secret(runtime.keyring, app.id).encode()
            return matches(own, secret.encode("utf-8", "surrogatepass"))
        case AppOrigin.REGISTERED:
            record = reader.get(App, app.id)
            stored = None if record is None else record.secret_hash
            if stored is None:
                return False
            computed = hash_app_secret(runtime.keyring, app.id, secret)
            return is_stored_secret(reader, runtime, APP_SECRET, app.id, stored=stored, computed=computed, text=secret)
        case AppOrigin.DOCUMENT:
            return False
