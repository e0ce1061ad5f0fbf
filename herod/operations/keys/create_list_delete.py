"""Create, list, show and delete API keys. A user key has at most its owner's grants; a service key has its own."""

from typing import Literal

import msgspec

from herod.credentials.secret_hashes import hash_secret
from herod.operations.keys.list_filters import KeyKindName, KeyOrder, KeyState, Wanted, find_keys, named_keys
from herod.pipeline.ceilings.privilege_ceilings import (
    check_ceiling,
    given_scope,
    is_admin,
    own_networks,
    owns,
)
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Target, Tool, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.parameter_types import (
    Cursor,
    ExpiresAt,
    KeyId,
    KeyLabel,
    KeyName,
    Limit,
    NetworkNames,
    NewOwner,
    Owner,
    Scope,
)
from herod.pipeline.parameters.text_normalization import parse_end
from herod.pipeline.record_references import named_account, named_key
from herod.pipeline.result_views import IssuedKey, Key, KeyDetails, key_details, key_view
from herod.pipeline.targets import KEY, switch_off_target, visible
from herod.records import SERVICE_KEYS, Account, ApiKey
from herod.scopes.principal import PrincipalKind
from herod.store.page_cursors import Order
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer, former_use
from herod_client.core.errors import Conflict, InvalidRequest, MissingScope, NotFound
from herod_client.core.grants import Grants, intersect_networks, list_networks, parse_networks
from herod_client.core.key_format import KeyKind, new_key, new_key_id
from herod_client.core.scope_graph import ADMIN, READ
from herod_client.core.times import rfc3339_text

__all__ = [
    "EXAMPLE_KEY",
    "KeyRef",
    "keys_create",
    "keys_delete",
    "keys_get",
    "keys_list",
    "make_key",
    "put_key",
    "take_name",
    "warning_of",
]

EXAMPLE_KEY = "0kZ3vXq81LmT"
USER_KEYS = Quota(
    name="keys",
    most=lambda quotas: quotas.keys,
    full="This account has {most} API keys, the most it may have",
    advice="delete one that is not used",
    hint="herod key list, herod key delete ID",
    record_type=ApiKey,
)
ALL_SERVICE_KEYS = Quota(
    name="service_keys",
    most=lambda quotas: quotas.service_keys,
    full="There are {most} service keys, the most there may be",
    advice="delete one that is not used",
    hint="herod key list --kind service, herod key delete ID",
    record_type=ApiKey,
)


class CreateKey(Params, frozen=True, kw_only=True):
    """`kind` is by default user for accounts, else service; `owner` is for admins."""

    name: KeyLabel
    scope: Scope = READ
    networks: NetworkNames | None = None
    expires_at: ExpiresAt | None = None
    kind: Literal["user", "service"] | None = None
    owner: NewOwner | None = None


class ListKeys(Params, frozen=True, kw_only=True):
    """`limit` is at most 200; `owner` and `order` expires are for admins; `name` must match exactly."""

    owner: Owner | None = None
    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE
    order: KeyOrder = "oldest"
    name: KeyName | None = None
    kind: KeyKindName | None = None
    state: KeyState | None = None


class KeyRef(Params, frozen=True, kw_only=True):
    """A key by its id, the 12 characters after its prefix, or by its unique name."""

    id: KeyId


class DeletedKey(msgspec.Struct, frozen=True):
    """The key is deleted; its next use is refused."""

    id: str
    deleted: bool


def _owner(reader: Reader, context: Context, params: CreateKey) -> Account | None:
    """The account that will own the new key; None for a service key."""
    own = context.principal.id if context.principal.kind is PrincipalKind.ACCOUNT else None
    kind = params.kind or ("user" if own or params.owner else "service")
    if kind == "service":
        if params.owner is not None:
            raise InvalidRequest("A service key has no owner: leave owner out, or create a user key.")
        _need_admin(context, "Only admins can create service keys.")
        return None
    if params.owner is None and own is None:
        raise InvalidRequest('A user key needs an owner: give the client_id of an account, or kind "service".')
    owner = named_account(reader, context, params.owner or own or "")
    if owner is None or owner.id != own:
        _need_admin(context, "Only admins can create keys for others.")
    if owner is None:
        raise NotFound("There is no such account.")
    return owner


