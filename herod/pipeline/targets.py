"""What a command changes: how it is found, who may see it, and what the caller must hold to change it.

The operation table names the target; the pipeline finds and checks it here, inside the transaction, and passes the
record to the handler. No handler looks up its own target.
"""

from typing import Any, TypeVar

from herod.identity.apps.registered_apps import app_grant, is_built_in
from herod.identity.effective_principals import LOCAL_ADMIN_ID, legacy_principal, local_admin
from herod.pipeline.admission import check_own_sign_in
from herod.pipeline.ceilings.privilege_ceilings import check_last_admin, check_target, is_admin, owns
from herod.pipeline.operation_definition import Context, Params, Target
from herod.pipeline.parameters.email_addresses import find_by_email, parse_email
from herod.pipeline.parameters.parameter_types import AccountEmail, ClientId
from herod.pipeline.record_references import named_account, named_app, named_key, named_rule
from herod.records import Account, ApiKey, App, PeerRule, Record
from herod.scopes.principal import Principal, PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.errors import Conflict, InvalidRequest, NotFound
from herod_client.core.grants import Grant, Grants

__all__ = [
    "ACCOUNT",
    "APP",
    "KEY",
    "PEER_RULE",
    "AccountRef",
    "account_of",
    "current_grant",
    "find_account",
    "find_target",
    "grants_of",
    "switch_off_target",
    "switch_on_target",
    "visible",
]

R = TypeVar("R", bound=Record)


class AccountRef(Params, frozen=True, kw_only=True):
    """Exactly one of `client_id` and `email`; `client_id` may be an email or a unique name as well."""

    exactly_one = ("client_id", "email")

    client_id: ClientId | None = None
    email: AccountEmail | None = None


def find_account(reader: Reader, context: Context, ref: AccountRef) -> Account | None:
    """The account with that client_id, unique name or email, or None.

    Raises:
        InvalidRequest: neither or both of client_id and email are given, or nobody can have that email.
    """
    if (ref.client_id is None) == (ref.email is None):
        raise InvalidRequest("Give exactly one of client_id and email.")
    if ref.client_id is not None:
        return named_account(reader, context, ref.client_id)
    account = find_by_email(reader, ref.email or "")
    if account is None:
        parse_email(ref.email or "")  # says what is wrong with it
    return account


def account_of(reader: Reader, context: Context, ref: AccountRef) -> Account:
    """The account with that client_id, unique name or email.

    Raises:
        InvalidRequest: neither or both of client_id and email are given.
        NotFound: there is none.
    """
    account = find_account(reader, context, ref)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def current_grant(reader: Reader, context: Context, key: ApiKey) -> Grant:
    """What a key holds now: at most what its owner does. A demoted user can still delete keys created before."""
    own = context.runtime.grant(key.scope, key.networks)
    owner = reader.get(Account, key.owner) if key.owner is not None else None
    return own if owner is None else own.intersect(context.runtime.grant(owner.scope, owner.networks))


def grants_of(reader: Reader, context: Context, principal_id: str) -> Grants:
    """What a principal holds, whether or not it is enabled; nothing if it no longer exists."""
    runtime = context.runtime
    if principal_id == LOCAL_ADMIN_ID:
        return local_admin(runtime).grants
    if (secret := runtime.config.legacy.get(principal_id)) is not None:
        return legacy_principal(runtime, secret.id, secret.scope).grants
    if (key := reader.get(ApiKey, principal_id)) is not None:
        return (current_grant(reader, context, key),)
    record = reader.get(Account, principal_id) or reader.get(PeerRule, principal_id)
    return () if record is None else (runtime.grant(record.scope, record.networks),)


def switch_off_target(reader: Reader, context: Context, params: Params, record: Record) -> None:
    """Disable a command's target in this process while the store cannot be written.

    Raises:
        Conflict: it is the last admin.
    """
    if isinstance(record, Account | ApiKey):
        check_last_admin(reader, context, record, None)
    context.runtime.switch_off(record.id)


def switch_on_target(context: Context) -> None:
    """Forget, once the store has the change, that the target was disabled in this process."""
    context.runtime.switched_off.discard(context.target or "")


def _is_own_key(principal: Principal, key: ApiKey) -> bool:
    return principal.kind is PrincipalKind.ACCOUNT and key.owner == principal.id


def _find_app(reader: Reader, context: Context, params: Any) -> App | None:
    """The app with that client_id or name.

    Raises:
        Conflict: it is built in.
    """
    app = named_app(reader, context, params.client_id)
    if app is not None and is_built_in(app):
        raise Conflict(f"The app {app.name} is built in: it cannot be changed or deleted.", reason="built_in")
    return app


ACCOUNT = Target(
    noun="account",
    find=find_account,
    is_own=lambda principal, account: owns(principal, account.id),
    grants=lambda reader, context, account: (context.runtime.grant(account.scope, account.networks),),
)
KEY = Target(
    noun="key",
    find=lambda reader, context, params: named_key(reader, context, params.id),
    is_own=_is_own_key,
    grants=lambda reader, context, key: (current_grant(reader, context, key),),
)
APP = Target(
    noun="app",
    find=_find_app,
    grants=lambda reader, context, app: (app_grant(context.runtime, app),),
)
PEER_RULE = Target(
    noun="peer rule",
    find=lambda reader, context, params: named_rule(reader, params.id),
    grants=lambda reader, context, rule: (context.runtime.grant(rule.scope, rule.networks),),
)


def visible(context: Context, target: Target[R], record: R | None) -> R:
    """The record, if the caller may see it: it is their own, or they are an admin.

    Raises:
        NotFound: it does not exist, or is not theirs; the answer is the same.
    """
    if record is None:
        raise NotFound(f"There is no such {target.noun}.")
    if not is_admin(context) and not target.is_own(context.principal, record):
        raise NotFound(f"There is no such {target.noun}.", reason="not_owner")
    return record


def find_target(reader: Reader, context: Context, target: Target[R], params: Params) -> R | None:
    """The record that a command changes, if the caller may see it and holds no less. Its id is noted for the audit.

    Raises:
        NotFound: it does not exist, or the caller may not see it.
        TargetDenied: it holds more than the caller.
        CeilingExceeded, PersonNeeded, ExpiredToken: it is the caller's own, and as `check_own_sign_in`.
    """
    record = target.find(reader, context, params)
    if record is None and target.is_optional:
        return None
    record = visible(context, target, record)
    context.target = record.id
    if target.own_sign_in is not None and isinstance(record, Account) and owns(context.principal, record.id):
        check_own_sign_in(reader, context, record, target.own_sign_in)
    grants: Grants = target.grants(reader, context, record)
    check_target(context, *grants)
    return record
