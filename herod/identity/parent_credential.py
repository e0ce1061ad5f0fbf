"""What tokens and sessions were made with: they are never more than it, so it is looked up again at every use.

A token or session says in `via` what it was made with:

    client_secret | password     the account itself
    user_key:ID | user_key:ID:EPOCH | service_key:ID | service_key:ID:EPOCH
                                 an API key, in the epoch it had then; without one it is 0
    peer                         the peer rule that is its subject
    local_admin                  this process's local admin
    legacy_secret                the legacy secret that is its subject
"""

from typing import Final

from herod.credentials.keyring import Purpose
from herod.identity.effective_principals import (
    LOCAL_ADMIN_ID,
    account_principal,
    key_principal,
    legacy_principal,
    local_admin,
    rule_principal,
)
from herod.identity.runtime_state import Runtime
from herod.records import Account, ApiKey, PeerRule, Session
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.errors import BadCredentials, ExpiredToken, RevokedToken
from herod_client.core.grants import intersect_grants

__all__ = [
    "cookie_principal",
    "key_behind",
    "parent_of",
    "parent_of_session",
    "session_half",
    "session_id",
    "session_principal",
    "via_of",
]

GONE: Final = "The credential behind this token or session no longer exists: sign in again."
SESSION_OVER: Final = "Your session is over: sign in again."


def via_of(principal: Principal) -> str:
    """How a token or session made by `principal` names its maker."""
    if principal.method in (AuthMethod.USER_KEY, AuthMethod.SERVICE_KEY):
        return f"{principal.method}:{principal.credential}:{principal.key_epoch}"
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        return "local_admin"
    return str(principal.method)


def key_behind(via: str) -> str | None:
    """The id of the API key that a token or session was made with, if with one."""
    method, _, credential = via.partition(":")
    return credential.partition(":")[0] if method in (AuthMethod.USER_KEY, AuthMethod.SERVICE_KEY) else None


def session_id(runtime: Runtime, cookie: str) -> str:
    """The id under which a session cookie's session is kept."""
    return runtime.keyring.mac(Purpose.SESSIONS, cookie.encode("utf-8", "surrogatepass")).hex()


def session_half(runtime: Runtime, half: str) -> str:
    """What a session is found by when only the half of its secret is known that stands in the browser's cookie."""
    return runtime.keyring.mac(Purpose.SESSIONS, b"half", half.encode("utf-8", "surrogatepass")).hex()


def parent_of(reader: Reader, runtime: Runtime, subject: str, via: str, epoch: int, now: int) -> Principal:
    """What a token or session was made with, as it is now.

    Raises:
        RevokedToken: it is gone, switched off, over, or no longer in the epoch the token or session was made in.
        Disabled: its account is switched off.
    """
    method, _, credential = via.partition(":")
    match method:
        case AuthMethod.CLIENT_SECRET | AuthMethod.PASSWORD:
            account = reader.get(Account, subject)
            if account is None or (account.enabled and account.epoch != epoch):
                raise RevokedToken(GONE, reason="revoked")
            return account_principal(runtime, account, AuthMethod(method))
        case AuthMethod.USER_KEY | AuthMethod.SERVICE_KEY:
            maker = _key_maker(reader, runtime, credential, now)
            if maker is not None and (maker.id, maker.method, maker.epoch) == (subject, method, epoch):
                return maker
        case AuthMethod.PEER:
            rule = reader.get(PeerRule, subject)
            if rule is not None and rule.epoch == epoch:
                return rule_principal(runtime, [rule])
        case "local_admin" if subject == LOCAL_ADMIN_ID and epoch == runtime.boot_epoch:
            return local_admin(runtime)
        case AuthMethod.LEGACY_SECRET:
            secret = runtime.config.legacy.get(subject)
            if secret is not None:
                return legacy_principal(runtime, secret.id, secret.scope)
        case _:
            pass
    raise RevokedToken(GONE, reason="revoked")


def cookie_principal(reader: Reader, runtime: Runtime, cookie: str, now: int) -> Principal:
    """Whose session a cookie's is, narrowed to what signed in as that is now.

    Raises:
        ExpiredToken: there is none, or its time is over.
        Unauthenticated: what it was opened with is gone, switched off or over.
    """
    session = reader.get(Session, session_id(runtime, cookie))
    if session is None:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    return session_principal(reader, runtime, session, now)


def parent_of_session(reader: Reader, runtime: Runtime, session: Session, now: int) -> Principal:
    """What opened a session, as it is now; what the session itself may do is `session_principal`.

    Raises:
        Unauthenticated: it is gone, switched off or over.
    """
    return parent_of(reader, runtime, session.subject, session.via, session.epoch, now)


def session_principal(reader: Reader, runtime: Runtime, session: Session, now: int) -> Principal:
    """Who is signed in by a session, narrowed to what it was opened with as that is now.

    Raises:
        ExpiredToken: its time is over.
        Unauthenticated: what it was opened with is gone, switched off or over.
    """
    # While herod is away its port is anybody's, and to browsers that is the same origin: an open page that refreshes
    # itself would tell them cookie and ticket. What they have not is a certificate.
    has_ended = session.boot is not None and session.boot != runtime.boot_epoch
    if has_ended or session.expires_at is None or session.expires_at <= now:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    maker = parent_of_session(reader, runtime, session, now)
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name,
        method=AuthMethod.SESSION,
        grants=intersect_grants(maker.grants, runtime.grant(session.scope, session.networks)),
        credential=session.id,
        made_with=maker.method,
        epoch=maker.epoch,
    )


def _key_maker(reader: Reader, runtime: Runtime, credential: str, now: int) -> Principal | None:
    """The API key that `via` names, if it is good now and in the epoch it names."""
    key_id, _, epoch = credential.partition(":")
    key = reader.get(ApiKey, key_id)
    if key is None:
        return None
    is_current = (epoch or "0") == str(key.epoch)
    if not is_current and (epoch != str(key.former_epoch) or now >= key.former_until):
        return None
    try:
        principal = key_principal(reader, runtime, key, is_former=not is_current)
    except BadCredentials:
        return None
    return principal if principal.is_live(now) else None
