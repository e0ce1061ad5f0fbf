"""What something stored, or configured, stands for right now: a principal with all that it may do.

Whoever comes with it has still to prove that it is theirs: this is not asked here.
"""

from typing import Final

from herod.errors import BadCredentials, Disabled
from herod.operations.realm import Realm
from herod.records import Account, ApiKey, PeerRule
from herod.scopes.grants import Grant
from herod.scopes.graph import ADMIN
from herod.scopes.principals import AuthMethod, Principal, PrincipalKind
from herod.store.base import Reader

__all__ = [
    "BAD_KEY",
    "LOCAL_ADMIN_ID",
    "account_principal",
    "key_principal",
    "legacy_principal",
    "local_admin",
    "rule_principal",
]

LOCAL_ADMIN_ID: Final = "local-admin"
BAD_KEY: Final = "This key is not valid here: check it for typing errors, or ask an admin for a new one."


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


def legacy_principal(realm: Realm, secret_id: str, scope: str) -> Principal:
    """A legacy secret of the settings, by its id."""
    return Principal(
        id=secret_id,
        kind=PrincipalKind.LEGACY,
        name=f"legacy {scope} secret",
        method=AuthMethod.LEGACY_SECRET,
        grant=realm.grant((scope,), ("*",)),
        credential=secret_id,
        made_with=AuthMethod.LEGACY_SECRET,
    )
