"""API keys: make, list, look at, delete. A user's key is its owner narrowed; a service key stands for itself."""

from typing import Literal

import msgspec

from herod.credentials.secret_hashes import hash_secret
from herod.operations.keys.list_filters import KeyKindName, KeyOrder, KeyState, Wanted, find_keys, named_keys
from herod.pipeline.credential_last_used import former_use
from herod.pipeline.operation_definition import Context, Params, Tool, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameter_types import (
    Cursor,
    ExpiresAt,
    KeyId,
    KeyName,
    Label,
    Limit,
    NetworkNames,
    NewOwner,
    Owner,
    Scope,
)
from herod.pipeline.privilege_ceilings import (
    check_ceiling,
    check_last_admin,
    check_target,
    given_scope,
    is_admin,
    own_networks,
)
from herod.pipeline.result_views import IssuedKey, Key, KeyDetails, key_details, key_view
from herod.pipeline.text_normalization import parse_future, parse_name
from herod.records import SERVICE_KEYS, Account, ApiKey
from herod.scopes.principal import PrincipalKind
from herod.store.page_cursors import Order
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod_client.core.errors import Conflict, InvalidRequest, MissingScope, NotFound
from herod_client.core.grants import Grant, intersect_networks, list_networks, parse_networks
from herod_client.core.key_format import KeyKind, new_key, new_key_id
from herod_client.core.scope_graph import ADMIN, READ

__all__ = [
    "EXAMPLE_KEY",
    "KeyRef",
    "current_grant",
    "keys_create",
    "keys_delete",
    "keys_get",
    "keys_list",
    "make_key",
    "switch_off_in_memory",
    "visible_key",
]

EXAMPLE_KEY = "0kZ3vXq81LmT"


class CreateKey(Params, frozen=True, kw_only=True):
    """`kind` is user for accounts, else service; `owner` (a client_id) is for admins; `expires_at` is RFC 3339."""

    name: Label
    scope: Scope = READ
    networks: NetworkNames | None = None
    expires_at: ExpiresAt | None = None
    kind: Literal["user", "service"] | None = None
    owner: NewOwner | None = None


class ListKeys(Params, frozen=True, kw_only=True):
    """`limit` is at most 200; `owner` (a client_id) and `order` expires are for admins; `name` is the whole name."""

    owner: Owner | None = None
    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE
    order: KeyOrder = "oldest"
    name: KeyName | None = None
    kind: KeyKindName | None = None
    state: KeyState | None = None


class KeyRef(Params, frozen=True, kw_only=True):
    """A key by its id, the 12 characters after its prefix."""

    id: KeyId


class DeletedKey(msgspec.Struct, frozen=True):
    """The key is gone; its next use is refused."""

    id: str
    deleted: bool


@command(
    "keys.create",
    needs=READ,
    own=True,
    manages_keys=True,
    example={"name": "backup", "scope": "read", "expires_at": "2030-01-31T12:00:00Z"},
    http=("POST /api/v1/keys",),
    tool=Tool("create_key"),
    creates=True,
    failures=(NotFound,),
)
def keys_create(tx: Writer, context: Context, params: CreateKey) -> IssuedKey:
    """Make an API key with no more than your own scope and networks, and get it, once."""
    owner = _owner(tx, context, params)
    scope, networks = given_scope(context, params.scope), params.networks
    key, text = make_key(
        context,
        name=params.name,
        owner=owner,
        scope=scope,
        networks=_default_networks(context, owner, scope)
        if networks is None
        else list_networks(parse_networks(networks, context.runtime.config.networks)),
        expires_at=None if params.expires_at is None else parse_future(params.expires_at, context.now),
    )
    given = context.runtime.grant(key.scope, key.networks, key.expires_at)
    check_ceiling(context.principal.grants, given)
    if owner is not None:
        check_ceiling((context.runtime.grant(owner.scope, owner.networks),), given, whose="its owner's")
    put_key(tx, context, key)
    return IssuedKey(**msgspec.structs.asdict(key_view(key, None)), key=text)


@query(
    "keys.list",
    needs=READ,
    own=True,
    example={"limit": 50},
    http=("GET /api/v1/keys",),
    tool=Tool("list_keys"),
)
def keys_list(reader: Reader, context: Context, params: ListKeys) -> Page[Key]:
    """List keys, oldest first: one's own, or everybody's for admins.

    A page may hold fewer than `limit` and not be the last: go on while there is a next cursor.
    Ordered by expires, keys that never expire are left out.
    """
    owner, order, limit = params.owner, Order(params.order), parse_limit(params.limit)
    own = context.principal.id if context.principal.kind is PrincipalKind.ACCOUNT else None
    if not is_admin(context):
        if order is Order.EXPIRES:
            raise InvalidRequest("Only admins list keys by when they expire: order by oldest or newest.")
        if own is None or owner not in (None, own):
            return Page([])
        owner = own
    wanted = Wanted(owner, params.kind, params.state)
    if params.name is not None:
        owners = (None, own) if owner is None else (None if owner == SERVICE_KEYS else owner,)
        page = Page(named_keys(reader, params.name, tuple(dict.fromkeys(owners)), wanted, now=context.now))
    else:
        page = find_keys(reader, wanted, order=order, cursor=params.cursor, limit=limit, now=context.now)
    return page_of(page, lambda key: key_view(key, reader.usage(key.id)), order=order)


