"""What an app asks for at `/authorize`: read, checked against the app, and sealed while a browser carries it.

    parameters ──check_parameters──▶ SealedRequest ──read_request──▶ AuthorizationRequest

A browser carries the request from `/authorize` through sign-in to the consent page and back, sealed, for ten minutes.
It is checked against the app again at every step: the app may be gone, or may have lost the redirect. Nothing is kept.

Two kinds of fault: about the app or its redirect, then nobody is redirected and the person is told; about anything
else, then the app is told through its redirect (RFC 6749, section 4.1.2.1).
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.redirect_uris import RedirectKind, RedirectUri, asked_redirect, with_parameters
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.identity.app_resources import app_resource
from herod.identity.oauth_apps import AppOrigin, OAuthApp, find_app
from herod.identity.openid_scopes import OPENID, OPENID_SCOPES, openid_scopes_of
from herod.identity.runtime_state import Runtime
from herod.operations.oauth.code_challenges import is_challenge
from herod.pipeline.operation_definition import Params
from herod.pipeline.result_views import hide_values
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest, InvalidTarget
from herod_client.core.scope_graph import READ, canonical_scope, split_scope

__all__ = [
    "AUTHORIZATION_CODE",
    "EXAMPLE_REQUEST",
    "MAX_REQUEST_CHARS",
    "REQUEST_SECONDS",
    "AuthorizationRequest",
    "Authorize",
    "Redirection",
    "RefusedRequest",
    "SealedRequest",
    "answer_app",
    "check_parameters",
    "find_client",
    "open_request",
    "read_request",
    "seal_request",
]

REQUEST_SECONDS: Final = 600
MAX_REQUEST_CHARS: Final = 4096
EXAMPLE_REQUEST: Final = "AY3f0aGUgc2VhbGVk"
AUTHORIZATION_CODE: Final = "authorization_code"
PROMPTS: Final = frozenset({"none", "login", "consent"})
IGNORED_PROMPTS: Final = frozenset({"select_account", "create"})
_LABEL: Final = b"herod authorization request v1"
_SECONDS: Final = re.compile(r"[0-9]{1,9}\Z")


class Authorize(Params, frozen=True, kw_only=True):
    """RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 8707, section 2; OpenID Connect Core, section 3.1.2.1.

    `repeated` are the names that the request has more than once. Other parameters are ignored.
    """

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    response_mode: str | None = None
    scope: str | None = None
    state: str | None = None
    resource: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    nonce: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    request: str | None = None
    request_uri: str | None = None
    registration: str | None = None
    repeated: tuple[str, ...] = ()


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
class AuthorizationRequest:
    """A request that may be shown to a person, as far as the app is concerned.

    Attributes:
        sealed: what the app sent.
        resource: what the tokens are for, in canonical form; None for `/userinfo` alone.
        scope: the scopes of herod's that it asks for, in herod's names.
        openid: those of OpenID Connect.
        unknown: how many more it asks for that herod does not know.
        prompt: those of `PROMPTS` that it asks for.
        max_age: how long ago the person may have signed in, in seconds; None: any time.
    """

    sealed: SealedRequest
    app: OAuthApp
    redirect: RedirectUri
    resource: str | None
    scope: tuple[str, ...]
    openid: tuple[str, ...]
    unknown: int
    prompt: frozenset[str]
    max_age: int | None


class Redirection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser takes the answer to the app.

    `location` holds what is only for the app. It is followed without a click if `is_automatic`: an error never goes by
    itself to a place on the internet that nobody vouches for (RFC 9700, section 4.11.2). `error` is OAuth's code, empty
    for success; `description` is for people and developers.
    """

    __repr__ = hide_values

    location: str
    host: str
    app: str
    is_automatic: bool
    error: str = ""
    description: str = ""


class RefusedRequest(Exception):
    """A request whose app is told why it is refused; `redirection` takes the error there."""

    def __init__(self, redirection: Redirection) -> None:
        super().__init__(redirection.error)
        self.redirection = redirection


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(SealedRequest).decode


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


def find_client(reader: Reader, runtime: Runtime, asked: Authorize | SealedRequest) -> tuple[OAuthApp, RedirectUri]:
    """The app that asks, and where its answer goes.

    Raises:
        InvalidRequest: there is no such app, or it did not register that redirect. Tell the person; redirect nobody.
    """
    if not asked.client_id:
        raise InvalidRequest("The app did not say which app it is: the parameter 'client_id' is missing.")
    app = find_app(reader, runtime, asked.client_id)
    if app is None:
        raise InvalidRequest(
            "Herod does not know the app that sent you here. It may have registered with another herod, or before this "
            "one was set up anew: remove the server in the app, add it again, and connect.",
            reason="unknown_app",
        )
    return app, asked_redirect(app.redirect_uris, asked.redirect_uri, runtime.config.own_origins)


def check_parameters(reader: Reader, runtime: Runtime, asked: Authorize, now: int) -> SealedRequest:
    """The request with these parameters, checked as far as it needs no scope, resource or person.

    Raises:
        InvalidRequest: about the app or its redirect.
        RefusedRequest: about anything else.
    """
    for name in ("client_id", "redirect_uri"):
        if name in asked.repeated:
            raise InvalidRequest(f"The app sent the parameter {name!r} twice: send it once.")
    app, redirect = find_client(reader, runtime, asked)
    fault = _fault(app, asked)
    if fault is not None:
        state = None if "state" in asked.repeated else asked.state
        raise RefusedRequest(answer_app(runtime, app, redirect, state=state, error=fault[0], description=fault[1]))
    return SealedRequest(
        at=now,
        client_id=app.id,
        redirect_uri=asked.redirect_uri,
        state=asked.state,
        scope=asked.scope,
        resource=asked.resource,
        challenge=asked.code_challenge,
        nonce=asked.nonce,
        prompt=asked.prompt,
        max_age=asked.max_age,
    )


