"""Who is this? Every kind of credential becomes a `Principal` here, and nowhere else.

The effective grant is own ∩ the credential ∩ whatever it was made with, read from the store at every use: what was
demoted, disabled or deleted a moment ago is so already. The same function runs before a command and again inside its
transaction.

A token or session says in `via` what it was made with:

    client_secret | password     the account itself
    user_key:ID | service_key:ID an API key
    peer                         the peer rule that is its subject
    local_admin                  this process's local admin
    legacy_secret                the legacy secret that is its subject
"""

import hmac
from typing import Final

import msgspec

from herod.credentials.apikeys import KeyKind, hash_secret, looks_like_key, matches, parse_key
from herod.credentials.carried import HASH_BYTES, OWN_KEY, matches_carried, parse_hash
from herod.credentials.keyring import Purpose
from herod.credentials.tokens import Claims
from herod.errors import BadCredentials, BadToken, Disabled, ExpiredToken, RevokedToken, Unauthenticated
from herod.operations.presented import (
    ApiKeyHeader,
    Audience,
    Basic,
    Bearer,
    PeerClaim,
    Presented,
    SecretHeader,
    SessionCookie,
)
from herod.operations.realm import Realm, looks_like_token
from herod.records import Account, ApiKey, HashKey, PeerRule, Revocation, Session
from herod.scopes.grants import Grant
from herod.scopes.graph import ADMIN
from herod.scopes.principals import ANONYMOUS, NOBODY_UID, AuthMethod, Principal, PrincipalKind, Source
from herod.store.base import Reader

__all__ = [
    "LOCAL_ADMIN_ID",
    "account_principal",
    "identify",
    "key_principal",
    "local_admin",
    "looks_like_token",
    "rule_principal",
    "session_half",
    "session_id",
    "session_maker",
    "session_principal",
    "token_holder",
    "token_principal",
    "via_of",
]

LOCAL_ADMIN_ID: Final = "local-admin"
BAD_KEY: Final = "This key is not valid here: check it for typing errors, or ask an admin for a new one."
BAD_CLIENT: Final = "Unknown client_id or wrong client secret."
BAD_SECRET: Final = "Unknown secret, key or token."  # noqa: S105 - a message
GONE: Final = "What this was made with is gone: sign in again."
SESSION_OVER: Final = "Your session is over: sign in again."


def identify(reader: Reader, realm: Realm, presented: Presented | None, source: Source, now: int) -> Principal:
    """Turn what was presented into who it is, with what they hold right now.

    Raises:
        Unauthenticated: one of its kinds; nothing presented at all is `ANONYMOUS`, not an error.
    """
    match presented:
        case None:
            return ANONYMOUS
        case Bearer(text):
            principal = bearer_principal(reader, realm, text, now, audience=presented.audience)
            return principal if presented.audience is not Audience.MCP else _never_local_admin(principal)
        case ApiKeyHeader(text):
            return _by_key(reader, realm, text, now)
        case SecretHeader(text):
            return _by_legacy_secret(realm, text)
        case Basic(client_id, secret):
            return _by_client_secret(reader, realm, client_id, secret)
        case SessionCookie(text):
            principal = _by_session(reader, realm, text, now)
            return principal if presented.may_be_admin else _never_local_admin(principal)
        case PeerClaim():
            return _by_peer(reader, realm, presented, source)


def bearer_principal(
    reader: Reader, realm: Realm, text: str, now: int, *, audience: Audience = Audience.HEROD
) -> Principal:
    """Who a token, an API key or a legacy secret stands for.

    Args:
        audience: which tokens are taken of those that were made for one resource.

    Raises:
        Unauthenticated: it stands for nobody.
    """
    if looks_like_key(text):
        return _by_key(reader, realm, text, now)
    if not looks_like_token(text):
        return _by_legacy_secret(realm, text)
    try:
        claims = realm.claims(text, now)
    except BadToken:
        secret = realm.legacy.match(text)  # which may look like anything
        if secret is None:
            raise
        return _legacy_principal(realm, secret.id, secret.scope)
    principal = token_principal(reader, realm, claims, now)
    if claims.aud is not None:
        _check_audience(realm, claims.aud, audience)
    return principal


