"""Signing out at an app's request (OpenID Connect RP-Initiated Logout 1.0).

An app sends the browser to `/logout`, perhaps with the id_token of a sign-in. If the browser's session is the one that
the id_token is of, it ends at once; otherwise the person is asked. Either way the browser goes back to the app only
where the app has registered that.

The browser's session is found by its cookie's half alone: whoever has that half can sign the browser out and nothing
more (`dashboard/csrf.py`). Nothing here says whose session it is.
"""

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from herod.credentials.apps.redirect_uris import matches, parse_redirect_uri, refuse_own_origin, with_parameters
from herod.credentials.keyring import Purpose
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.identity.apps.oauth_apps import OAuthApp, find_app
from herod.identity.config import Config
from herod.identity.parent_credential import session_half, session_principal
from herod.identity.runtime_state import Runtime
from herod.operations.openid.id_tokens import open_id_token_hint
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Surface, command, query
from herod.pipeline.parameters.parameter_types import Verbatim
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import InvalidRequest, Unauthenticated

__all__ = ["LOGOUT_SECONDS", "LogoutAsked", "SignOutAnswer", "openid_logout", "openid_sign_out"]

LOGOUT_SECONDS: Final = 600
MAX_STATE_CHARS: Final = 512
MAX_SEALED_CHARS: Final = 4096
_LABEL: Final = b"herod logout request v1"
_STALE: Final = "This request to sign out is not valid any more: sign out in the app again."

EXAMPLE_REQUEST: Final = "AQ…"


class AskLogout(Params, frozen=True, kw_only=True):
    """The parameters of the request, all optional; an `id_token_hint` may have expired."""

    id_token_hint: Verbatim | None = None
    client_id: Verbatim | None = None
    post_logout_redirect_uri: Verbatim | None = None
    state: Verbatim | None = None


class LogoutAsked(msgspec.Struct, frozen=True):
    """`request` carries what was asked to the page that answers it."""

    request: str


class SignOut(Params, frozen=True, kw_only=True):
    """`half` is that of the browser's cookie; `is_confirmed`: its person has said yes on our page."""

    request: Verbatim
    half: Verbatim | None = None
    is_confirmed: bool = False


class SignOutAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, and what comes next.

    `asks`: the browser has a session that did not end, because its person must say so first. `location` is where the
    app wants the browser to go; null: it stays. `app` is the app's name; `is_refused`: it asked for an address that it
    has not registered.
    """

    asks: bool
    signed_out: bool
    location: str | None
    app: str | None
    is_refused: bool


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A request on its way through the browser."""

    until: int
    sid: str
    app: str
    location: str
    is_refused: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Sealed).decode


@query(
    "openid.logout",
    needs=Access.PUBLIC,
    example={"client_id": "herod-cli"},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def openid_logout(reader: Reader, context: Context, params: AskLogout) -> LogoutAsked:
    """Read an app's request to sign a person out."""
    runtime = context.runtime
    if params.state is not None and len(params.state) > MAX_STATE_CHARS:
        raise InvalidRequest(f"The parameter 'state' is longer than {MAX_STATE_CHARS} characters: send a shorter one.")
    hint = None if params.id_token_hint is None else open_id_token_hint(runtime, params.id_token_hint)
    client_id = params.client_id or ("" if hint is None else hint.aud)
    if hint is not None and hint.aud != client_id:
        hint, client_id = None, ""  # section 2: both must be of one app
    app = find_app(reader, runtime, client_id) if client_id else None
    location = None
    if app is not None and params.post_logout_redirect_uri is not None:
        location = _location(runtime.config, app, params.post_logout_redirect_uri, params.state)
    sealed = _Sealed(
        until=context.now + LOGOUT_SECONDS,
        sid="" if hint is None else hint.sid,
        app="" if app is None else app.name,
        location=location or "",
        is_refused=params.post_logout_redirect_uri is not None and location is None,
    )
    return LogoutAsked(_seal(runtime, sealed))


def _sign_out_in_memory(reader: Reader, context: Context, params: SignOut, record: None) -> None:
    """End the browser's sessions in this process while the store cannot be written."""
    sealed = _open(context.runtime, params.request, context.now)
    sessions = _sessions(reader, context, params)
    if not params.is_confirmed and not _is_of(sealed, sessions):
        return
    for session, principal in sessions:
        context.principal, context.target = principal, session.id
        context.runtime.switch_off(session.id)


@command(
    "openid.sign_out",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=Access.PUBLIC,
    target=NoTarget("ends the session of the browser's cookie"),
    unwritten=_sign_out_in_memory,
    example={"request": EXAMPLE_REQUEST},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def openid_sign_out(tx: Writer, context: Context, params: SignOut) -> SignOutAnswer:
    """Sign a browser out, if the request is of its session or its person agrees. Its session ends at once."""
    sealed = _open(context.runtime, params.request, context.now)
    sessions = _sessions(tx, context, params)
    is_agreed = params.is_confirmed or _is_of(sealed, sessions)
    if is_agreed:
        for session, principal in sessions:
            context.principal, context.target = principal, session.id
            tx.delete(Session, session.id)
    return SignOutAnswer(
        asks=bool(sessions) and not is_agreed,
        signed_out=bool(sessions) and is_agreed,
        location=sealed.location or None,
        app=sealed.app or None,
        is_refused=sealed.is_refused,
    )


def _location(config: Config, app: OAuthApp, text: str, state: str | None) -> str | None:
    """Where the browser goes after signing out; None if the app has not registered that."""
    with suppress(InvalidRequest):
        asked = parse_redirect_uri(text)
        refuse_own_origin(asked, config.own_origins)
        for registered in app.post_logout_uris:
            with suppress(InvalidRequest):
                if matches(parse_redirect_uri(registered), asked):
                    return asked.text if state is None else with_parameters(asked, [("state", state)])
    return None


def _is_of(sealed: _Sealed, sessions: Sequence[tuple[Session, Principal]]) -> bool:
    """Whether the request has an id_token of one of the sessions."""
    return any(session.id == sealed.sid for session, _ in sessions)


def _sessions(reader: Reader, context: Context, params: SignOut) -> list[tuple[Session, Principal]]:
    """The sessions of the browser that are still open, one or none, and whose they are."""
    found = []
    if params.half:
        for session in reader.find(Session, "half", session_half(context.runtime, params.half)):
            with suppress(Unauthenticated):
                found.append((session, session_principal(reader, context.runtime, session, context.now)))
    return found


def _seal(runtime: Runtime, request: _Sealed) -> str:
    sealed = seal(runtime.keyring.key(Purpose.LOGOUT_REQUESTS), _encode(request), _LABEL)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open(runtime: Runtime, text: str, now: int) -> _Sealed:
    """The request that `openid.logout` sealed.

    Raises:
        InvalidRequest: it did not, or too long ago.
    """
    if len(text) <= MAX_SEALED_CHARS:
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            request = _decode(unseal(runtime.keyring.key(Purpose.LOGOUT_REQUESTS), raw, _LABEL))
        except (SealBroken, binascii.Error, ValueError, msgspec.DecodeError):
            request = None
        if request is not None and now < request.until <= now + LOGOUT_SECONDS:
            return request
    raise InvalidRequest(_STALE, reason="logout_request")
