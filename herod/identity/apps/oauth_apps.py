"""OAuth apps: clients that are not accounts, and act only for a person who agreed (RFC 6749, section 1.1).

An app becomes known in one of three ways: an admin registers it, it registers itself (RFC 7591), or its client id is
the URL of a document that describes it (draft-ietf-oauth-client-id-metadata-document). Whichever it is, `find_app`
gives the same `OAuthApp`.
"""

from enum import StrEnum
from typing import Final

import msgspec

from herod.credentials.apps.dynamic_client_ids import DynamicApp, looks_dynamic, open_client_id
from herod.identity.apps.grant_types import AUTHORIZATION_CODE, REFRESH_TOKEN
from herod.identity.apps.registered_apps import registered_app
from herod.identity.client_documents import parse_client_url, shipped_document
from herod.identity.runtime_state import Runtime
from herod.records import Account, App
from herod.store.store_interface import Reader

__all__ = ["NO_SECRET", "UNNAMED", "AppOrigin", "OAuthApp", "find_app"]

NO_SECRET: Final = "none"  # noqa: S105 - a `token_endpoint_auth_method` (RFC 7591, section 2)
DOCUMENT_PREFIX: Final = "https://"
UNNAMED: Final = "An app without a name"


class AppOrigin(StrEnum):
    """How herod came to know an app, and so who vouches for its name."""

    REGISTERED = "registered"
    DYNAMIC = "dynamic"
    DOCUMENT = "document"


class OAuthApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app, however it became known.

    Attributes:
        id: its client_id: of a dynamic app up to 1 KiB, of one with a document its URL.
        name: in normal form. Only an admin vouches for it, or the host that serves the document.
        redirect_uris: as registered (`credentials/apps/redirect_uris.py`).
        grants: the grant types that it may use (RFC 7591, section 2).
        auth_method: `none` for a public app, else `client_secret_basic` or `client_secret_post`; both are taken.
        scope: the most it may be given; None: what the person ticks.
        networks: the most networks that it may be given.
        needs_pkce: it must send a `code_challenge` (RFC 7636).
        needs_nonce: without a `code_challenge` it must send a `nonce`.
        post_logout_uris: where it may send a browser after signing out.
        id_token_algorithm: signs its id_tokens.
        remembers_consent: a person is not asked twice for the same.
        admits_unconfirmed: accounts that no admin made or confirmed may sign in to it.
        sends_unconfirmed_email: it is told the email of such accounts.
        expands_scope: its tokens for resources other than herod name every scope that theirs include.
        document_age: Unix seconds at which herod's copy of its document was made; None if it has none. An app by URL
            without a copy has no redirect: herod has to fetch the document before a person can be asked.
        is_shipped: the copy came with herod.
    """

    id: str
    name: str
    origin: AppOrigin
    redirect_uris: tuple[str, ...]
    grants: tuple[str, ...] = (AUTHORIZATION_CODE, REFRESH_TOKEN)
    auth_method: str = NO_SECRET
    scope: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ("*",)
    needs_pkce: bool = True
    needs_nonce: bool = True
    post_logout_uris: tuple[str, ...] = ()
    id_token_algorithm: str = "RS256"  # noqa: S105 - an algorithm's name
    remembers_consent: bool = False
    admits_unconfirmed: bool = True
    sends_unconfirmed_email: bool = False
    expands_scope: bool = False
    document_age: int | None = None
    is_shipped: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it has no secret."""
        return self.auth_method == NO_SECRET

    def admits(self, account: Account) -> bool:
        """Whether the account may sign in to it."""
        return self.admits_unconfirmed or account.is_confirmed


def find_app(reader: Reader, runtime: Runtime, client_id: str) -> OAuthApp | None:
    """The app with this client id; None if there is none, or apps of its kind are off."""
    if looks_dynamic(client_id):
        app = open_client_id(runtime.keyring, client_id) if runtime.config.takes_dynamic_apps else None
        return None if app is None else _dynamic(client_id, app)
    if client_id.startswith(DOCUMENT_PREFIX):
        return _described(runtime, client_id)
    registered = registered_app(reader, runtime, client_id)
    return None if registered is None else _registered(registered)


def _described(runtime: Runtime, url: str) -> OAuthApp | None:
    """The app of a document, as far as it is known: another daemon, or this one before a restart, may know more."""
    config = runtime.config
    fetched = runtime.client_documents.get(url) if config.fetches_documents else None
    document = fetched or shipped_document(url)
    if document is None:
        parsed = parse_client_url(url, config.own_origins) if config.fetches_documents else None
        if parsed is None:
            return None
        return OAuthApp(id=url, name=parsed.host, origin=AppOrigin.DOCUMENT, redirect_uris=())
    return OAuthApp(
        id=url,
        name=document.name,
        origin=AppOrigin.DOCUMENT,
        redirect_uris=document.redirect_uris,
        grants=document.grants,
        document_age=document.at,
        is_shipped=fetched is None,
    )


def _registered(app: App) -> OAuthApp:
    return OAuthApp(
        id=app.id,
        name=app.name,
        origin=AppOrigin.REGISTERED,
        redirect_uris=app.redirect_uris,
        grants=app.grants,
        auth_method="client_secret_basic" if app.is_confidential else NO_SECRET,
        scope=app.scope,
        networks=app.networks,
        needs_pkce=app.needs_pkce,
        needs_nonce=app.needs_nonce,
        post_logout_uris=app.post_logout_uris,
        id_token_algorithm=app.id_token_algorithm,
        remembers_consent=app.remembers_consent,
        admits_unconfirmed=app.admits_unconfirmed,
        sends_unconfirmed_email=app.sends_unconfirmed_email,
        expands_scope=app.expands_scope,
    )


def _dynamic(client_id: str, app: DynamicApp) -> OAuthApp:
    return OAuthApp(
        id=client_id,
        name=app.name or UNNAMED,
        origin=AppOrigin.DYNAMIC,
        redirect_uris=app.redirect_uris,
        grants=app.grants,
        auth_method=app.auth_method,
    )