def token_principal(reader: Reader, realm: Realm, claims: Claims, now: int) -> Principal:
    """Who holds a verified token, narrowed to what it was made with as that is now.

    Raises:
        RevokedToken: it was revoked, its epoch is over, or its subject is gone.
        Disabled: its account is switched off.
    """
    mark = f"{claims.sub}/{claims.jti}"
    if mark in realm.revoked or reader.get(Revocation, mark) is not None:
        raise RevokedToken("This token was revoked: get a new one.")
    return token_holder(reader, realm, claims, now)


def token_holder(reader: Reader, realm: Realm, claims: Claims, now: int) -> Principal:
    """As `token_principal`, whether or not the token itself was revoked: for who revokes it, not for who presents it.

    Raises:
        RevokedToken: its epoch is over, or its subject is gone.
        Disabled: its account is switched off.
    """
    maker = _maker(reader, realm, claims.sub, claims.via, claims.epoch, now)
    own = realm.grant(tuple(claims.scope.split()), ("*",) if claims.networks is None else claims.networks)
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name,
        method=AuthMethod.JWT,
        grant=maker.grant.intersect(own),
        credential=claims.jti,
        made_with=maker.method,
        epoch=maker.epoch,
        issued_at=claims.iat,
        expires_at=claims.exp,
        audience=claims.aud,
    )


def account_principal(realm: Realm, account: Account, method: AuthMethod, credential: str | None = None) -> Principal:
    """An account with all that it holds.

    Raises:
        Disabled: it is switched off.
    """
    if not account.enabled or account.id in realm.switched_off:
        raise Disabled("This account is disabled: ask an admin to enable it.")
    return Principal(
        id=account.id,
        kind=PrincipalKind.ACCOUNT,
        name=account.name,
        method=method,
        grant=realm.grant(account.scope, account.networks),
        credential=credential or account.id,
        made_with=method,
        epoch=account.epoch,
    )


def key_principal(reader: Reader, realm: Realm, key: ApiKey) -> Principal:
    """What an API key stands for: its owner narrowed to it, or itself.

    Raises:
        BadCredentials: it is disabled, or its owner is gone or disabled.
    """
    if not key.enabled or key.id in realm.switched_off:
        raise BadCredentials(BAD_KEY, reason="disabled")
    own = realm.grant(key.scope, key.networks, key.expires_at)
    if key.owner is None:
        return Principal(
            id=key.id,
            kind=PrincipalKind.SERVICE,
            name=key.name,
            method=AuthMethod.SERVICE_KEY,
            grant=own,
            credential=key.id,
            made_with=AuthMethod.SERVICE_KEY,
            issued_at=key.created_at,
            expires_at=key.expires_at,
        )
    owner = reader.get(Account, key.owner)
    if owner is None or not owner.enabled or owner.id in realm.switched_off:
        raise BadCredentials(BAD_KEY, reason="owner_gone" if owner is None else "owner_disabled")
    return Principal(
        id=owner.id,
        kind=PrincipalKind.ACCOUNT,
        name=owner.name,
        method=AuthMethod.USER_KEY,
        grant=realm.grant(owner.scope, owner.networks).intersect(own),
        credential=key.id,
        made_with=AuthMethod.USER_KEY,
        epoch=owner.epoch,
        issued_at=key.created_at,
        expires_at=key.expires_at,
    )


def rule_principal(realm: Realm, rules: list[PeerRule]) -> Principal:
    """A local process admitted by one uid rule or by several group rules, which unite.

    The first rule's id is the subject: a token made here is worth no more than that rule alone.
    """
    grants = [realm.grant(rule.scope, rule.networks) for rule in rules]
    mask = 0
    for grant in grants:
        mask |= grant.mask
    networks = frozenset[str]().union(*(grant.networks for grant in grants))
    return Principal(
        id=rules[0].id,
        kind=PrincipalKind.PEER,
        name=rules[0].subject,
        method=AuthMethod.PEER,
        grant=Grant(mask=mask, networks=frozenset({"*"}) if "*" in networks else networks),
        credential=rules[0].id,
        made_with=AuthMethod.PEER,
        epoch=rules[0].epoch,
    )


def local_admin(realm: Realm) -> Principal:
    """The machine's own administrator, as attested by uid and cookie."""
    return Principal(
        id=LOCAL_ADMIN_ID,
        kind=PrincipalKind.LOCAL_ADMIN,
        name="local admin",
        method=AuthMethod.PEER,
        grant=realm.grant((ADMIN,), ("*",)),
        credential=LOCAL_ADMIN_ID,
        made_with=AuthMethod.PEER,
        epoch=realm.boot_epoch,
    )


