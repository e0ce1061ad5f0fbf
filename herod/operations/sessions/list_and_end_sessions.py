"""Listing signed-in browsers and signing others out.

Only the dashboard lists sessions and ends single ones, so only sessions may; any credential may end all of one's own.
"""

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from herod.identity.parent_credential import EVERYONE, session_epochs, session_group, session_principal
from herod.pipeline.ceilings.privilege_ceilings import check_target, is_admin
from herod.pipeline.ceilings.quotas import own_share
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Surface, Target, Time, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.parameter_types import AccountEmail, ClientId, Verbatim
from herod.pipeline.result_views import networks_list, rfc3339
from herod.pipeline.targets import ACCOUNT, AccountRef, account_of, switch_off_target
from herod.records import Account, Session, SessionEpoch
from herod.scopes.decisions import Access, Denied, decide_target
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Order, Page, Reader, Writer
from herod_client.core.errors import InvalidRequest, NotFound, Unauthenticated
from herod_client.core.grants import Grants
from herod_client.core.scope_graph import OWNER

__all__ = ["end_other_sessions", "session_end", "session_end_all", "session_list"]

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

    `method` is the credential that signed in, and `amr` how a person proved who they are (RFC 8176; empty for other
    credentials); `source` and `browser` are from that moment; `is_this` marks the calling session, and `may_end` says
    whether the caller can end the listed one.
    """

    id: str
    sub: str
    name: str
    method: str
    amr: list[str]
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


class EndSessions(Params, frozen=True, kw_only=True):
    """Whose sessions end: an account's, everyone's, or without parameters your own."""

    at_most_one = ("client_id", "email", "everyone")

    client_id: ClientId | None = None
    email: AccountEmail | None = None
    everyone: Annotated[bool, msgspec.Meta(description="end the sessions of all accounts, keys and local users")] = (
        False
    )


class EndedSessions(msgspec.Struct, frozen=True):
    """The sessions of `sub` have ended; `*` is everyone."""

    sub: str
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


def _whose(reader: Reader, context: Context, params: EndSessions) -> Account | None:
    """The account whose sessions end; None for everyone's and those of a caller that is not an account."""
    given = params.client_id is not None or params.email is not None
    if given and params.everyone:
        raise InvalidRequest("Give at most one of client_id, email and everyone.")
    if given:
        return account_of(reader, context, AccountRef(client_id=params.client_id, email=params.email))
    return None if params.everyone else reader.get(Account, context.principal.id)


def _end_all_in_memory(reader: Reader, context: Context, params: EndSessions, account: Account | None) -> None:
    """End the sessions, and the codes for new ones, in this process while the store cannot be written."""
    if params.everyone:
        check_target(context, *_everything(context))
        context.target = EVERYONE
        context.runtime.session_codes.clear()
    else:
        context.target = context.principal.id if account is None else account.id
        context.runtime.session_codes.drop(context.target)
    group = EVERYONE if params.everyone else _group(reader, context, account)
    context.runtime.end_sessions(group, now=context.now, but=context.principal.credential)


def _own_session(reader: Reader, context: Context) -> Session | None:
    """The calling session, if a session calls."""
    principal = context.principal
    return reader.get(Session, principal.credential) if principal.method is AuthMethod.SESSION else None


def _group(reader: Reader, context: Context, account: Account | None) -> str:
    """Whose sessions end: the account's or the caller's own, not those of others who are the same principal."""
    if account is not None:
        return account.id
    own = _own_session(reader, context)
    return session_group(context.principal.id, own_share(context, context.principal) if own is None else own.maker)


def _everything(context: Context) -> Grants:
    """What the sessions of everyone may hold together."""
    return (context.runtime.grant((OWNER,), ("*",)),)


@command(
    "session.end_all",
    credential=True,
    gives=GivesNothing("ends access"),
    unwritten=_end_all_in_memory,
    needs=Access.AUTHENTICATED,
    target=dataclasses.replace(ACCOUNT, find=_whose, is_optional=True),
    example={},
    http=("POST /api/v1/sessions/end-all",),
    failures=(NotFound,),
)
def session_end_all(tx: Writer, context: Context, params: EndSessions, account: Account | None) -> EndedSessions:
    """Sign out all browsers of an account, except the calling one: your own, or for admins any.

    Tokens and API keys stay valid. Ending everyone's sessions needs scope owner, which the local admin has.
    """
    if params.everyone:
        check_target(context, *_everything(context))
        subject = group = EVERYONE
    else:
        subject, group = context.principal.id if account is None else account.id, _group(tx, context, account)
    context.target = subject
    _end(tx, context, subject, group)
    return EndedSessions(subject, ended=True)


def end_other_sessions(tx: Writer, context: Context, account_id: str) -> None:
    """Sign out all browsers of an account, except the calling one."""
    _end(tx, context, account_id, account_id)


def _end(tx: Writer, context: Context, subject: str, group: str) -> None:
    """End the sessions of a group, or of everyone, except the calling one."""
    known = tx.get(SessionEpoch, group)
    epoch = 1 if known is None else known.epoch + 1
    tx.put(SessionEpoch(id=group, created_at=context.now, epoch=epoch))
    own = _own_session(tx, context)
    if own is not None:
        tx.put(msgspec.structs.replace(own, epochs=session_epochs(tx, own.subject, own.maker)))
    # The epoch has ended them all; as many as fit into a page are deleted now, others when they expire.
    is_all = group == EVERYONE
    for session in tx.list(Session, owner=None if is_all else subject, order=Order.NEWEST).items:
        is_meant = is_all or session_group(session.subject, session.maker) == group
        if is_meant and (own is None or session.id != own.id):
            tx.delete(Session, session.id)


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
        amr=list(session.amr),
        scope=context.runtime.scope_text(principal.widest),
        networks=networks_list(principal.widest.networks),
        created_at=datetime.fromtimestamp(session.created_at, UTC),
        expires_at=rfc3339(session.expires_at),
        source=session.source,
        browser=session.browser,
        is_this=is_this,
        may_end=not is_this and not isinstance(decide_target(context.principal.grants, principal.grants), Denied),
    )
