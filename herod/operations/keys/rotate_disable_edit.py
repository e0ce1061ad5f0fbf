"""Changes to an existing key: rotate its secret, disable, enable, rename and narrow it."""

from typing import Annotated, Final

import msgspec

from herod.credentials.secret_hashes import hash_secret
from herod.identity.parent_credential import key_behind
from herod.operations.keys.create_list_delete import EXAMPLE_KEY, KeyRef, take_name, warning_of
from herod.pipeline.ceilings.privilege_ceilings import check_ceiling, given_scope
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Tool, command
from herod.pipeline.parameters.parameter_types import ExpiresAt, KeyId, KeyLabel, NetworkNames, Scope
from herod.pipeline.parameters.text_normalization import parse_end
from herod.pipeline.result_views import IssuedKey, Key, key_view
from herod.pipeline.targets import KEY, switch_off_target, switch_on_target
from herod.records import ApiKey, Session
from herod.store.store_interface import Order, Writer
from herod_client.core.errors import CeilingExceeded, Conflict
from herod_client.core.grants import list_networks, parse_networks
from herod_client.core.key_format import KeyKind, new_key
from herod_client.core.scope_graph import READ
from herod_client.core.times import rfc3339_text

__all__ = ["keys_disable", "keys_enable", "keys_rotate", "keys_update"]

# A week: long enough for a service that is deployed by hand, short enough to end.
MAX_OVERLAP: Final = 7 * 86_400


class RotateKey(Params, frozen=True, kw_only=True):
    """`overlap` is how many seconds the old secret still works, a week at most; secrets before it do not.

    `expires_at` is the key's new expiry, null for never; a key that has expired needs one.
    """

    id: KeyId
    overlap: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP)] = 0
    expires_at: ExpiresAt | msgspec.UnsetType | None = msgspec.UNSET


class UpdateKey(Params, frozen=True, kw_only=True):
    """Omitted fields stay unchanged. A key's scope and networks can only shrink; `expires_at` null means never."""

    id: KeyId
    name: KeyLabel | msgspec.UnsetType = msgspec.UNSET
    expires_at: ExpiresAt | msgspec.UnsetType | None = msgspec.UNSET
    scope: Scope | msgspec.UnsetType = msgspec.UNSET
    networks: NetworkNames | msgspec.UnsetType = msgspec.UNSET


@command(
    "keys.rotate",
    credential=True,
    gives=ApiKey,
    issues=True,
    needs=READ,
    target=KEY,
    manages_keys=True,
    example={"id": EXAMPLE_KEY, "overlap": 300},
    http=("POST /api/v1/keys/{id}/rotate", "POST /api/auth/keys/{id}/rotate"),
    tool=Tool("rotate_key", destructive=True),
)
def keys_rotate(tx: Writer, context: Context, params: RotateKey, key: ApiKey) -> IssuedKey:
    """Rotate an API key's secret. The new key is shown once; the old one works for `overlap` more seconds.

    Browsers that were signed in with the key are signed out.
    """
    renewed = _ending(tx, context, key, _end(context, params, key))
    if renewed.has_ended(context.now):
        raise Conflict(
            f"This API key expired on {rfc3339_text(renewed.expires_at or 0)}, and a new secret would be refused, too: "
            "set a new expiry date with expires_at.",
            reason="ended",
            hint=f"herod key rotate {key.id} --expires 90d",
        )
    text = new_key(KeyKind.SERVICE if key.owner is None else KeyKind.USER, key.id)
    rotated = msgspec.structs.replace(
        renewed,
        secret_hash=hash_secret(context.runtime.keyring, "key", key.id, text),
        former_hash=key.secret_hash,
        # 0 without an overlap: a clock that is set back cannot make the old secret valid again.
        former_until=context.now + params.overlap if params.overlap else 0,
        rotated_at=context.now,
        former_epoch=key.epoch,
        epoch=_next_epoch(key),
    )
    tx.put(rotated)
    _end_sessions(tx, key)
    warning = warning_of(tx, context, rotated, overlap=params.overlap)
    return IssuedKey(**msgspec.structs.asdict(key_view(rotated, tx.usage(key.id))), key=text, warning=warning)


@command(
    "keys.disable",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=READ,
    target=KEY,
    manages_keys=True,
    example={"id": EXAMPLE_KEY},
    http=("POST /api/v1/keys/{id}/disable",),
    tool=Tool("disable_key", destructive=True, idempotent=True),
    unwritten=switch_off_target,
)
def keys_disable(tx: Writer, context: Context, params: KeyRef, key: ApiKey) -> Key:
    """Disable an API key: it is refused until it is enabled again. Sessions and tokens made with it end."""
    disabled = msgspec.structs.replace(_ending_made(key), enabled=False) if key.enabled else key
    _end_sessions(tx, key)
    return _put(tx, disabled)