def via_of(principal: Principal) -> str:
    """How a token or session made by `principal` names its maker."""
    if principal.method in (AuthMethod.USER_KEY, AuthMethod.SERVICE_KEY):
        return f"{principal.method}:{principal.credential}"
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        return "local_admin"
    return str(principal.method)


def session_id(realm: Realm, cookie: str) -> str:
    """The id under which a session cookie's session is kept."""
    return realm.keyring.mac(Purpose.SESSIONS, cookie.encode("utf-8", "surrogatepass")).hex()


def session_half(realm: Realm, half: str) -> str:
    """What a session is found by when only the half of its secret is known that stands in the browser's cookie."""
    return realm.keyring.mac(Purpose.SESSIONS, b"half", half.encode("utf-8", "surrogatepass")).hex()


def session_maker(reader: Reader, realm: Realm, session: Session, now: int) -> Principal:
    """What opened a session, as it is now; what the session itself may do is `session_principal`.

    Raises:
        Unauthenticated: it is gone, switched off or over.
    """
    return _maker(reader, realm, session.subject, session.via, session.epoch, now)


def session_principal(reader: Reader, realm: Realm, session: Session, now: int) -> Principal:
    """Who is signed in by a session, narrowed to what it was opened with as that is now.

    Raises:
        ExpiredToken: its time is over.
        Unauthenticated: what it was opened with is gone, switched off or over.
    """
    if session.expires_at is None or session.expires_at <= now:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    maker = session_maker(reader, realm, session, now)
    return Principal(
        id=maker.id,
        kind=maker.kind,
        name=maker.name,
        method=AuthMethod.SESSION,
        grant=maker.grant.intersect(realm.grant(session.scope, session.networks)),
        credential=session.id,
        made_with=maker.method,
        epoch=maker.epoch,
    )


def _maker(reader: Reader, realm: Realm, subject: str, via: str, epoch: int, now: int) -> Principal:
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
            return account_principal(realm, account, AuthMethod(method))
        case AuthMethod.USER_KEY | AuthMethod.SERVICE_KEY:
            key = reader.get(ApiKey, credential)
            maker = _live_key(reader, realm, key, now) if key is not None else None
            if maker is not None and (maker.id, maker.method, maker.epoch) == (subject, method, epoch):
                return maker
        case AuthMethod.PEER:
            rule = reader.get(PeerRule, subject)
            if rule is not None and rule.epoch == epoch:
                return rule_principal(realm, [rule])
        case "local_admin" if subject == LOCAL_ADMIN_ID and epoch == realm.boot_epoch:
            return local_admin(realm)
        case AuthMethod.LEGACY_SECRET:
            secret = realm.legacy.get(subject)
            if secret is not None:
                return _legacy_principal(realm, secret.id, secret.scope)
        case _:
            pass
    raise RevokedToken(GONE, reason="revoked")


def _live_key(reader: Reader, realm: Realm, key: ApiKey, now: int) -> Principal | None:
    try:
        principal = key_principal(reader, realm, key)
    except BadCredentials:
        return None
    return principal if principal.grant.is_live(now) else None


def _by_key(reader: Reader, realm: Realm, text: str, now: int) -> Principal:
    parsed = parse_key(text)
    key = reader.get(ApiKey, parsed.id)
    computed = hash_secret(realm.keyring, "key", parsed.id, text)
    if key is None:
        raise BadCredentials(BAD_KEY, reason="unknown_key")
    is_former = False
    if not _is_secret(reader, realm, key, key.secret_hash, computed, text):
        if key.former_hash is None or not _is_secret(reader, realm, key, key.former_hash, computed, text):
            raise BadCredentials(BAD_KEY, reason="wrong_secret")
        if now >= key.former_until:
            raise BadCredentials(BAD_KEY, reason="rotated")
        is_former = True
    if (key.owner is None) is not (parsed.kind is KeyKind.SERVICE):
        raise BadCredentials(BAD_KEY, reason="wrong_kind")
    principal = key_principal(reader, realm, key)
    if not principal.grant.is_live(now):
        raise BadCredentials(BAD_KEY, reason="expired")
    return msgspec.structs.replace(principal, is_former=True) if is_former else principal