@query(
    "keys.get",
    needs=READ,
    own=True,
    example={"id": EXAMPLE_KEY},
    http=("GET /api/v1/keys/{id}",),
)
def keys_get(reader: Reader, context: Context, params: KeyRef) -> KeyDetails:
    """Show a key without its secret, from where it was last used, and what becomes of the secret before it."""
    key = visible_key(reader, context, params.id)
    return key_details(key, reader.usage(key.id), reader.usage(former_use(key.id)), now=context.now)


def switch_off_in_memory(reader: Reader, context: Context, params: KeyRef) -> None:
    """Let a key be off in this process while the store cannot take it."""
    key = visible_key(reader, context, params.id)
    check_target(context, current_grant(reader, context, key))
    check_last_admin(reader, context, key, None)
    context.runtime.switched_off.add(key.id)


@command(
    "keys.delete",
    needs=READ,
    own=True,
    manages_keys=True,
    example={"id": EXAMPLE_KEY},
    http=("DELETE /api/v1/keys/{id}",),
    tool=Tool("delete_key", destructive=True, idempotent=True),
    unwritten=switch_off_in_memory,
)
def keys_delete(tx: Writer, context: Context, params: KeyRef) -> DeletedKey:
    """Delete a key; what was signed in with it dies too."""
    remove_key(tx, context, visible_key(tx, context, params.id))
    return DeletedKey(params.id, deleted=True)


def make_key(
    context: Context,
    *,
    name: str,
    owner: Account | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
    expires_at: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once and kept as an HMAC. Ceilings are the caller's to check."""
    key_id = new_key_id()
    text = new_key(KeyKind.SERVICE if owner is None else KeyKind.USER, key_id)
    key = ApiKey(
        id=key_id,
        created_at=context.now,
        expires_at=expires_at,
        name=parse_name(name),
        owner=None if owner is None else owner.id,
        creator=context.principal.id,
        secret_hash=hash_secret(context.runtime.keyring, "key", key_id, text),
        scope=scope,
        networks=networks,
    )
    return key, text


def put_key(tx: Writer, context: Context, key: ApiKey) -> None:
    """Store a new key.

    Raises:
        Conflict: its owner, or for a service key the machine, has one of that name.
    """
    if tx.find(ApiKey, *key.lookup):
        raise Conflict("A key of this name exists already: choose another name.", reason="name_in_use")
    tx.put(key)
    context.target = key.id


def remove_key(tx: Writer, context: Context, key: ApiKey) -> None:
    """Delete a key that the actor may change.

    Raises:
        TargetDenied: it holds more than the actor.
        Conflict: it is the last enabled admin.
    """
    check_target(context, current_grant(tx, context, key))
    check_last_admin(tx, context, key, None)
    tx.delete(ApiKey, key.id)
    context.target = key.id


def current_grant(reader: Reader, context: Context, key: ApiKey) -> Grant:
    """What a key holds now: no more than its owner. Who was demoted can still take back the keys they made before."""
    own = context.runtime.grant(key.scope, key.networks)
    owner = reader.get(Account, key.owner) if key.owner is not None else None
    return own if owner is None else own.intersect(context.runtime.grant(owner.scope, owner.networks))


def visible_key(reader: Reader, context: Context, key_id: str) -> ApiKey:
    """The key, if it is the actor's own or the actor is admin.

    Raises:
        NotFound: it is not there, or not theirs; the answer is the same.
    """
    key = reader.get(ApiKey, key_id)
    if key is None:
        raise NotFound("There is no such key.")
    if not is_admin(context) and not (
        context.principal.kind is PrincipalKind.ACCOUNT and key.owner == context.principal.id
    ):
        raise NotFound("There is no such key.", reason="not_owner")
    return key


def _owner(tx: Writer, context: Context, params: CreateKey) -> Account | None:
    """Whose the new key is; None for a service key."""
    own = context.principal.id if context.principal.kind is PrincipalKind.ACCOUNT else None
    kind = params.kind or ("user" if own or params.owner else "service")
    if kind == "service":
        if params.owner is not None:
            raise InvalidRequest("A service key has no owner: leave owner out, or make a user key.")
        _need_admin(context, "Service keys are made by admins.")
        return None
    owner_id = params.owner or own
    if owner_id is None:
        raise InvalidRequest('A user key needs an owner: give the client_id of one, or kind "service".')
    if owner_id != own:
        _need_admin(context, "Keys for others are made by admins.")
    owner = tx.get(Account, owner_id)
    if owner is None:
        raise NotFound("There is no such account.")
    if owner_id != own:
        check_target(context, context.runtime.grant(owner.scope, owner.networks))
    return owner


def _need_admin(context: Context, why: str) -> None:
    if not is_admin(context):
        raise MissingScope(why, missing=ADMIN)


def _default_networks(context: Context, owner: Account | None, scope: tuple[str, ...]) -> tuple[str, ...]:
    networks = own_networks(context, scope)
    if owner is not None:
        networks = intersect_networks(networks, frozenset(owner.networks))
    return list_networks(networks)