def _need_admin(context: Context, why: str) -> None:
    if not is_admin(context):
        raise MissingScope(why, missing=ADMIN)


def _owner_grants(reader: Reader, context: Context, owner: Account) -> Grants:
    """The owner's grants, for the actor to cover; none if the actor is the owner and may hold less."""
    return () if owns(context.principal, owner.id) else (context.runtime.grant(owner.scope, owner.networks),)


OWNER = Target(
    noun="account",
    find=_owner,
    is_own=lambda principal, owner: owns(principal, owner.id),
    grants=_owner_grants,
    is_optional=True,  # a service key has none
)


@command(
    "keys.create",
    credential=True,
    gives=ApiKey,
    issues=True,
    needs=READ,
    manages_keys=True,
    example={"name": "backup", "scope": "read", "expires_at": "2030-01-31T12:00:00Z"},
    http=("POST /api/v1/keys",),
    tool=Tool("create_key"),
    creates=True,
    failures=(NotFound,),
    target=OWNER,
)
def keys_create(tx: Writer, context: Context, params: CreateKey, owner: Account | None) -> IssuedKey:
    """Create an API key with at most your own scope and networks. The key is shown once."""
    scope, networks = given_scope(context, params.scope), params.networks
    key, text = make_key(
        context,
        name=params.name,
        owner=owner,
        scope=scope,
        networks=_default_networks(context, owner, scope)
        if networks is None
        else list_networks(parse_networks(networks, context.runtime.config.networks)),
        expires_at=None if params.expires_at is None else parse_end(params.expires_at, context.now),
    )
    if owner is not None:
        given = context.runtime.grant(key.scope, key.networks, key.expires_at)
        whose = "your own" if owns(context.principal, owner.id) else "its owner's"
        check_ceiling((context.runtime.grant(owner.scope, owner.networks),), given, whose=whose)
    put_key(tx, context, key)
    warning = warning_of(tx, context, key)
    return IssuedKey(**msgspec.structs.asdict(key_view(key, None)), key=text, warning=warning)


@query(
    "keys.list",
    needs=READ,
    example={"limit": 50},
    http=("GET /api/v1/keys",),
    tool=Tool("list_keys"),
)
def keys_list(reader: Reader, context: Context, params: ListKeys) -> Page[Key]:
    """List API keys, oldest first: your own, or all of them for admins.

    A page may hold fewer than `limit` keys and not be the last: continue while there is a next cursor.
    With `order` expires, keys that never expire are left out.
    """
    owner, order, limit = params.owner, Order(params.order), parse_limit(params.limit)
    own = context.principal.id if context.principal.kind is PrincipalKind.ACCOUNT else None
    if owner not in (None, own, SERVICE_KEYS):
        account = named_account(reader, context, owner)
        owner = owner if account is None else account.id
    if not is_admin(context):
        if order is Order.EXPIRES:
            raise InvalidRequest("Only admins can order keys by expiry: use oldest or newest.")
        if own is None or owner not in (None, own):
            return Page([])
        owner = own
    wanted = Wanted(owner, params.kind, params.state, context.runtime.switched_off)
    if params.name is not None:
        owners = (None, own) if owner is None else (None if owner == SERVICE_KEYS else owner,)
        page = Page(named_keys(reader, params.name, tuple(dict.fromkeys(owners)), wanted, now=context.now))
    else:
        page = find_keys(reader, wanted, order=order, cursor=params.cursor, limit=limit, now=context.now)
    return page_of(page, lambda key: key_view(context.runtime.in_force(key), reader.usage(key.id)), order=order)


