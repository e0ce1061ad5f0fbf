"""What an app may be registered with: checked when it is added and at each change, on the record as it would be kept.

An admin learns of a mistake here, in words, instead of somebody at the first sign-in. Must never let in what nobody may
consent to: `owner`, or a redirect to herod itself.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from herod.credentials.apps.redirect_uris import (
    RedirectKind,
    RedirectUri,
    parse_redirect_uri,
    refuse_own_origin,
)
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, DEVICE_CODE
from herod.identity.apps.openid_scopes import OPENID_SCOPES
from herod.identity.apps.registered_apps import built_in_apps
from herod.identity.runtime_state import Runtime
from herod.records import App
from herod.store.store_interface import Reader
from herod_client.core.errors import Conflict, InvalidRequest
from herod_client.core.scope_graph import OWNER, ScopeGraph

__all__ = [
    "MAX_ADDRESSES",
    "app_scope",
    "can_remember_consent",
    "check_app",
    "check_name",
    "parse_addresses",
    "warning_about",
]

MAX_ADDRESSES: Final = 16  # redirect URIs of an app, and as many post-logout URIs
SHOWN: Final = 64  # characters of a URI in a message
# What is meant for `https://HOST:PORT/…` and has no scheme.
HOST_AND_PORT: Final = re.compile(r"[^:/?]+:[0-9]{1,5}(?:[/?]|\Z)")


def parse_addresses(texts: Sequence[str], own_origins: Collection[str], what: str) -> tuple[str, ...]:
    """Redirect or post-logout URIs, each once.

    Args:
        texts: as given.
        own_origins: those that lead to herod.
        what: `redirect` or `post-logout`.

    Raises:
        InvalidRequest: there are too many, or one is not acceptable.
    """
    if len(texts) > MAX_ADDRESSES:
        raise InvalidRequest(f"An app has at most {MAX_ADDRESSES} {what} URIs.")
    texts = [text.strip() for text in texts]
    for text in texts:
        try:
            parsed = parse_redirect_uri(text)
            refuse_own_origin(parsed, own_origins)
            _check_scheme(parsed)
        except InvalidRequest as error:
            shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
            why = error.message[:1].lower() + error.message[1:]
            raise InvalidRequest(f"Invalid {what} URI {shown!r}: {why}") from None
    return tuple(dict.fromkeys(texts))


def _check_scheme(redirect: RedirectUri) -> None:
    """Refuse a private-use scheme that is a host in truth, or that any app could have (RFC 8252, section 7.1).

    Raises:
        InvalidRequest: it is.
    """
    if not redirect.is_private_use:
        return
    if HOST_AND_PORT.match(redirect.text):
        raise InvalidRequest("Write https:// or http:// before the host.")
    if "." not in redirect.scheme and not redirect.target.startswith("//"):
        raise InvalidRequest(
            "An app's own scheme is a domain in reverse order, with a dot, such as org.example.app:/callback."
        )


def app_scope(graph: ScopeGraph, text: str) -> tuple[str, ...]:
    """The most scope that an app may be given.

    Raises:
        InvalidRequest: it is empty or unknown, or has scopes that every app may ask for.
    """
    if asked := [name for name in OPENID_SCOPES if name in text.split()]:
        raise InvalidRequest(
            f"The scope {asked[0]!r} says what an app may learn about people, and every app may ask for it: leave it "
            "out here."
        )
    return graph.parse(text)


def check_app(graph: ScopeGraph, app: App) -> None:
    """Refuse what does not go together.

    Raises:
        InvalidRequest: says what to change.
    """
    if graph.mask(app.scope) & graph.bit(OWNER):
        raise InvalidRequest("No app is ever given the scope 'owner': give it at most 'admin'.")
    has_code = AUTHORIZATION_CODE in app.grants
    if not has_code and DEVICE_CODE not in app.grants:
        raise InvalidRequest(f"An app needs the grant {AUTHORIZATION_CODE!r} or {DEVICE_CODE!r}: nobody could sign in.")
    if has_code and not app.redirect_uris:
        raise InvalidRequest(
            f"An app with the grant {AUTHORIZATION_CODE!r} needs a redirect URI, to which people return from herod: "
            "its documentation names it, often as callback URL."
        )
    if not app.needs_pkce and not app.is_confidential:
        raise InvalidRequest("Only a confidential app can do without PKCE: leave 'pkce' at required.")
    if app.remembers_consent and not can_remember_consent(app):
        raise InvalidRequest(
            "Consent cannot be remembered for a public app on people's own machines: any program there can say that it "
            "is this app (RFC 8252, section 8.6). Set 'remember_consent' to false, or make the app confidential."
        )


def check_name(reader: Reader, runtime: Runtime, app: App) -> None:
    """Refuse a name that another app has, whatever its case.

    Raises:
        Conflict: another app has it.
    """
    others = (*built_in_apps(runtime), *reader.find(App, *app.lookup))
    if any(other.id != app.id and other.lookup == app.lookup for other in others):
        raise Conflict("An app with this name exists already: choose another name.", reason="name_in_use")


def can_remember_consent(app: App) -> bool:
    """Whether what it is given reaches the app and nobody else: it has a secret, or people return to its own site."""
    redirects = [parse_redirect_uri(text) for text in app.redirect_uris]
    is_local = DEVICE_CODE in app.grants or any(one.is_loopback or one.is_private_use for one in redirects)
    return app.is_confidential or not is_local


def warning_about(app: App) -> str | None:
    """What an admin should know about how safe signing in to the app is; None if there is nothing."""
    found = []
    if not app.needs_pkce and not app.needs_nonce:
        found.append(
            "The app shows neither by PKCE nor by a nonce that it asked for a code itself: whoever gets hold of "
            "somebody's code within a minute can sign in to the app as them. Prefer pkce required, or optional."
        )
    for one in map(parse_redirect_uri, app.redirect_uris):
        if _is_clear_text(one):
            found.append(
                f"People return to {one.shown_host} over plain http: whoever is on the way there can read along and "
                "sign in as them. Use https."
            )
            break
    return " ".join(found) or None


def _is_clear_text(redirect: RedirectUri) -> bool:
    return redirect.kind is RedirectKind.HTTP and not redirect.is_loopback