@command(
    "keys.enable",
    credential=True,
    gives=ApiKey,
    needs=READ,
    target=KEY,
    manages_keys=True,
    example={"id": EXAMPLE_KEY},
    http=("POST /api/v1/keys/{id}/enable",),
    written=switch_on_target,
)
def keys_enable(tx: Writer, context: Context, params: KeyRef, key: ApiKey) -> Key:
    """Enable a disabled API key. One that has expired needs a new expiry date first."""
    if key.has_ended(context.now):
        raise Conflict(
            f"This API key expired on {rfc3339_text(key.expires_at or 0)}: set a new expiry date before enabling it.",
            reason="ended",
            hint=f"herod key edit {key.id} --expires 90d",
        )
    if key.id in context.runtime.switched_off:  # it was disabled while the store could not be written
        key = _ending_made(key)
    return _put(tx, msgspec.structs.replace(key, enabled=True))


@command(
    "keys.update",
    credential=True,
    gives=ApiKey,
    needs=READ,
    target=KEY,
    manages_keys=True,
    example={"id": EXAMPLE_KEY, "name": "nightly backup"},
    http=("PATCH /api/v1/keys/{id}",),
)
def keys_update(tx: Writer, context: Context, params: UpdateKey, key: ApiKey) -> Key:
    """Change an API key's name or expiry, or narrow its scope or networks."""
    changes: dict[str, object] = {}
    if isinstance(params.name, str):
        changes["name"] = params.name
    if isinstance(params.scope, str):
        changes["scope"] = given_scope(context, params.scope)
    if isinstance(params.networks, list):
        changes["networks"] = list_networks(parse_networks(params.networks, context.runtime.config.networks))
    changed = msgspec.structs.replace(key, **changes)
    _check_narrower(context, key, changed)
    if changed.name != key.name:
        changed = take_name(tx, msgspec.structs.replace(changed, is_superseded=False), context.now)
    changed = _ending(tx, context, changed, _end(context, params, key))
    return _put(tx, changed)


def _check_narrower(context: Context, key: ApiKey, changed: ApiKey) -> None:
    """Refuse a change that gives a key more scope or networks than it had.

    Raises:
        CeilingExceeded: the change does.
    """
    runtime = context.runtime
    try:
        check_ceiling((runtime.grant(key.scope, key.networks),), runtime.grant(changed.scope, changed.networks))
    except CeilingExceeded as error:
        raise CeilingExceeded(
            f"An existing key's {error.missing} can only be narrowed.",
            missing=error.missing,
            hint="create another key",
        ) from None


def _end(context: Context, params: RotateKey | UpdateKey, key: ApiKey) -> int | None:
    """When the key is to end: by default when it does now."""
    if isinstance(params.expires_at, str):
        return parse_end(params.expires_at, context.now)
    return key.expires_at if params.expires_at is msgspec.UNSET else None


def _ending(tx: Writer, context: Context, key: ApiKey, end: int | None) -> ApiKey:
    """The key with that end. One that is valid again is the one with its name again.

    Raises:
        Conflict: another key was given its name.
    """
    renewed = msgspec.structs.replace(key, expires_at=end)
    is_renewed = key.is_superseded and not renewed.has_ended(context.now)
    return take_name(tx, renewed, context.now) if is_renewed else renewed


def _put(tx: Writer, key: ApiKey) -> Key:
    tx.put(key)
    return key_view(key, tx.usage(key.id))


def _next_epoch(key: ApiKey) -> int:
    """An epoch that neither of the key's secrets has used."""
    return max(key.epoch, key.former_epoch) + 1


def _ending_made(key: ApiKey) -> ApiKey:
    """The key with new epochs, which end the codes, sessions and tokens that were made with it."""
    epoch = _next_epoch(key)
    return msgspec.structs.replace(key, epoch=epoch, former_epoch=epoch + 1)


def _end_sessions(tx: Writer, key: ApiKey) -> None:
    """Delete the latest sessions that were opened with a key. The key's new epoch has already ended them all."""
    page = tx.list(Session, owner=key.owner or key.id, order=Order.NEWEST)
    for session in page.items:
        if key_behind(session.via) == key.id:
            tx.delete(Session, session.id)
