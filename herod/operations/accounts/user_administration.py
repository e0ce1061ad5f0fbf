"""Account administration: add, show, change, disable and delete accounts."""

from typing import Annotated, Final, Literal

import msgspec

from herod.operations.accounts.account_creation import account_with_secret, check_accounts, hashing
from herod.operations.accounts.login_and_registration import address_in_use
from herod.pipeline.ceilings.privilege_ceilings import (
    given_scope,
    own_networks,
)
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Tool,
    Work,
    command,
    query,
)
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.email_addresses import find_by_email
from herod.pipeline.parameters.parameter_annotations import SecretText
from herod.pipeline.parameters.parameter_types import (
    EXAMPLE_ID,
    AccountName,
    Cursor,
    Email,
    Limit,
    NetworkNames,
    NewPassword,
    Scope,
)
from herod.pipeline.result_views import User, account_view, hide_values
from herod.pipeline.targets import ACCOUNT, AccountRef, account_of, switch_off_target, switch_on_target
from herod.records import SERVICE_KEYS, Account, ApiKey, PeerRule
from herod.store.owned_records import delete_with_owned, owned_by
from herod.store.page_cursors import Order
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod_client.core.errors import NotFound
from herod_client.core.grants import list_networks, parse_networks
from herod_client.core.scope_graph import ADMIN, READ

__all__ = [
    "users_add",
    "users_delete",
    "users_disable",
    "users_enable",
    "users_get",
    "users_list",
    "users_scope",
    "users_update",
]


# Keys of a deleted account that are counted for the answer.
MAX_COUNTED: Final = 100_000

Confirmed = Annotated[
    bool,
    msgspec.Meta(description="whether you vouch for its email and name: apps then take its email as verified"),
]
UserOrder = Annotated[Literal["oldest", "newest"], msgspec.Meta(description="which accounts come first")]


class ListUsers(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE
    order: UserOrder = "oldest"


class AddUser(Params, frozen=True, kw_only=True):
    """Every field is optional; `scope` defaults to read, `networks` to your own."""

    email: Email | None = None
    name: AccountName | None = None
    password: NewPassword | None = None
    scope: Scope = READ
    networks: NetworkNames | None = None


class AddedUser(msgspec.Struct, frozen=True):
    """The account; `client_secret` is shown only once."""

    __repr__ = hide_values

    client_id: str
    client_secret: SecretText
    email: str | None
    name: str
    scope: str
    networks: list[str]


class SetScope(AccountRef, frozen=True, kw_only=True):
    """The account and its new scope, space-separated."""

    scope: Scope


class UpdateUser(AccountRef, frozen=True, kw_only=True):
    """Omitted fields stay unchanged."""

    name: AccountName | msgspec.UnsetType = msgspec.UNSET
    networks: NetworkNames | msgspec.UnsetType = msgspec.UNSET
    confirmed: Confirmed | msgspec.UnsetType = msgspec.UNSET


class DeletedUser(msgspec.Struct, frozen=True):
    """`keys` were deleted with the account; `service_keys` and `peer_rules` that it created stay until deleted.

    `more_keys` is the number of further keys of the account: they are refused too, and deleted in the next seconds.
    """

    client_id: str
    deleted: bool
    keys: list[str]
    service_keys: list[str]
    peer_rules: list[str]
    more_keys: int = 0


@query(
    "users.list",
    needs=ADMIN,
    example={"limit": 50},
    http=("GET /api/v1/users",),
    tool=Tool("list_users"),
)
def users_list(reader: Reader, context: Context, params: ListUsers) -> Page[User]:
    """List accounts, oldest first."""
    order, limit = Order(params.order), parse_limit(params.limit)
    page = reader.list(Account, order=order, cursor=params.cursor, limit=limit)
    return page_of(page, lambda account: account_view(context.runtime.in_force(account)), order=order)


@query(
    "users.get",
    needs=ADMIN,
    example={"client_id": EXAMPLE_ID},
    http=("GET /api/v1/users/{client_id}",),
    tool=Tool("get_user"),
    failures=(NotFound,),
)
def users_get(reader: Reader, context: Context, params: AccountRef) -> User:
    """Show an account."""
    return account_view(context.runtime.in_force(account_of(reader, context, params)))


def _hash_password(reader: Reader, context: Context, params: AddUser) -> Work | None:
    return None if params.password is None else hashing(params.password, params.email, params.name)


@command(
    "users.add",
    credential=True,
    gives=Account,
    issues=True,
    needs=ADMIN,
    example={"email": "ada@example.org", "scope": "write"},
    http=("POST /users/add", "POST /api/v1/users"),
    tool=Tool("add_user"),
    prepare=_hash_password,
    creates=True,
    target=NoTarget("creates an account"),
)
def users_add(tx: Writer, context: Context, params: AddUser) -> AddedUser:
    """Create an account. Its client secret is shown once."""
    scope = given_scope(context, params.scope)
    account, secret = account_with_secret(
        context,
        email=params.email,
        name=params.name,
        password=context.prepared,
        scope=scope,
        networks=_given_networks(context, params.networks, scope),
    )
    if params.email is not None and find_by_email(tx, params.email) is not None:
        raise address_in_use()
    check_accounts(tx, context, registers=False)
    tx.put(account)
    context.target = account.id
    view = account_view(account)
    return AddedUser(account.id, secret, view.email, view.name, view.scope, view.networks)


@command(
    "users.scope",
    credential=True,
    gives=Account,
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID, "scope": "read"},
    http=("POST /users/scope", "PUT /api/v1/users/{client_id}/scope"),
    tool=Tool("set_user_scope", destructive=True, idempotent=True),
    failures=(NotFound,),
)
def users_scope(tx: Writer, context: Context, params: SetScope, account: Account) -> User:
    """Set an account's scope. Its API keys, sessions and tokens are narrowed at their next use."""
    return _change(tx, context, account, scope=given_scope(context, params.scope))