def _check_audience(realm: Realm, meant: str, taken: Audience) -> None:
    """Refuse a token that is meant for somebody else: whom it was sent to must not be able to use it here."""
    own = realm.public_url
    if taken is Audience.ANY or meant in {own, f"{own}/"} or (taken is Audience.MCP and meant == f"{own}/mcp"):
        return
    raise BadToken("This token was made for another resource: ask for one without it.", reason="audience")


def _by_legacy_secret(realm: Realm, text: str) -> Principal:
    secret = realm.legacy.match(text)
    if secret is None:
        raise BadCredentials(BAD_SECRET, reason="unknown_secret")
    return _legacy_principal(realm, secret.id, secret.scope)


def _legacy_principal(realm: Realm, secret_id: str, scope: str) -> Principal:
    return Principal(
        id=secret_id,
        kind=PrincipalKind.LEGACY,
        name=f"legacy {scope} secret",
        method=AuthMethod.LEGACY_SECRET,
        grant=realm.grant((scope,), ("*",)),
        credential=secret_id,
        made_with=AuthMethod.LEGACY_SECRET,
    )


def _by_client_secret(reader: Reader, realm: Realm, client_id: str, secret: str) -> Principal:
    account = reader.get(Account, client_id)
    computed = hash_secret(realm.keyring, "client_secret", client_id, secret)  # the same work for an unknown client
    if account is None or not _is_secret(reader, realm, account, account.secret_hash, computed, secret):
        raise BadCredentials(BAD_CLIENT, reason="unknown_client" if account is None else "wrong_secret")
    return account_principal(realm, account, AuthMethod.CLIENT_SECRET)


def _is_secret(
    reader: Reader, realm: Realm, record: Account | ApiKey, stored: bytes, computed: bytes, text: str
) -> bool:
    """Whether `text`, whose hash under this store's key is `computed`, is the record's secret kept as `stored`."""
    if len(stored) == HASH_BYTES:
        return matches(stored, computed)
    carried = parse_hash(stored)  # imported: another store or Hero Auth has made it
    if carried is None:
        return False
    if carried.key_id == OWN_KEY:
        key = realm.keyring.key(Purpose.KEY_HASHES)
    else:
        kept = reader.get(HashKey, carried.key_id)
        if kept is None:
            return False
        key = kept.key
    label = "client_secret" if isinstance(record, Account) else "key"
    return matches_carried(carried, key, label, record.id, text)


def _by_session(reader: Reader, realm: Realm, cookie: str, now: int) -> Principal:
    session = reader.get(Session, session_id(realm, cookie))
    if session is None:
        raise ExpiredToken(SESSION_OVER, reason="session_over")
    return session_principal(reader, realm, session, now)


def _by_peer(reader: Reader, realm: Realm, claim: PeerClaim, source: Source) -> Principal:
    peer = source.peer
    if peer is None:
        raise _no_peer("only a Unix socket bound without peer=off tells herod who its peer is", "no_peer")
    if claim.is_relayed:
        raise _no_peer("a request that was relayed or comes from a browser must bring its own credential", "relayed")
    if peer.uid == NOBODY_UID:
        raise _no_peer("this process's user does not exist outside its container", "nobody")
    if claim.may_be_admin and _is_local_admin(realm, claim, source, peer.uid):
        return local_admin(realm)
    rules = reader.find(PeerRule, "peer", f"uid:{peer.uid}")
    if not rules:
        gids = sorted({peer.gid, *peer.groups} - {NOBODY_UID})
        rules = [rule for gid in gids for rule in reader.find(PeerRule, "peer", f"gid:{gid}")]
    if not rules:
        raise BadCredentials(
            f"No rule admits uid {peer.uid} on this socket.",
            reason="no_peer_rule",
            hint=f"herod peer allow --uid {peer.uid} --scope read",
        )
    return rule_principal(realm, rules)


def _is_local_admin(realm: Realm, claim: PeerClaim, source: Source, uid: int) -> bool:
    if claim.cookie is None or source.cookie is None or uid not in (0, realm.daemon_uid):
        return False
    return hmac.compare_digest(claim.cookie.encode(), source.cookie.encode())


def _never_local_admin(principal: Principal) -> Principal:
    """Refuse what the local admin made for itself, at a door where it does not exist."""
    if principal.kind is PrincipalKind.LOCAL_ADMIN:
        raise BadCredentials("The local admin does not exist here: present a key.", reason="local_admin")
    return principal


def _no_peer(why: str, reason: str) -> Unauthenticated:
    return BadCredentials(f"Authorization: Peer was refused: {why}.", reason=reason)
