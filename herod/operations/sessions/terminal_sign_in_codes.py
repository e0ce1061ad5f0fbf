"""Sign-in codes: from a terminal, a code opens one browser session for its creator, once, within a minute.

`session.offer` says whose session a code opens before it is used: the page must show that, and let the person at the
browser
decide. Otherwise an attacker could slip them a code of his own and put them into his session.

Must never open more than the credential that created the code holds, now or when the code is used.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from herod.identity.parent_credential import parent_of_session, session_epochs
from herod.operations.sessions.session_lifecycle import (
    OPENS_SESSIONS,
    OpenedSession,
    Opening,
    keep_session,
    new_session,
)
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Surface,
    Time,
    command,
    query,
)
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import Verbatim
from herod.pipeline.result_views import hide_values, networks_list
from herod.records import Account, Session
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal
from herod.store.record_cache import record_bytes
from herod.store.store_interface import Reader, Writer
from herod.throttle.rules import Attempt, code_guess
from herod.throttle.source_ranges import range_of
from herod.throttle.source_shares import share_of
from herod_client.core.errors import BadCredentials
from herod_client.core.grants import intersect_grants

__all__ = ["CODE_SECONDS", "session_code", "session_offer", "session_redeem"]

CODE_SECONDS: Final = 60
EXAMPLE_CODE: Final = "4fZ0" * 10 + "4fZ"
# A browser cannot open a wildcard address.
_LOCALHOST: Final = "http://localhost"
_SPENT: Final = "This code was used already or has expired: run `herod ui` again."


class MakeCode(Params, frozen=True, kw_only=True):
    """No parameters: the code is for the caller."""


class CodeRef(Params, frozen=True, kw_only=True):
    """A code."""

    code: Verbatim


class RedeemCode(Opening, frozen=True, kw_only=True):
    """A code, and the browser that presents it."""

    code: Verbatim


class SignInCode(msgspec.Struct, frozen=True):
    """`code` opens one session until `expires_at`; `page_url` is the dashboard's URL for browsers, if there is one."""

    __repr__ = hide_values

    code: SecretText
    expires_at: Time
    page_url: str | None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose session a code opens."""

    sub: str
    name: str
    email: str | None
    method: str
    scope: str
    networks: list[str]


@command(
    "session.code",
    credential=True,
    gives=GivesNothing("a code expires no later than its maker"),
    issues=True,
    needs=Access.AUTHENTICATED,
    methods=OPENS_SESSIONS,
    target=NoTarget("creates a code"),
    example={},
    always_audited=True,
)
def session_code(tx: Writer, context: Context, params: MakeCode) -> SignInCode:
    """Create a one-time code that signs a browser in as the caller, with at most their scope. It expires in 60 s."""
    session = new_session(tx, context, context.principal)
    expires_at = min(context.now + CODE_SECONDS, session.expires_at or 0)  # a session always expires
    share = share_of(context.source)
    code = context.runtime.session_codes.make(
        session,
        holder=context.principal.id,
        now=context.now,
        expires_at=expires_at,
        size=record_bytes(session),
        sources=(range_of(share), share),
    )
    return SignInCode(code, datetime.fromtimestamp(expires_at, UTC), _page_url(context))


@query("session.offer", needs=Access.PUBLIC, example={"code": EXAMPLE_CODE}, surfaces=frozenset({Surface.DASHBOARD}))
def session_offer(reader: Reader, context: Context, params: CodeRef) -> Offer:
    """Show whose session a code opens, without using it up."""
    session = context.runtime.session_codes.look(params.code, now=context.now)
    if session is None:
        raise BadCredentials(_SPENT, reason="wrong_code")
    principal = _who(reader, context, session)
    account = reader.get(Account, principal.id)
    return Offer(
        sub=principal.id,
        name=principal.name,
        email=None if account is None else account.email,
        method=principal.method,
        scope=context.runtime.scope_text(principal.widest),
        networks=networks_list(principal.widest.networks),
    )


def _limit(reader: Reader, context: Context, params: RedeemCode) -> Attempt:
    return code_guess(context.source)


@command(
    "session.redeem",
    credential=True,
    gives=Session,
    counts=("sign_ins",),
    issues=True,
    needs=Access.PUBLIC,
    target=NoTarget("opens a new session"),
    example={"code": EXAMPLE_CODE},
    surfaces=frozenset({Surface.DASHBOARD}),
    limit=_limit,
)
def session_redeem(tx: Writer, context: Context, params: RedeemCode) -> OpenedSession:
    """Sign a browser in with a one-time code."""
    session = context.runtime.session_codes.take(params.code, now=context.now)
    if session is None:
        raise BadCredentials(_SPENT, reason="wrong_code")
    context.principal = _who(tx, context, session)
    end = context.principal.widest.expires_at
    if end is not None and session.expires_at is not None:  # the code may have been made before a rotation
        session = msgspec.structs.replace(session, expires_at=min(session.expires_at, end))
    return keep_session(tx, context, session, params)


def _page_url(context: Context) -> str | None:
    """The dashboard's URL for browsers on this machine; None if no TCP address is bound."""
    deployment, config = context.process.deployment, context.runtime.config
    labels = (bind.rpartition("(")[2].removesuffix(")") for bind in deployment.binds)  # `fd://3 (ADDRESS)`
    bound = [label for label in labels if not label.startswith("unix:")]
    if not bound:
        return None
    if deployment.has_tls:  # a certificate is for the public name
        return config.public_url if config.has_browser_origin else None
    if config.public_url in config.aliases:
        return config.public_url
    local = sorted(alias for alias in config.aliases if alias.startswith(_LOCALHOST))
    return local[0] if local else f"http://{bound[0]}"


def _who(reader: Reader, context: Context, session: Session) -> Principal:
    """The principal that created the code, narrowed to what it held then and holds now.

    Raises:
        Unauthenticated: it may no longer sign in, or all its sessions were ended after it had created the code.
    """
    if session.epochs != session_epochs(reader, session.subject, session.maker):
        raise BadCredentials(_SPENT, reason="wrong_code")
    maker = parent_of_session(reader, context.runtime, session, context.now)
    held = context.runtime.grant(session.scope, session.networks)
    return msgspec.structs.replace(maker, grants=intersect_grants(maker.grants, held))
