"""Hero Supervisor's four methods, in its formats, implemented with herod's service keys."""

import dataclasses

import msgspec

from herod.operations.keys import make_key, put_key
from herod.pipeline.ceilings.privilege_ceilings import given_scope
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import (
    Context,
    GivesNothing,
    NoTarget,
    Params,
    Time,
    command,
    query,
)
from herod.pipeline.pagination import ByteBudget
from herod.pipeline.parameters.parameter_annotations import CredentialText
from herod.pipeline.parameters.parameter_types import ExpiresAt, KeyId, KeyLabel, Scope, Verbatim
from herod.pipeline.parameters.text_normalization import parse_end
from herod.pipeline.record_references import named_service_key
from herod.pipeline.result_views import hide_values, rfc3339
from herod.pipeline.targets import KEY, switch_off_target
from herod.records import SERVICE_KEYS, ApiKey
from herod.scopes.decisions import Access
from herod.store.owned_records import owned_by
from herod.store.store_interface import Reader, Store, Usage, Writer
from herod_client.core.errors import InvalidRequest, Unauthenticated
from herod_client.core.grants import list_networks
from herod_client.core.key_format import looks_like_key, parse_key
from herod_client.core.scope_graph import ADMIN, canonical_scope

__all__ = ["auth_create_key", "auth_list_keys", "auth_remove_key", "auth_verify"]


class VerifyKey(Params, frozen=True, kw_only=True):
    """Anything that can be presented as a bearer token: an API key, a legacy secret, a token."""

    key: str


class Verified(msgspec.Struct, frozen=True):
    """`scope` is what the key may do now; the answer is only `{valid: false}` for anything invalid."""

    valid: bool
    name: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET


class CreateSupervisorKey(Params, frozen=True, kw_only=True):
    """`admin_key` may be in the Authorization header instead; without `expires_at` the key ends with the caller's."""

    admin_key: CredentialText | None = None
    name: KeyLabel
    scope: Scope
    expires_at: ExpiresAt | msgspec.UnsetType | None = msgspec.UNSET


class CreatedSupervisorKey(msgspec.Struct, frozen=True):
    """`key` is shown only once."""

    __repr__ = hide_values

    key: str
    name: str
    scope: str
    created_at: Time | None
    expires_at: Time | None


class ListSupervisorKeys(Params, frozen=True, kw_only=True):
    """`admin_key` may be in the Authorization header instead."""

    admin_key: CredentialText | None = None


class SupervisorKey(msgspec.Struct, frozen=True):
    """A service key without its secret."""

    id: str
    name: str
    scope: str
    created_at: Time | None
    expires_at: Time | None
    last_used_at: Time | None


class RemoveSupervisorKey(Params, frozen=True, kw_only=True):
    """The key itself, its id or its name; `admin_key` may be in the Authorization header instead."""

    exactly_one = ("key", "id")

    admin_key: CredentialText | None = None
    key: Verbatim | None = None
    id: KeyId | None = None


INVALID = Verified(valid=False)


@query("auth.verify", needs=Access.PUBLIC, example={"key": "herod_s_…"}, verifies="key", is_quiet=True)
def auth_verify(store: Store, context: Context, params: VerifyKey) -> Verified:
    """Verify an API key, and return its name and scope."""
    try:
        principal = verify_credential(store, context, params.key)
    except Unauthenticated:
        return INVALID
    name = principal.name
    if looks_like_key(params.key):
        key = store.get(ApiKey, principal.credential)
        name = key.name if key is not None else name
    return Verified(valid=True, name=name, scope=context.runtime.scope_text(principal.widest))


@command(
    "auth.create_key",
    credential=True,
    gives=ApiKey,
    issues=True,
    needs=ADMIN,
    manages_keys=True,
    target=NoTarget("creates a key"),
    example={"name": "runner-1", "scope": "registrar", "expires_at": "2030-12-31"},
)
def auth_create_key(tx: Writer, context: Context, params: CreateSupervisorKey) -> CreatedSupervisorKey:
    """Create a service key. The key is shown once."""
    scope = given_scope(context, params.scope)
    principal = context.principal
    grant = principal.farthest(context.runtime.config.graph.mask(scope)) or principal.widest
    key, text = make_key(
        context,
        name=params.name,
        owner=None,
        scope=scope,
        networks=list_networks(grant.networks),
        expires_at=_end(context, params, grant.expires_at),
    )
    put_key(tx, context, key)
    return CreatedSupervisorKey(
        text, key.name, canonical_scope(key.scope), rfc3339(key.created_at), rfc3339(key.expires_at)
    )


def _end(context: Context, params: CreateSupervisorKey, own: int | None) -> int | None:
    if isinstance(params.expires_at, str):
        return parse_end(params.expires_at, context.now)
    return own if params.expires_at is msgspec.UNSET else None


@query("auth.list_keys", needs=ADMIN, example={})
def auth_list_keys(reader: Reader, context: Context, params: ListSupervisorKeys) -> list[SupervisorKey]:
    """List all service keys without their secrets, as many as fit into one answer: there are no pages."""
    found, room = [], ByteBudget()
    for key in owned_by(reader, ApiKey, SERVICE_KEYS):
        view = _view(key, reader.usage(key.id))
        if not room.takes(view):
            raise InvalidRequest(
                "The service keys do not fit into one answer: list them in pages with keys.list, kind service.",
                hint="herod key list",
            )
        found.append(view)
    return found


def _service_key(reader: Reader, context: Context, params: RemoveSupervisorKey) -> ApiKey | None:
    if (params.key is None) == (params.id is None):
        raise InvalidRequest("Give exactly one of key and id.")
    key_id = params.id
    if params.key is not None:
        # Clients of the older system pass what they have, so an id in place of the key is accepted.
        key_id = parse_key(params.key).id if looks_like_key(params.key) else params.key
    return named_service_key(reader, key_id or "")


SERVICE_KEY = dataclasses.replace(KEY, noun="service key", find=_service_key)


@command(
    "auth.remove_key",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    manages_keys=True,
    target=SERVICE_KEY,
    example={"id": "0kZ3vXq81LmT"},
    unwritten=switch_off_target,
)
def auth_remove_key(tx: Writer, context: Context, params: RemoveSupervisorKey, key: ApiKey) -> bool:
    """Delete a service key, named by the key itself or by its id."""
    return tx.delete(ApiKey, key.id)


def _view(key: ApiKey, usage: Usage | None) -> SupervisorKey:
    return SupervisorKey(
        id=key.id,
        name=key.name,
        scope=canonical_scope(key.scope),
        created_at=rfc3339(key.created_at),
        expires_at=rfc3339(key.expires_at),
        last_used_at=rfc3339(usage.at if usage is not None else None),
    )