@command(
    "users.update",
    credential=True,
    gives=Account,
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID, "name": "Ada L."},
    http=("PATCH /api/v1/users/{client_id}",),
    failures=(NotFound,),
)
def users_update(tx: Writer, context: Context, params: UpdateUser, account: Account) -> User:
    """Change an account's name or networks, or confirm that an account that registered itself is who it says it is."""
    changes: dict[str, object] = {}
    if params.name is not msgspec.UNSET:
        changes["name"] = params.name
    if params.networks is not msgspec.UNSET:
        changes["networks"] = _given_networks(context, params.networks, account.scope)
    if params.confirmed is not msgspec.UNSET:
        changes["confirmed"] = params.confirmed
    return _change(tx, context, account, **changes)


@command(
    "users.enable",
    credential=True,
    gives=Account,
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/users/{client_id}/enable",),
    written=switch_on_target,
    failures=(NotFound,),
)
def users_enable(tx: Writer, context: Context, params: AccountRef, account: Account) -> User:
    """Enable a disabled account. Tokens and sessions that ended when it was disabled stay ended."""
    is_off_here = account.id in context.runtime.switched_off  # it was disabled while the store could not be written
    return _change(tx, context, account, enabled=True, epoch=account.epoch + is_off_here)


@command(
    "users.disable",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID},
    http=("POST /api/v1/users/{client_id}/disable",),
    tool=Tool("disable_user", destructive=True, idempotent=True),
    unwritten=switch_off_target,
    failures=(NotFound,),
)
def users_disable(tx: Writer, context: Context, params: AccountRef, account: Account) -> User:
    """Disable an account: its tokens and sessions end, its API keys are refused until it is enabled again."""
    return _change(tx, context, account, enabled=False, epoch=account.epoch + account.enabled)


@command(
    "users.delete",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    target=ACCOUNT,
    example={"client_id": EXAMPLE_ID},
    http=("POST /users/delete", "DELETE /api/v1/users/{client_id}"),
    tool=Tool("delete_user", destructive=True, idempotent=True),
    unwritten=switch_off_target,
    failures=(NotFound,),
)
def users_delete(tx: Writer, context: Context, params: AccountRef, account: Account) -> DeletedUser:
    """Delete an account with its API keys and sessions. Its tokens are refused at once."""
    service_keys = [key.id for key in owned_by(tx, ApiKey, SERVICE_KEYS) if key.creator == account.id]
    peer_rules = [rule.id for rule in tx.scan(PeerRule) if rule.creator == account.id]
    keys = tx.count_owned(ApiKey, account.id, limit=MAX_COUNTED)
    gone = delete_with_owned(tx, account, now=context.now)[ApiKey]
    return DeletedUser(
        account.id,
        deleted=True,
        keys=gone,
        service_keys=service_keys,
        peer_rules=peer_rules,
        more_keys=keys - len(gone),
    )


def _change(tx: Writer, context: Context, account: Account, **changes: object) -> User:
    changed: Account = msgspec.structs.replace(account, **changes)
    tx.put(changed)
    return account_view(changed)


def _given_networks(context: Context, names: list[str] | None, scope: tuple[str, ...]) -> tuple[str, ...]:
    if names is None:
        return list_networks(own_networks(context, scope))
    return list_networks(parse_networks(names, context.runtime.config.networks))
