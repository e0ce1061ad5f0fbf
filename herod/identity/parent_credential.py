"""The parent credential of a token or session: it limits what they may do, so it is looked up again at every use.

A token or session names its parent credential in `via`:

    client_secret | password     the account itself
    passkey:ID                   one of the account's passkeys
    user_key:ID | user_key:ID:EPOCH | service_key:ID | service_key:ID:EPOCH
                                 an API key and its epoch at the time; without one the epoch is 0
    delegation:ID                what an account lets an app do: an app's token
    peer                         the peer rule that is the subject
    local_admin                  this process's local admin
    legacy_secret                the legacy secret that is the subject
"""

from typing import Final

from herod.credentials.keyring import Purpose
from herod.identity.effective_principals import (
    LOCAL_ADMIN_ID,
    account_principal,
    delegation_principal,
    is_in_overlap,
    key_principal,
    legacy_principal,
    local_admin,
    rule_principal,
)
from herod.identity.people.second_factors import has_second_factor, is_second_factor_due
from herod.identity.runtime_state import Runtime
from herod.records import Account, ApiKey, Delegation, Passkey, PeerRule, Session, SessionEpoch
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import ExpiredToken, RevokedToken, Unauthenticated
from herod_client.core.grants import intersect_grants

__all__ = [
    "EVERYONE",
    "LOCAL_ADMIN_VIA",
    "cookie_principal",
    "delegation_behind",
    "delegation_via",
    "key_behind",
    "parent_of",
    "parent_of_session",
    "session_epochs",
    "session_group",
    "session_half",
    "session_id",
    "session_principal",
    "via_of",
]

GONE: Final = "The credential behind this token or session no longer exists: sign in again."
LOCAL_ADMIN_VIA: Final = "local_admin"
EVERYONE: Final = "*"  # the id of the session epoch of all subjects
SESSION_OVER: Final = "Your session has ended: sign in again."


def via_of(principal: Principal) -> str:
    """The `via` of a token or session made by `principal`."""
    if principal.delegation is not None:
        return f"{AuthMethod.DELEGATION}:{principal.delegation}"
    if principal.method in (AuthMethod.USER_KEY, AuthMethod.SERVICE_KEY):
        return f"{principal.method}:{principal.credential}:{principal.key_epoch}"
    if principal.method is AuthMethod.PASSKEY:
        return f"{principal.method}:{principal.credential}"
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        return LOCAL_ADMIN_VIA
    return str(principal.method)


def delegation_via(delegation: Delegation) -> str:
    """The `via` of the tokens of a delegation."""
    return f"{AuthMethod.DELEGATION}:{delegation.id}"


def key_behind(via: str) -> str | None:
    """The id of the API key that a token or session was made with, if any."""
    method, _, credential = via.partition(":")
    return credential.partition(":")[0] if method in (AuthMethod.USER_KEY, AuthMethod.SERVICE_KEY) else None


def delegation_behind(via: str) -> str | None:
    """The id of the delegation that an app's token is of, if it is one."""
    method, _, delegation = via.partition(":")
    return delegation if method == AuthMethod.DELEGATION else None


def session_id(runtime: Runtime, cookie: str) -> str:
    """The id of the session that belongs to a cookie."""
    return runtime.keyring.mac(Purpose.SESSIONS, cookie.encode("utf-8", "surrogatepass")).hex()


def session_group(subject: str, maker: str) -> str:
    """The id of the session epoch that ends a subject's sessions; of a shared subject those of one of its users.

    Args:
        maker: as `Session.maker`.
    """
    return f"{subject} {maker}" if maker else subject


def session_epochs(reader: Reader, subject: str, maker: str) -> tuple[int, int]:
    """The session epochs of a subject, or of one of its users, and of everyone: sessions with other ones have ended."""
    own, everyone = reader.get(SessionEpoch, session_group(subject, maker)), reader.get(SessionEpoch, EVERYONE)
    return 0 if own is None else own.epoch, 0 if everyone is None else everyone.epoch


def session_half(runtime: Runtime, half: str) -> str:
    """The lookup value of a session, from the half of its secret that is in the browser's cookie."""
    return runtime.keyring.mac(Purpose.SESSIONS, b"half", half.encode("utf-8", "surrogatepass")).hex()


def parent_of(reader: Reader, runtime: Runtime, subject: str, via: str, epoch: int, now: int) -> Principal:
    """The parent credential of a token or session, with its current grants.

    Raises:
        RevokedToken: it is deleted, disabled or expired, or its epoch has changed since.
        Disabled: its account is disabled.
    """
    method, _, credential = via.partition(":")
    match method:
        case AuthMethod.CLIENT_SECRET | AuthMethod.PASSWORD | AuthMethod.PASSKEY:
            parent = _account(reader, runtime, subject, AuthMethod(method), epoch, credential)
        case AuthMethod.USER_KEY | AuthMethod.SERVICE_KEY:
            parent = _key(reader, runtime, credential, now)
            if parent is not None and (parent.id, parent.method, parent.epoch) != (subject, method, epoch):
                parent = None
        case AuthMethod.DELEGATION:
            parent = _delegation(reader, runtime, credential, subject, epoch, now)
        case AuthMethod.PEER:
            parent = _rule(reader, runtime, subject, epoch)
        case "local_admin" if subject == LOCAL_ADMIN_ID and epoch == runtime.boot_epoch:
            parent = local_admin(runtime)
        case AuthMethod.LEGACY_SECRET:
            secret = runtime.config.legacy.get(subject)
            parent = None if secret is None else legacy_principal(runtime, secret.id, secret.scope)
        case _:
            parent = None
    if parent is None:
        raise RevokedToken(GONE, reason="revoked")
    return parent


