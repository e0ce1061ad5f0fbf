"""Browser sessions: opened with any credential, and ended by their holder. Only the dashboard uses them.

A session must never hold more than the credential that opened it.
"""

from itertools import islice
from typing import Final, Literal

import msgspec

from herod.identity.parent_credential import session_epochs, session_half, session_id, via_of
from herod.identity.people.session_secrets import COOKIE_CHARACTERS, new_session_secret
from herod.pipeline.ceilings.quotas import own_share
from herod.pipeline.operation_definition import Context, GivesNothing, NoTarget, Params, Surface, Time, command
from herod.pipeline.parameters.parameter_types import Verbatim
from herod.pipeline.result_views import hide_values, rfc3339
from herod.records import Session
from herod.scopes.decisions import Access
from herod.scopes.principal import AuthMethod, Principal, part_of
from herod.store.owned_records import DELETED_AT_ONCE, delete_owned, owned_by
from herod.store.store_interface import Reader, Writer

__all__ = [
    "OPENS_SESSIONS",
    "SESSION_TTL",
    "BrowserFamily",
    "OpenedSession",
    "Opening",
    "keep_session",
    "new_session",
    "open_session",
    "session_create",
    "session_delete",
]

# Sessions of one group or legacy secret in all; `sessions` under [quotas] is for each local user of it.
SHARED_SESSIONS: Final = 500
SESSION_TTL: Final = 12 * 3600  # seconds: a working day, then sign in again
# Neither a token nor a session can open a session, because the new session would outlive it.
OPENS_SESSIONS: Final = frozenset(AuthMethod) - {
    AuthMethod.JWT,
    AuthMethod.DELEGATION,
    AuthMethod.SESSION,
    AuthMethod.APP,
    AuthMethod.ANONYMOUS,
}

BrowserFamily = Literal["Chrome", "Edge", "Firefox", "Opera", "Safari", "another"]


class Opening(Params, frozen=True, kw_only=True):
    """What the dashboard knows about a browser that signs in.

    `former` is the cookie of an earlier session that the browser still holds; that session ends.
    """

    browser: BrowserFamily = "another"
    former: Verbatim | None = None


class CreateSession(Opening, frozen=True, kw_only=True):
    """The session is for the presented credential."""


class DeleteSession(Params, frozen=True, kw_only=True):
    """No parameters: the calling session ends."""


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
    credential=True,
    gives=Session,
    counts=("sign_ins",),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=OPENS_SESSIONS,
    target=NoTarget("creates a session"),
    example={},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def session_create(tx: Writer, context: Context, params: CreateSession) -> OpenedSession:
    """Sign a browser in with the presented credential, and with no more than its scope."""
    return open_session(tx, context, context.principal, params)


def _end_in_memory(reader: Reader, context: Context, params: DeleteSession, record: None) -> None:
    """End the calling session in this process while the store cannot be written."""
    context.target = context.principal.credential
    context.runtime.switch_off(context.target)


@command(
    "session.delete",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=Access.AUTHENTICATED,
    methods=frozenset({AuthMethod.SESSION}),
    target=NoTarget("ends the calling session"),
    enrols=True,
    unwritten=_end_in_memory,
    example={},
    surfaces=frozenset({Surface.DASHBOARD}),
)
def session_delete(tx: Writer, context: Context, params: DeleteSession) -> SignedOut:
    """Sign a browser out. Its session ends at once."""
    context.target = context.principal.credential
    return SignedOut(signed_out=tx.delete(Session, context.principal.credential))


def new_session(reader: Reader, context: Context, principal: Principal) -> Session:
    """A session for `principal` with one of its grants, without a secret and not yet stored."""
    grant = principal.widest
    principal = part_of(principal, grant)
    maker = own_share(context, principal)
    expires_at = min(context.now + SESSION_TTL, grant.expires_at or context.now + SESSION_TTL)
    return Session(
        id="",
        created_at=context.now,
        expires_at=expires_at,
        subject=principal.id,
        via=via_of(principal),
        epoch=principal.epoch,
        scope=context.runtime.config.graph.names(grant.mask),
        networks=tuple(sorted(grant.networks)),
        epochs=session_epochs(reader, principal.id, maker),
        maker=maker,
    )


def open_session(
    tx: Writer, context: Context, principal: Principal, opening: Opening, *, amr: tuple[str, ...] = ()
) -> OpenedSession:
    """Open a session for `principal`, which has just authenticated.

    Args:
        amr: how a person proved who they are (RFC 8176); empty for a key, a secret, a rule and the local admin.
    """
    session = msgspec.structs.replace(new_session(tx, context, principal), amr=amr)
    return keep_session(tx, context, session, opening)


def keep_session(tx: Writer, context: Context, session: Session, opening: Opening) -> OpenedSession:
    """Give a new session its secret and store it; the browser's former session ends."""
    runtime = context.runtime
    if opening.former:
        for former in tx.find(Session, "half", session_half(runtime, opening.former)):
            tx.delete(Session, former.id)
    _make_room(tx, context, session)
    cookie = new_session_secret(runtime.keyring)
    kept = msgspec.structs.replace(
        session,
        id=session_id(runtime, cookie),
        half=session_half(runtime, cookie[:COOKIE_CHARACTERS]),
        source=context.source.label,
        user=context.source.user,
        browser=opening.browser,
        boot=None if context.source.secure else runtime.boot_epoch,
    )
    tx.put(kept)
    context.target = kept.id
    return OpenedSession(cookie, rfc3339(kept.expires_at))


def _make_room(tx: Writer, context: Context, new: Session) -> None:
    """End the oldest sessions of a subject that has as many as it may, so that one more can be opened.

    Local users who share a subject, by a group's rule, do not end each other's until there are very many.
    """
    most = context.runtime.config.quotas.sessions
    if new.maker:
        sessions = islice(owned_by(tx, Session, new.subject), SHARED_SESSIONS)
        own = [session.id for session in sessions if session.maker == new.maker]
        for id_ in own[: max(0, len(own) - most + 1)]:
            tx.delete(Session, id_)
        most = max(most, SHARED_SESSIONS)
    excess = tx.count_owned(Session, new.subject, limit=most + DELETED_AT_ONCE) - most + 1
    if excess > 0:
        delete_owned(tx, Session, new.subject, limit=excess)
