"""The current principal of a stored record or configured secret, with its effective grants.

This does not authenticate: the caller has already verified the credential.
"""

from typing import Final

import msgspec

from herod.identity.apps.oauth_apps import AppOrigin
from herod.identity.apps.openid_scopes import openid_scopes_of
from herod.identity.apps.registered_apps import app_grant, registered_app
from herod.identity.runtime_state import Runtime
from herod.records import Account, ApiKey, Delegation, PeerRule
from herod.scopes.principal import AuthMethod, Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import BadCredentials, Disabled, RevokedToken
from herod_client.core.grants import Grant, Grants
from herod_client.core.refusal_reasons import OWNER_DISABLED
from herod_client.core.scope_graph import OWNER

__all__ = [
    "BAD_KEY",
    "LOCAL_ADMIN_ID",
    "account_principal",
    "delegated_grant",
    "delegation_principal",
    "grant_of_app",
    "is_delegation_live",
    "is_in_overlap",
    "key_principal",
    "legacy_principal",
    "local_admin",
    "rule_principal",
]

LOCAL_ADMIN_ID: Final = "local-admin"
DELEGATION_OVER: Final = "Access for this app has ended or was taken back: connect the app again."
APP_GONE: Final = "An admin has disabled or deleted this app: ask them, or use another one."
BAD_KEY: Final = "This key is not valid here: check it for typing errors, or ask an admin for a new one."


def account_principal(
    runtime: Runtime, account: Account, method: AuthMethod, credential: str | None = None
) -> Principal:
    """The principal of an account, with all its grants.

    Raises:
        Disabled: the account is disabled.
    """
    if not account.enabled or account.id in runtime.switched_off:
        raise Disabled("This account is disabled: ask an admin to enable it.")
    return Principal(
        id=account.id,
        kind=PrincipalKind.ACCOUNT,
        name=account.name,
        method=method,
        grants=(runtime.grant(account.scope, account.networks),),
        credential=credential or account.id,
        made_with=method,
        epoch=account.epoch,
    )


def delegated_grant(runtime: Runtime, delegation: Delegation) -> Grant:
    """What a delegation lets its app do, before it is narrowed to what the account holds now.

    Never `owner`, nor a scope of the settings that includes it.
    """
    grant, graph = runtime.grant(delegation.scope, delegation.networks, delegation.expires_at), runtime.config.graph
    most = grant.mask & graph.mask((OWNER,)) & ~graph.bit(OWNER)
    return grant if most == grant.mask else msgspec.structs.replace(grant, mask=most)


def grant_of_app(reader: Reader, runtime: Runtime, delegation: Delegation) -> Grant | None:
    """The same, narrowed to what an admin lets the app be given now; None if it is disabled or deleted."""
    grant = delegated_grant(runtime, delegation)
    if delegation.app_origin != AppOrigin.REGISTERED:
        return grant
    app = registered_app(reader, runtime, delegation.app)
    return None if app is None else grant.intersect(app_grant(runtime, app))


def is_delegation_live(runtime: Runtime, delegation: Delegation, account: Account | None, now: int) -> bool:
    """Whether a delegation has neither ended nor been taken back, and its account is in the same epoch and enabled."""
    return (
        account is not None
        and account.enabled
        and account.id == delegation.account
        and account.epoch == delegation.epoch
        and account.id not in runtime.switched_off
        and delegation.id not in runtime.switched_off
        and not delegation.has_ended(now)
    )


def delegation_principal(reader: Reader, runtime: Runtime, delegation: Delegation, now: int) -> Principal:
    """The account as an app acts for it: narrowed to what it delegated and holds now, and to what the app may be given.

    Raises:
        RevokedToken: the delegation has ended, or was taken back, or the app was deleted or disabled.
        Disabled: the account is disabled.
    """
    account = reader.get(Account, delegation.account)
    if account is not None and not is_delegation_live(runtime, delegation, account, now):
        account_principal(runtime, account, AuthMethod.DELEGATION)  # says that it is disabled
        account = None
    if account is None:
        raise RevokedToken(DELEGATION_OVER, reason="revoked")
    delegated = grant_of_app(reader, runtime, delegation)
    if delegated is None:
        raise RevokedToken(APP_GONE, reason="revoked")
    return Principal(
        id=account.id,
        kind=PrincipalKind.ACCOUNT,
        name=account.name,
        method=AuthMethod.DELEGATION,
        grants=(runtime.grant(account.scope, account.networks).intersect(delegated),),
        credential=delegation.id,
        made_with=AuthMethod.DELEGATION,
        epoch=account.epoch,
        issued_at=delegation.created_at,
        expires_at=delegation.expires_at,
        delegation=delegation.id,
        app=delegation.app,
        openid=openid_scopes_of(delegation.scope),
    )


