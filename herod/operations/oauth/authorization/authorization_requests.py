"""What an app asks for at `/authorize`: sealed while a browser carries it, and checked against the app at every step.

A browser carries the request from `/authorize` through sign-in to the consent page and back, for ten minutes. The app
may be gone meanwhile, or may have lost the redirect, so each step reads it anew. Nothing is kept.

Two kinds of fault: about the app or its redirect, then nobody is redirected and the person is told; about anything
else, then the app is told through its redirect (RFC 6749, section 4.1.2.1).
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

import msgspec

from herod.credentials.apps.redirect_uris import RedirectUri, asked_redirect
from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.identity.apps.grant_types import AUTHORIZATION_CODE
from herod.identity.apps.oauth_apps import OAuthApp, find_app
from herod.identity.runtime_state import Runtime
from herod.operations.oauth.authorization.authorization_answers import RefusedRequest, answer_app
from herod.operations.oauth.authorization.authorization_parameters import (
    NO_GRANT,
    PROMPTS,
    Authorize,
    proof_fault,
)
from herod.operations.oauth.consent.asked_access import AskedAccess, read_access
from herod.pipeline.client_documents.learning_apps import is_out_of_date
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest, InvalidScope, InvalidTarget

__all__ = [
    "EXAMPLE_REQUEST",
    "MAX_REQUEST_CHARS",
    "REQUEST_SECONDS",
    "AuthorizationRequest",
    "SealedRequest",
    "find_client",
    "open_request",
    "read_request",
    "seal_request",
    "sealed_request",
]

EXAMPLE_REQUEST: Final = "AY3f0aGUgc2VhbGVk"
REQUEST_SECONDS: Final = 600
MAX_REQUEST_CHARS: Final = 4096
_LABEL: Final = b"herod authorization request v1"


class SealedRequest(msgspec.Struct, frozen=True, array_like=True):
    """What the browser carries; fields may be added at the end, with a default.

    Attributes:
        at: when `/authorize` was asked, in Unix seconds.
        redirect_uri: as the app sent it; None if it left it out.
        challenge: PKCE's, always S256; None if the app sent none.
    """

    at: int
    client_id: str
    redirect_uri: str | None = None
    state: str | None = None
    scope: str | None = None
    resource: str | None = None
    challenge: str | None = None
    nonce: str | None = None
    prompt: str | None = None
    max_age: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest(AskedAccess):
    """A request that may be shown to a person, as far as the app is concerned.

    Attributes:
        sealed: what the app sent.
        prompt: those of `PROMPTS` that it asks for.
        max_age: how long ago the person may have signed in, in seconds; None: any time.
    """

    sealed: SealedRequest
    redirect: RedirectUri
    prompt: frozenset[str]
    max_age: int | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(SealedRequest).decode


def sealed_request(asked: Authorize, now: int) -> SealedRequest:
    """What the browser carries of a request whose parameters have no fault."""
    return SealedRequest(
        at=now,
        client_id=asked.client_id or "",
        redirect_uri=asked.redirect_uri,
        state=asked.state,
        scope=asked.scope,
        resource=asked.resource,
        challenge=asked.code_challenge,
        nonce=asked.nonce,
        prompt=asked.prompt,
        max_age=asked.max_age,
    )


def seal_request(keyring: Keyring, request: SealedRequest) -> str | None:
    """Seal a request; None if it would be longer than `MAX_REQUEST_CHARS`."""
    envelope = seal(keyring.key(Purpose.AUTHORIZATION_REQUESTS), _encode(request), _LABEL)
    text = base64.urlsafe_b64encode(envelope).decode().rstrip("=")
    return text if len(text) <= MAX_REQUEST_CHARS else None


def open_request(keyring: Keyring, text: str, now: int) -> SealedRequest:
    """Open a sealed request.

    Raises:
        InvalidRequest: herod did not seal it, or too long ago.
    """
    try:
        envelope = base64.b64decode(text[:MAX_REQUEST_CHARS] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        request = _decode(unseal(keyring.key(Purpose.AUTHORIZATION_REQUESTS), envelope, _LABEL))
    except (SealBroken, binascii.Error, ValueError):
        raise InvalidRequest(
            "This is not a request that an app made here: go back to the app and connect again.", reason="request"
        ) from None
    if not request.at <= now < request.at + REQUEST_SECONDS:
        raise InvalidRequest(
            f"The app asked more than {REQUEST_SECONDS // 60} minutes ago: go back to it and connect again.",
            reason="request_expired",
        )
    return request


def find_client(
    reader: Reader, runtime: Runtime, client_id: str | None, redirect_uri: str | None
) -> tuple[OAuthApp, RedirectUri | None]:
    """The app that asks, and where its answer goes; None if only its document can say, which herod does not have yet.

    Raises:
        InvalidRequest: there is no such app, or it did not register that redirect. Tell the person; redirect nobody.
    """
    if not client_id:
        raise InvalidRequest("The app did not say which app it is: the parameter 'client_id' is missing.")
    app = find_app(reader, runtime, client_id)
    if app is None:
        raise InvalidRequest(
            "Herod does not know the app that sent you here. It may have registered with another herod, or before this "
            "one was set up anew: remove the server in the app, add it again, and connect.",
            reason="unknown_app",
        )
    if is_out_of_date(runtime, app, redirect_uri):
        return app, None
    return app, asked_redirect(app.redirect_uris, redirect_uri, runtime.config.own_origins)


def read_request(reader: Reader, runtime: Runtime, sealed: SealedRequest) -> AuthorizationRequest:
    """The request as its app may make it now.

    Raises:
        InvalidRequest: about the app or its redirect.
        RefusedRequest: about anything else.
    """
    app, redirect = find_client(reader, runtime, sealed.client_id, sealed.redirect_uri)
    if redirect is None:
        raise InvalidRequest(
            "Herod does not know the app any more that sent you here: connect again.", reason="unknown_app"
        )

    def refused(error: str, description: str) -> RefusedRequest:
        return RefusedRequest(
            answer_app(runtime, app, redirect, state=sealed.state, error=error, description=description)
        )

    if AUTHORIZATION_CODE not in app.grants:
        raise refused("unauthorized_client", NO_GRANT)
    if fault := proof_fault(app, sealed.challenge, sealed.nonce):  # an admin may have asked for PKCE since
        raise refused(*fault)
    try:
        access = read_access(runtime, app, sealed.scope or "", sealed.resource)
    except InvalidTarget as error:
        raise refused("invalid_target", error.message) from None
    except InvalidScope as error:
        raise refused("invalid_scope", error.message) from None
    return AuthorizationRequest(
        app=app,
        resource=access.resource,
        scope=access.scope,
        openid=access.openid,
        unknown=access.unknown,
        sealed=sealed,
        redirect=redirect,
        prompt=frozenset((sealed.prompt or "").split()) & PROMPTS,
        max_age=None if sealed.max_age is None else int(sealed.max_age),
    )
