"""Learns what an app's document says, for a person who has signed in and is about to decide about the app.

Must never fetch anything for a stranger, an app or a program: whoever may write a client id chooses where herod
connects.
"""

from herod.credentials.apps.redirect_uris import asked_redirect
from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp, find_app
from herod.identity.client_documents import parse_client_url
from herod.identity.people.persons import is_person
from herod.identity.runtime_state import Runtime
from herod.pipeline.client_documents.document_parser import parse_document
from herod.pipeline.operation_definition import Context
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest

__all__ = ["is_out_of_date", "lacks_grant", "learn_app", "may_say_more"]


async def learn_app(
    reader: Reader, context: Context, client_id: str, redirect_uri: str | None, *, grant: str | None = None
) -> OAuthApp | None:
    """The app with this client id, whose document is fetched if herod does not have one that will do.

    Args:
        reader: the store.
        context: its principal is the person who is asked.
        client_id: as the app sent it.
        redirect_uri: the redirect that the app asks for: a copy of the document that lacks it is out of date.
        grant: a grant type that needs no redirect, which the document must have instead.

    Returns:
        None if there is no such app.

    Raises:
        InvalidClientMetadata: its document cannot be fetched or used.
        RateLimited: too many were fetched for this person.
        RuntimeError: the principal is not a person who signed in; a fault of the caller's.
    """
    runtime = context.runtime
    app = find_app(reader, runtime, client_id)
    if app is None or not (
        is_out_of_date(runtime, app, redirect_uri) if grant is None else lacks_grant(runtime, app, grant)
    ):
        return app
    if not is_person(context.principal):
        raise RuntimeError("only a person who has signed in lets herod fetch a document")
    url = parse_client_url(client_id, runtime.config.own_origins)
    assert url is not None  # noqa: S101 - `find_app` has read it
    context.process.fetches.count(context.principal.id, context.now)
    fetched = await context.process.documents.fetch(url)
    document = parse_document(url, fetched.body, own_origins=runtime.config.own_origins, now=context.now)
    runtime.client_documents.keep(client_id, document, context.now + fetched.seconds)
    runtime.counters["documents_fetched"] += 1
    return find_app(reader, runtime, client_id)


def is_out_of_date(runtime: Runtime, app: OAuthApp, redirect_uri: str | None) -> bool:
    """Whether only its document, which herod may fetch, can say whether the app has this redirect."""
    if not may_say_more(runtime, app):
        return False
    try:
        asked_redirect(app.redirect_uris, redirect_uri, ())
    except InvalidRequest:
        return True
    return False


def lacks_grant(runtime: Runtime, app: OAuthApp, grant: str) -> bool:
    """Whether only its document, which herod may fetch, can say whether the app has this grant type."""
    return grant not in app.grants and may_say_more(runtime, app)


def may_say_more(runtime: Runtime, app: OAuthApp) -> bool:
    """Whether an app has a document that herod may fetch and has not fetched."""
    is_fetched = app.document_age is not None and not app.is_shipped
    return app.origin is AppOrigin.DOCUMENT and not is_fetched and runtime.config.fetches_documents