def cookie_principal(reader: Reader, runtime: Runtime, cookie: str, now: int) -> Principal:
    """The principal of a cookie's session, limited by the current grants of the credential that opened it.

    Raises:
        ExpiredToken: there is no such session, or it has expired.
        Unauthenticated: the credential that opened it is deleted, disabled or expired.
    """
    session = reader.get(Session, session_id(runtime, cookie))
    if session is None:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    return session_principal(reader, runtime, session, now)


def _has_ended_in_memory(runtime: Runtime, session: Session) -> bool:
    """Whether all sessions were ended while the store could not be written, and so could not take a new one either."""
    for group in (session_group(session.subject, session.maker), EVERYONE):
        at, kept = runtime.ended_sessions.get(group, (-1, ""))
        if session.created_at <= at and session.id != kept:
            return True
    return False


def parent_of_session(reader: Reader, runtime: Runtime, session: Session, now: int) -> Principal:
    """The credential that opened a session, with its current grants; for the session's own see `session_principal`.

    Raises:
        Unauthenticated: the credential is deleted, disabled or expired.
    """
    return parent_of(reader, runtime, session.subject, session.via, session.epoch, now)


def session_principal(reader: Reader, runtime: Runtime, session: Session, now: int) -> Principal:
    """The principal of a session, limited by the current grants of the credential that opened it.

    Raises:
        ExpiredToken: the session has expired or ended.
        Unauthenticated: the credential that opened it is deleted, disabled or expired.
    """
    # While herod is down, any local user can listen on its port, and browsers treat that as the same origin: an open
    # page that refreshes itself would send them cookie and ticket. Over TLS they would lack the certificate.
    has_ended = session.boot is not None and session.boot != runtime.boot_epoch
    is_idle = runtime.session_activity.is_idle(
        session.id, created_at=session.created_at, now=now, limit=runtime.config.session_idle
    )
    has_ended = has_ended or is_idle or session.id in runtime.switched_off
    is_future = session.created_at - CLOCK_SKEW > now  # made while the clock was ahead, it would last as long as that
    has_ended = has_ended or session.epochs != session_epochs(reader, session.subject, session.maker)
    has_ended = has_ended or _has_ended_in_memory(runtime, session)
    if has_ended or is_future or session.expires_at is None or session.expires_at <= now:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    maker = parent_of_session(reader, runtime, session, now)
    is_due = maker.method is AuthMethod.PASSWORD and is_second_factor_due(reader, runtime.config, maker.id, session.amr)
    if is_due and has_second_factor(reader, maker.id):  # it was set up since, in another browser
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name,
        method=AuthMethod.SESSION,
        grants=intersect_grants(maker.grants, runtime.grant(session.scope, session.networks)),
        credential=session.id,
        made_with=maker.method,
        issued_at=session.created_at,
        epoch=maker.epoch,
        signed_in_at=session.created_at,
        amr=session.amr,
        lacks_factor=is_due,
    )


def _account(
    reader: Reader, runtime: Runtime, subject: str, method: AuthMethod, epoch: int, credential: str
) -> Principal | None:
    """The principal of the account itself, if it is in that epoch; a disabled one is reported as such.

    Args:
        credential: the id of its passkey, if that is the method; else empty.
    """
    account = reader.get(Account, subject)
    if account is None or (account.enabled and account.epoch != epoch):
        return None
    if method is AuthMethod.PASSKEY:
        passkey = reader.get(Passkey, credential)
        if passkey is None or passkey.account != subject:
            return None
    return account_principal(runtime, account, method, credential or None)


def _delegation(
    reader: Reader, runtime: Runtime, delegation_id: str, subject: str, epoch: int, now: int
) -> Principal | None:
    """The principal of a delegation, if it is of that account in that epoch; a disabled account is reported as such."""
    delegation = reader.get(Delegation, delegation_id)
    if delegation is not None and (delegation.account, delegation.epoch) == (subject, epoch):
        return delegation_principal(reader, runtime, delegation, now)
    account = reader.get(Account, subject)
    if account is not None:
        account_principal(runtime, account, AuthMethod.DELEGATION)
    return None


def _rule(reader: Reader, runtime: Runtime, subject: str, epoch: int) -> Principal | None:
    """The principal of a peer rule, if it is in that epoch."""
    rule = reader.get(PeerRule, subject)
    if rule is None or rule.epoch != epoch or rule.id in runtime.switched_off:
        return None
    return rule_principal(runtime, [rule])


def _key(reader: Reader, runtime: Runtime, credential: str, now: int) -> Principal | None:
    """The principal of the API key that `via` names, if the key is valid now and in that epoch."""
    key_id, _, epoch = credential.partition(":")
    key = reader.get(ApiKey, key_id)
    if key is None:
        return None
    is_current = (epoch or "0") == str(key.epoch)
    if not is_current and (epoch != str(key.former_epoch) or not is_in_overlap(key, now)):
        return None
    try:
        principal = key_principal(reader, runtime, key, is_former=not is_current)
    except Unauthenticated:
        return None
    return principal if principal.is_live(now) else None
