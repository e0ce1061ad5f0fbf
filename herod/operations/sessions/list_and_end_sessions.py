"""Listing signed-in browsers and signing others out. Only the dashboard uses it, so only sessions may."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from herod.identity.parent_credential import session_principal
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Surface, Target, Time, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameter_types import Verbatim
from herod.pipeline.privilege_ceilings import is_admin
from herod.pipeline.result_views import networks_list, rfc3339
from herod.pipeline.targets import switch_off_target
from herod.records import Session
from herod.scopes.decisions import Access, Denied, decide_target
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Page, Reader, Writer
from herod_client.core.errors import Unauthenticated
from herod_client.core.grants import Grants

__all__ = ["session_end", "session_list"]

EXAMPLE_SESSION: Final = "7f" * 32


class ListSessions(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: str | None = None
    limit: int = 50


class SessionRef(Params, frozen=True, kw_only=True):
    """A session by its id, which is not a credential."""

    id: Verbatim


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser.

    `method` is the credential that signed in; `source` and `browser` are from that moment; `is_this` marks the calling
    session, and `may_end` says whether the caller can end the listed one.
    """

    id: str
    sub: str
    name: str
    method: str
    scope: str
    networks: list[str]
    created_at: Time
    expires_at: Time | None
    source: str
    browser: str
    is_this: bool
    may_end: bool


class EndedSession(msgspec.Struct, frozen=True):
    """The session has ended."""

    id: str
    ended: bool


@query(
    "session.list",
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.SESSION}),
    example={},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def session_list(reader: Reader, context: Context, params: ListSessions) -> Page[SessionView]:
    """List browser sessions, oldest first: your own, or all of them for admins.

    Ended sessions are left out, so a page may be shorter than requested.
    """
    owner = None if is_admin(context) else context.principal.id
    page = reader.list(Session, owner=owner, cursor=params.cursor, limit=parse_limit(params.limit))
    return page_of(page, lambda session: _view(reader, context, session))


def _session_grants(reader: Reader, context: Context, session: Session) -> Grants:
    """A session's current grants; none if it is no longer valid, so that any admin can delete it."""
    try:
        return session_principal(reader, context.runtime, session, context.now).grants
    except Unauthenticated:
        return ()


SESSION = Target(
    noun="session",
    find=lambda reader, context, params: reader.get(Session, params.id),
    is_own=lambda principal, session: session.subject == principal.id,
    grants=_session_grants,
)


@command(
    "session.end",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=Access.AUTHENTICATED,
    target=SESSION,
    unwritten=switch_off_target,
    methods=frozenset({AuthMethod.SESSION}),
    example={"id": EXAMPLE_SESSION},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def session_end(tx: Writer, context: Context, params: SessionRef, session: Session) -> EndedSession:
    """Sign another browser out: one of your own, or for admins any whose scope and networks do not exceed theirs."""
    return EndedSession(session.id, ended=tx.delete(Session, session.id))


def _view(reader: Reader, context: Context, session: Session) -> SessionView | None:
    """The view of a session; None if it is no longer valid."""
    try:
        principal = session_principal(reader, context.runtime, session, context.now)
    except Unauthenticated:
        return None
    is_this = session.id == context.principal.credential
    return SessionView(
        id=session.id,
        sub=principal.id,
        name=principal.name,
        method=principal.made_with,
        scope=context.runtime.scope_text(principal.widest),
        networks=networks_list(principal.widest.networks),
        created_at=datetime.fromtimestamp(session.created_at, UTC),
        expires_at=rfc3339(session.expires_at),
        source=session.source,
        browser=session.browser,
        is_this=is_this,
        may_end=not is_this and not isinstance(decide_target(context.principal.grants, principal.grants), Denied),
    )