@query(
    "keys.get",
    needs=READ,
    example={"id": EXAMPLE_KEY},
    http=("GET /api/v1/keys/{id}",),
)
def keys_get(reader: Reader, context: Context, params: KeyRef) -> KeyDetails:
    """Show an API key without its secret, its last use, and the former secret during an overlap."""
    key = context.runtime.in_force(visible(context, KEY, named_key(reader, context, params.id)))
    return key_details(key, reader.usage(key.id), reader.usage(former_use(key.id)), now=context.now)


@command(
    "keys.delete",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=READ,
    manages_keys=True,
    example={"id": EXAMPLE_KEY},
    http=("DELETE /api/v1/keys/{id}",),
    tool=Tool("delete_key", destructive=True, idempotent=True),
    unwritten=switch_off_target,
    target=KEY,
)
def keys_delete(tx: Writer, context: Context, params: KeyRef, key: ApiKey) -> DeletedKey:
    """Delete an API key. Sessions and tokens that were made with it end."""
    return DeletedKey(key.id, deleted=tx.delete(ApiKey, key.id))


def make_key(
    context: Context,
    *,
    name: str,
    owner: Account | None,
    scope: tuple[str, ...],
    networks: tuple[str, ...],
    expires_at: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once and stored as an HMAC."""
    key_id = new_key_id()
    text = new_key(KeyKind.SERVICE if owner is None else KeyKind.USER, key_id)
    key = ApiKey(
        id=key_id,
        created_at=context.now,
        expires_at=expires_at,
        name=name,
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
        Conflict: its owner, or for a service key the machine, has a key with that name that has not expired, or as many
            keys as it may.
    """
    check_quota(tx, context, ALL_SERVICE_KEYS if key.owner is None else USER_KEYS, owner=key.owner_id)
    tx.put(take_name(tx, key, context.now))
    context.target = key.id


def take_name(tx: Writer, key: ApiKey, now: int) -> ApiKey:
    """The key, to be put, as the one of its owner with its name. A key of that name that has expired gives it up.

    Raises:
        Conflict: a key that has not expired has the name.
    """
    named = msgspec.structs.replace(key, is_superseded=False)
    for other in tx.find(ApiKey, *named.lookup):
        if other.id == key.id:
            continue
        if not other.has_ended(now):
            raise Conflict(
                "A key with this name exists already: choose another name."
                if not key.is_superseded
                else "Another key was given this one's name after it expired: give it a new name first.",
                reason="name_in_use",
                hint=f"herod key edit {key.id} --name NAME" if key.is_superseded else None,
            )
        tx.put(msgspec.structs.replace(other, is_superseded=True))
    return named


def warning_of(reader: Reader, context: Context, key: ApiKey, *, overlap: int = 0) -> str | msgspec.UnsetType:
    """What keeps the new secret of a key from being accepted, or ends it sooner than asked; unset if nothing does.

    Args:
        overlap: for how many seconds the former secret was asked to work.
    """
    found = []
    off = context.runtime.switched_off  # disabled while the store could not be written
    owner = None if key.owner is None else reader.get(Account, key.owner)
    if not key.enabled or key.id in off:
        found.append(f"The key is disabled, and its secret is refused until it is enabled: herod key enable {key.id}.")
    if owner is not None and (not owner.enabled or owner.id in off):
        found.append(
            "Its owner's account is disabled, and its secret is refused until that is enabled: "
            f"herod user enable {owner.id}."
        )
    if key.expires_at is not None and key.expires_at < context.now + overlap:
        found.append(
            f"The key expires on {rfc3339_text(key.expires_at)}, before the overlap ends: both secrets end then."
        )
    return " ".join(found) or msgspec.UNSET


def _default_networks(context: Context, owner: Account | None, scope: tuple[str, ...]) -> tuple[str, ...]:
    networks = own_networks(context, scope)
    if owner is not None:
        networks = intersect_networks(networks, frozenset(owner.networks))
    return list_networks(networks)
