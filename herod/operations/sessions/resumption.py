"""Resuming a session in a new tab: whether a browser has one, and whether it may go on with it there.

The secret is put together from the cookie's half and the browser's proof (`identity/people/session_secrets.py`), so a
caller here has shown both. Must never make a session younger: the time of its sign-in stays.
"""

import msgspec

from herod.identity.parent_credential import session_half, session_principal
from herod.pipeline.operation_definition import Context, NoParams, Params, Surface, query
from herod.pipeline.parameters.parameter_types import Verbatim
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader
from herod_client.core.errors import BadCredentials, Unauthenticated

__all__ = ["session_resume", "session_status"]


class HalfOfSession(Params, frozen=True, kw_only=True):
    """The half of a session's secret in a browser's cookie, which proves nothing by itself."""

    half: Verbatim


class SessionStatus(msgspec.Struct, frozen=True):
    """Whether a browser has a session that is still good."""

    is_open: bool


class Resumed(msgspec.Struct, frozen=True):
    """The calling session may go on in this tab; `signed_in_at` is in Unix seconds."""

    signed_in_at: int


@query(
    "session.status", needs=Access.PUBLIC, example={"half": "4fZ0" * 5 + "4f"}, surfaces=frozenset({Surface.DASHBOARD})
)
def session_status(reader: Reader, context: Context, params: HalfOfSession) -> SessionStatus:
    """Report whether the session of a browser's cookie is still open, and nothing else about it."""
    for session in reader.find(Session, "half", session_half(context.runtime, params.half)):
        try:
            session_principal(reader, context.runtime, session, context.now)
        except Unauthenticated:
            continue
        return SessionStatus(is_open=True)
    return SessionStatus(is_open=False)


@query(
    "session.resume",
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.SESSION}),
    enrols=True,
    example={},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def session_resume(reader: Reader, context: Context, params: NoParams) -> Resumed:
    """Let the calling session go on in another tab of the browser that opened it.

    A session that a local user opened is not resumed by another one, as far as the kernel tells who asks: who got hold
    of both halves, by a page that was open while herod was down, cannot use them from a process of their own.
    """
    session = reader.get(Session, context.principal.credential)
    if session is None or (session.user is not None and session.user != context.source.user):
        raise BadCredentials("This session cannot be continued here: sign in.", reason="another_user")
    return Resumed(signed_in_at=session.created_at)