def key_principal(reader: Reader, runtime: Runtime, key: ApiKey, *, is_former: bool = False) -> Principal:
    """The principal of an API key: its owner narrowed to the key's grant, or the service key itself.

    Args:
        is_former: it was presented with the former secret: tokens and sessions made with that must end with it.

    Raises:
        Disabled: the key, or its owner's account, is disabled. Only who showed the whole secret may be told.
        BadCredentials: its owner is deleted.
    """
    if not key.enabled or key.id in runtime.switched_off:
        raise Disabled(
            "This API key is disabled: enable it again, or use another one.", hint=f"herod key enable {key.id}"
        )
    ends = key.expires_at
    if is_former:
        ends = key.former_until if ends is None else min(key.former_until, ends)
    epoch = key.former_epoch if is_former else key.epoch
    own = runtime.grant(key.scope, key.networks, ends)
    if key.owner is None:
        return Principal(
            id=key.id,
            kind=PrincipalKind.SERVICE,
            name=key.name,
            method=AuthMethod.SERVICE_KEY,
            grants=(own,),
            credential=key.id,
            made_with=AuthMethod.SERVICE_KEY,
            key_epoch=epoch,
            issued_at=key.created_at,
            expires_at=ends,
            is_former=is_former,
        )
    owner = reader.get(Account, key.owner)
    if owner is None:  # the key is about to be deleted, and is unknown from then on
        raise BadCredentials(BAD_KEY, reason="owner_gone")
    if not owner.enabled or owner.id in runtime.switched_off:
        raise Disabled(
            "The account of this API key's owner is disabled: ask an admin to enable it.", reason=OWNER_DISABLED
        )
    return Principal(
        id=owner.id,
        kind=PrincipalKind.ACCOUNT,
        name=owner.name,
        method=AuthMethod.USER_KEY,
        grants=(runtime.grant(owner.scope, owner.networks).intersect(own),),
        credential=key.id,
        made_with=AuthMethod.USER_KEY,
        epoch=owner.epoch,
        key_epoch=epoch,
        issued_at=key.created_at,
        expires_at=ends,
        is_former=is_former,
    )


def is_in_overlap(key: ApiKey, now: int) -> bool:
    """Whether the former secret of a rotated key is valid.

    An overlap that begins in the future was set while the clock was ahead, and would last as long as that.
    """
    return now < key.former_until and (key.rotated_at or 0) - CLOCK_SKEW <= now


def rule_principal(runtime: Runtime, rules: list[PeerRule]) -> Principal:
    """A local process admitted by one uid rule or by several group rules, whose grants are kept separate.

    The audit log identifies it by the first rule's id.
    """
    parts = [_one_rule_principal(runtime, rule) for rule in rules]
    if len(parts) == 1:
        return parts[0]
    grants: Grants = tuple([grant for part in parts for grant in part.grants])
    return msgspec.structs.replace(parts[0], grants=grants, parts=tuple(parts))


def _one_rule_principal(runtime: Runtime, rule: PeerRule) -> Principal:
    return Principal(
        id=rule.id,
        kind=PrincipalKind.PEER,
        name=rule.subject,
        method=AuthMethod.PEER,
        grants=(runtime.grant(rule.scope, rule.networks),),
        credential=rule.id,
        made_with=AuthMethod.PEER,
        epoch=rule.epoch,
    )


def local_admin(runtime: Runtime) -> Principal:
    """The local admin, as proved by uid and cookie."""
    return Principal(
        id=LOCAL_ADMIN_ID,
        kind=PrincipalKind.LOCAL_ADMIN,
        name="local admin",
        method=AuthMethod.PEER,
        grants=(runtime.grant((OWNER,), ("*",)),),
        credential=LOCAL_ADMIN_ID,
        made_with=AuthMethod.PEER,
        epoch=runtime.boot_epoch,
    )


def legacy_principal(runtime: Runtime, secret_id: str, scope: str) -> Principal:
    """The principal of a legacy secret of the settings, by the secret's id."""
    return Principal(
        id=secret_id,
        kind=PrincipalKind.LEGACY,
        name=f"legacy {scope} secret",
        method=AuthMethod.LEGACY_SECRET,
        grants=(runtime.grant((scope,), ("*",)),),
        credential=secret_id,
        made_with=AuthMethod.LEGACY_SECRET,
    )