def read_request(reader: Reader, runtime: Runtime, sealed: SealedRequest) -> AuthorizationRequest:
    """The request as its app may make it now.

    Raises:
        InvalidRequest: about the app or its redirect.
        RefusedRequest: about anything else.
    """
    app, redirect = find_client(reader, runtime, sealed)

    def refused(error: str, description: str) -> RefusedRequest:
        return RefusedRequest(
            answer_app(runtime, app, redirect, state=sealed.state, error=error, description=description)
        )

    try:
        resource = None if sealed.resource is None else app_resource(runtime.config, sealed.resource)
    except InvalidTarget as error:
        raise refused("invalid_target", error.message) from None
    try:
        names = split_scope(sealed.scope or "")
    except InvalidRequest as error:
        raise refused("invalid_scope", error.message) from None
    openid = openid_scopes_of(names)
    if resource is None and OPENID not in openid:
        raise refused(
            "invalid_target",
            f"Say what the token is for: send resource={runtime.config.public_url}/mcp, or another resource, or ask "
            "for the scope openid to sign a person in.",
        )
    graph = runtime.config.graph
    own = tuple(canonical_scope(name for name in names if graph.bit(name) and name not in OPENID_SCOPES).split())
    if not names and resource is not None:
        own = (READ,) if app.scope is None else app.scope
    return AuthorizationRequest(
        sealed=sealed,
        app=app,
        redirect=redirect,
        resource=resource,
        scope=own if resource is not None else (),
        openid=openid if OPENID in openid else (),
        unknown=len({name for name in names if not graph.bit(name) and name not in OPENID_SCOPES}),
        prompt=frozenset((sealed.prompt or "").split()) & PROMPTS,
        max_age=None if sealed.max_age is None else int(sealed.max_age),
    )


def answer_app(
    runtime: Runtime,
    app: OAuthApp,
    redirect: RedirectUri,
    *,
    state: str | None,
    code: str = "",
    error: str = "",
    description: str = "",
) -> Redirection:
    """The answer to an app: a code or an error, its own state, and who answers (RFC 9207).

    Args:
        state: the app's, echoed as it is; None if it sent none.
        description: of an error, for developers.
    """
    answer = [("code", code)] if code else [("error", error), ("error_description", description)]
    echoed = [] if state is None else [("state", state)]
    is_trusted = app.origin is AppOrigin.REGISTERED or redirect.kind is RedirectKind.LOOPBACK
    return Redirection(
        location=with_parameters(redirect, [*answer, *echoed, ("iss", runtime.config.public_url)]),
        host=redirect.shown_host,
        app=app.name,
        is_automatic=bool(code) or is_trusted,
        error=error,
        description=description,
    )


def _fault(app: OAuthApp, asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with a request's parameters: OAuth's error code and a description; None if nothing is."""
    for name in ("request", "request_uri", "registration"):
        if getattr(asked, name) is not None or name in asked.repeated:
            return f"{name}_not_supported", f"Herod does not support the parameter '{name}': send the others by name."
    if "resource" in asked.repeated:
        return "invalid_target", "A token is for one resource: send resource once, and ask for a token for each."
    if asked.repeated:
        return "invalid_request", f"The parameter '{asked.repeated[0]}' was sent twice: send it once."
    if asked.response_type is None:
        return "invalid_request", "The parameter 'response_type' is missing: send response_type=code."
    if asked.response_type != "code":
        return "unsupported_response_type", "Herod supports the code flow alone: send response_type=code."
    if asked.response_mode not in (None, "query"):
        return "invalid_request", "Herod answers in the query of the redirect alone: leave out 'response_mode'."
    if AUTHORIZATION_CODE not in app.grants:
        return "unauthorized_client", "The app did not register the grant type authorization_code."
    return _pkce_fault(app, asked) or _prompt_fault(asked)


def _pkce_fault(app: OAuthApp, asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with the code challenge (RFC 7636, section 4.4.1), or with an app's doing without."""
    if asked.code_challenge is None:
        if asked.code_challenge_method is not None:
            return "invalid_request", "The parameter 'code_challenge' is missing: send it with its method, S256."
        if app.needs_pkce:
            return "invalid_request", "PKCE is required: send code_challenge and code_challenge_method=S256."
        if app.needs_nonce and not asked.nonce:
            return "invalid_request", "An app without PKCE must send 'nonce': send it, or code_challenge with S256."
        return None
    if asked.code_challenge_method != "S256":
        return "invalid_request", "The only code challenge method here is S256: send code_challenge_method=S256."
    if not is_challenge(asked.code_challenge):
        return "invalid_request", "The code challenge is not a SHA-256 hash in base64url, which has 43 characters."
    return None


def _prompt_fault(asked: Authorize) -> tuple[str, str] | None:
    """What is wrong with the wishes for sign-in and consent (OpenID Connect Core, section 3.1.2.1)."""
    wishes = set((asked.prompt or "").split())
    if wishes - PROMPTS - IGNORED_PROMPTS:
        return "invalid_request", "The parameter 'prompt' knows none, login, consent and select_account."
    if "none" in wishes and len(wishes) > 1:
        return "invalid_request", "The prompt 'none' stands alone: leave out the others."
    if asked.max_age is not None and not _SECONDS.match(asked.max_age):
        return "invalid_request", "The parameter 'max_age' is a number of seconds."
    return None
