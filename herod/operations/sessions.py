"""Sessions for browsers: opened with any credential, worth no more than it. Only the dashboard asks for them."""

from typing import Final

import msgspec

from herod.credentials.apikeys import new_opaque
from herod.operations.makers import session_id, via_of
from herod.operations.registry import Context, Door, Params, Time, command
from herod.operations.shapes import hide_values, rfc3339
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principals import AuthMethod, Principal
from herod.store.base import Writer

__all__ = ["OpenedSession", "open_session", "session_create", "session_delete"]

SESSION_TTL: Final = 12 * 3600  # seconds: a working day, then sign in again


class CreateSession(Params, frozen=True, kw_only=True):
    """Nothing to say: the session is what signed in."""


class DeleteSession(Params, frozen=True, kw_only=True):
    """Nothing to say: the session is the one that asks."""


class OpenedSession(msgspec.Struct, frozen=True):
    """`cookie` is the session's only secret; herod keeps an HMAC of it."""

    __repr__ = hide_values

    cookie: str
    expires_at: Time | None


class SignedOut(msgspec.Struct, frozen=True):
    """Whether there was a session to end."""

    signed_out: bool


@command(
    "session.create",
    needs=Access.AUTHENTICATED,
    methods=frozenset(AuthMethod) - {AuthMethod.JWT, AuthMethod.SESSION, AuthMethod.ANONYMOUS},
    example={},
    doors=frozenset({Door.DASHBOARD}),
)
def session_create(tx: Writer, context: Context, params: CreateSession) -> OpenedSession:  # noqa: ARG001 - a handler's form
    """Sign a browser in with what was presented: it may do that much and no more."""
    context.realm.counters["sign_ins"] += 1
    return open_session(tx, context, context.principal)


@command(
    "session.delete",
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.SESSION}),
    example={},
    doors=frozenset({Door.DASHBOARD}),
)
def session_delete(tx: Writer, context: Context, params: DeleteSession) -> SignedOut:  # noqa: ARG001 - a handler's form
    """Sign a browser out: its session is over at once."""
    context.target = context.principal.credential
    return SignedOut(signed_out=tx.delete(Session, context.principal.credential))


def open_session(tx: Writer, context: Context, principal: Principal) -> OpenedSession:
    """Make a session for `principal`, who has just proved who they are."""
    expires_at = min(context.now + SESSION_TTL, principal.grant.expires_at or context.now + SESSION_TTL)
    cookie = new_opaque()
    session = Session(
        id=session_id(context.realm, cookie),
        created_at=context.now,
        expires_at=expires_at,
        subject=principal.id,
        via=via_of(principal),
        epoch=principal.epoch,
        scope=context.realm.graph.names(principal.grant.mask),
        networks=tuple(sorted(principal.grant.networks)),
    )
    tx.put(session)
    context.target = session.id
    return OpenedSession(cookie, rfc3339(expires_at))
