"""Sessions for browsers: opened with any credential, worth no more than it. Only the dashboard asks for them."""

from datetime import datetime
from typing import Final

import msgspec

from herod.credentials.apikeys import new_opaque
from herod.operations.identify import session_id, via_of
from herod.operations.registry import Context, Door, Params, command
from herod.operations.shapes import rfc3339
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principals import AuthMethod
from herod.store.base import Writer

__all__ = ["session_create"]

SESSION_TTL: Final = 12 * 3600  # seconds: a working day, then sign in again


class CreateSession(Params, frozen=True, kw_only=True):
    """Nothing to say: the session is what signed in."""


class OpenedSession(msgspec.Struct, frozen=True):
    """`cookie` is the session's only secret; herod keeps an HMAC of it."""

    cookie: str
    expires_at: datetime | None


@command(
    "session.create",
    needs=Access.AUTHENTICATED,
    methods=frozenset(AuthMethod) - {AuthMethod.JWT, AuthMethod.SESSION, AuthMethod.ANONYMOUS},
    example={},
    doors=frozenset({Door.DASHBOARD}),
)
def session_create(tx: Writer, context: Context, params: CreateSession) -> OpenedSession:  # noqa: ARG001 - a handler's form
    """Sign a browser in with what was presented: it may do that much and no more."""
    principal = context.principal
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
    context.realm.counters["sign_ins"] += 1
    context.target = session.id
    return OpenedSession(cookie, rfc3339(expires_at))
