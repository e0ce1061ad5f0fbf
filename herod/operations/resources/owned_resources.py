"""Resources: what a service keeps in herod for its tenants, opened by a secret that the tenant chooses.

A resource is available only to the principal that claimed it, and only with its secret. For everyone else it does not
exist: another principal's resource, a wrong secret and an unknown sid take the same lookups at the same cost and get
the same answer. The secret is never a credential: it opens a resource and authenticates nobody.
"""

from typing import Annotated, Any, Final

import msgspec

from herod.credentials.ownership_secrets import UNPROTECTED, hash_ownership_secret, ownership_hashes
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.ceilings.quotas import Quota, is_bound, quota_reached
from herod.pipeline.operation_definition import Context, NoTarget, Params, Target, command, query
from herod.pipeline.pagination import merged, page_of, parse_limit
from herod.pipeline.parameters.parameter_annotations import NormalForm
from herod.pipeline.parameters.parameter_types import AS_IT_IS, EXAMPLE_ID, NAME, Cursor, Label, Limit
from herod.pipeline.parameters.text_normalization import has_unprintable, parse_label
from herod.pipeline.targets import grants_of
from herod.records import Resource, resource_owner
from herod.scopes.principal import part_of
from herod.store.resource_tallies import count_in, count_out, tally_of
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod.throttle.rules import Counter, ownership_counter
from herod_client.core.errors import InvalidRequest, NotFound
from herod_client.core.grants import Grants
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import USER

__all__ = [
    "resources_check",
    "resources_claim",
    "resources_get",
    "resources_list",
    "resources_release",
    "resources_update",
]

MAX_SECRET: Final = 1024  # characters
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTE_BYTES: Final = 16 * 1024  # of all attributes together, as JSON
IN_HEADER: Final = {"secret": "X-Resource-Secret"}
RESOURCES: Final = Quota(
    name="resources",
    most=lambda quotas: quotas.resources,
    full="You have {most} resources, the most you may have",
    advice="release one that is not used",
    hint="herod resource release SID",
)

# The secret that opens a resource; empty if none is needed.
OwnershipSecret = Annotated[
    str,
    msgspec.Meta(
        description="the secret that opens the resource; over REST in `X-Resource-Secret` or in the body, not in both",
        extra_json_schema={"format": "password", "maxLength": MAX_SECRET},
    ),
    AS_IT_IS,
]
Kind = Annotated[
    str,
    msgspec.Meta(description="the service's own word for this kind of resource", extra_json_schema=NAME),
    NormalForm(lambda text: parse_label(text, "kind")),
]
Attributes = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description=f"at most {MAX_ATTRIBUTES}, with at most {MAX_ATTRIBUTE_BYTES} bytes of JSON in total",
        extra_json_schema={"maxProperties": MAX_ATTRIBUTES},
    ),
]

_encode: Final = msgspec.json.Encoder().encode


class ClaimResource(Params, frozen=True, kw_only=True):
    """`kind` is the service's own word, such as vm. The resource opens with `secret`; without one, or "", with any."""

    kind: Kind
    name: Label
    secret: OwnershipSecret = UNPROTECTED
    attributes: Attributes = msgspec.field(default_factory=dict)


class ListResources(Params, frozen=True, kw_only=True):
    """Resources of one kind that `secret` opens; "" lists those without a secret. `limit` is at most 200."""

    kind: Kind
    secret: OwnershipSecret = UNPROTECTED
    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class ResourceRef(Params, frozen=True, kw_only=True):
    """A resource and its secret."""

    sid: Annotated[str, msgspec.Meta(description="the resource's id"), AS_IT_IS]
    secret: OwnershipSecret = UNPROTECTED


class UpdateResource(ResourceRef, frozen=True, kw_only=True):
    """Omitted fields stay unchanged; `attributes` replace all existing ones."""

    name: Label | msgspec.UnsetType = msgspec.UNSET
    attributes: Attributes | msgspec.UnsetType = msgspec.UNSET


class ResourceView(msgspec.Struct, frozen=True):
    """A resource without its secret; the attributes are JSON as it is stored, which costs nothing to show."""

    sid: str
    kind: str
    name: str
    attributes: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class CheckedResource(msgspec.Struct, frozen=True):
    """The secret opens it."""

    sid: str
    allowed: bool


class ReleasedResource(msgspec.Struct, frozen=True):
    """The resource is deleted, and its sid is never used again."""

    sid: str
    released: bool


def _claimant(context: Context) -> str:
    """Whose resources the caller claims and sees.

    A process in several groups acts by the rule that grants it the scope: by another one's id, it would reach the
    resources of processes that share only that other group with it.
    """
    principal = context.principal
    grant = principal.farthest(context.runtime.config.graph.bit(USER))
    return principal.id if grant is None else part_of(principal, grant).id


def _misses(context: Context, params: ListResources | ResourceRef) -> Counter:
    return ownership_counter(_claimant(context), context.source)


def _misses_unless_admin(context: Context, params: ResourceRef) -> Counter | None:
    """An admin needs no secret to release a resource, so there is nothing to guess."""
    return None if is_admin(context) else _misses(context, params)


def _owned(reader: Reader, context: Context, ref: ResourceRef) -> Resource:
    """The resource, if the caller claimed it and the secret opens it.

    Both lookups are always made, so that every miss costs the same.

    Raises:
        InvalidRequest: no resource can have such a secret.
        NotFound: it does not exist, another principal claimed it, or the secret does not open it.
    """
    resource = _find(reader, context, ref)
    if resource is None:
        raise NotFound("There is no such resource, or the secret does not open it.", reason="not_owned")
    return resource


def _releasable(reader: Reader, context: Context, ref: ResourceRef) -> Resource:
    """Like `_owned`, but any resource for an admin, as the claimant may no longer exist."""
    if not is_admin(context):
        return _owned(reader, context, ref)
    _parse_secret(ref.secret)  # not needed, but must be valid
    resource = reader.get(Resource, ref.sid)
    if resource is None:
        raise NotFound("There is no such resource.")
    return resource


def _find(reader: Reader, context: Context, ref: ResourceRef) -> Resource | None:
    claimant = _claimant(context)
    hashes = ownership_hashes(context.runtime.keyring, claimant, _parse_secret(ref.secret))
    found = [reader.find(Resource, "sid", ref.sid, claimant, one) for one in (*hashes, UNPROTECTED)]
    return next((resource for resources in found for resource in resources), None)


def _networks_of_claimant(reader: Reader, context: Context, resource: Resource) -> Grants:
    """What releasing a resource reaches: an admin of some networks must not release another network's resources."""
    claimant = grants_of(reader, context, resource.claimant)
    return tuple([context.runtime.grant((USER,), tuple(sorted(one.networks))) for one in claimant])


# A resource is found by its secret, so the caller may see it; and it has no grants that the actor could lack.
OWNED_RESOURCE = Target(noun="resource", find=_owned, is_own=lambda principal, resource: True)
RELEASABLE_RESOURCE = Target(
    noun="resource",
    find=_releasable,
    is_own=lambda principal, resource: True,
    grants=_networks_of_claimant,
)


@command(
    "resources.claim",
    credential=False,
    needs=USER,
    target=NoTarget("creates a resource"),
    example={"kind": "vm", "name": "web 1", "secret": "what the tenant chose", "attributes": {"cpus": 2}},
    http=("POST /api/v1/resources",),
    headers=IN_HEADER,
    creates=True,
)
def resources_claim(tx: Writer, context: Context, params: ClaimResource) -> ResourceView:
    """Claim a resource for the holder of a secret, and get its sid. Names need not be unique."""
    resource = Resource(
        id=new_id(),
        created_at=context.now,
        claimant=_claimant(context),
        type=params.kind,
        secret=hash_ownership_secret(context.runtime.keyring, _claimant(context), _parse_secret(params.secret)),
        name=params.name,
        attributes=_parse_attributes(params.attributes),
    )
    _check_quota(tx, context)
    tx.put(count_in(tx, resource))
    context.target = resource.id
    return _view(resource)


@query(
    "resources.list",
    needs=USER,
    example={"kind": "vm", "secret": "what the tenant chose"},
    http=("GET /api/v1/resources",),
    headers=IN_HEADER,
    misses=_misses,
)
def resources_list(reader: Reader, context: Context, params: ListResources) -> Page[ResourceView]:
    """List your resources of one kind that a secret opens, oldest first."""
    kind, claimant, limit = parse_label(params.kind, "kind"), _claimant(context), parse_limit(params.limit)
    hashes = ownership_hashes(context.runtime.keyring, claimant, _parse_secret(params.secret))
    owners = [resource_owner(kind, claimant, one) for one in dict.fromkeys(hashes)]
    pages = [reader.list(Resource, owner=owner, cursor=params.cursor, limit=limit) for owner in owners]
    return page_of(merged(pages, limit=limit), _view)


@query(
    "resources.get",
    needs=USER,
    example={"sid": EXAMPLE_ID, "secret": "what the tenant chose"},
    http=("GET /api/v1/resources/{sid}",),
    headers=IN_HEADER,
    failures=(NotFound,),
    misses=_misses,
)
def resources_get(reader: Reader, context: Context, params: ResourceRef) -> ResourceView:
    """Show one of your resources, if the secret opens it."""
    return _view(_owned(reader, context, params))


@query(
    "resources.check",
    needs=USER,
    example={"sid": EXAMPLE_ID, "secret": "what the tenant chose"},
    http=("POST /api/v1/resources/{sid}/check",),
    headers=IN_HEADER,
    failures=(NotFound,),
    misses=_misses,
)
def resources_check(reader: Reader, context: Context, params: ResourceRef) -> CheckedResource:
    """Check that a secret opens one of your resources; if it does not, the answer is 404."""
    return CheckedResource(_owned(reader, context, params).id, allowed=True)


@command(
    "resources.update",
    credential=False,
    destructive=True,
    needs=USER,
    example={"sid": EXAMPLE_ID, "secret": "what the tenant chose", "name": "web 2"},
    http=("PATCH /api/v1/resources/{sid}",),
    headers=IN_HEADER,
    failures=(NotFound,),
    misses=_misses,
    target=OWNED_RESOURCE,
)
def resources_update(tx: Writer, context: Context, params: UpdateResource, resource: Resource) -> ResourceView:
    """Change the name or the attributes of one of your resources, if the secret opens it."""
    changes: dict[str, object] = {}
    if isinstance(params.name, str):
        changes["name"] = params.name
    if isinstance(params.attributes, dict):
        changes["attributes"] = _parse_attributes(params.attributes)
    changed: Resource = msgspec.structs.replace(resource, **changes)
    tx.put(count_in(tx, changed))
    return _view(changed)


@command(
    "resources.release",
    credential=False,
    destructive=True,
    needs=USER,
    example={"sid": EXAMPLE_ID, "secret": "what the tenant chose"},
    http=("DELETE /api/v1/resources/{sid}",),
    headers=IN_HEADER,
    failures=(NotFound,),
    misses=_misses_unless_admin,
    target=RELEASABLE_RESOURCE,
)
def resources_release(tx: Writer, context: Context, params: ResourceRef, resource: Resource) -> ReleasedResource:
    """Release one of your resources, if the secret opens it. Admins release any resource without it."""
    count_out(tx, resource)
    return ReleasedResource(resource.id, released=tx.delete(Resource, resource.id))


def _check_quota(reader: Reader, context: Context) -> None:
    """Refuse another resource when the caller has as many as it may.

    Raises:
        Conflict: it has.
    """
    most = RESOURCES.most(context.runtime.config.quotas)
    if is_bound(context) and tally_of(reader, _claimant(context)) >= most:
        raise quota_reached(RESOURCES, most)


def _parse_secret(text: str) -> str:
    """Check a secret and return it unchanged.

    Raises:
        InvalidRequest: it is too long, or a header could not carry it.
    """
    if len(text) > MAX_SECRET:
        raise InvalidRequest(f"A resource's secret has at most {MAX_SECRET} characters.")
    if text != text.strip() or has_unprintable(text):
        raise InvalidRequest(
            "A resource's secret cannot have surrounding spaces, control or invisible characters: "
            "X-Resource-Secret could not carry them."
        )
    return text


def _parse_attributes(attributes: dict[str, Any]) -> bytes:
    """Encode attributes as they are stored.

    Raises:
        InvalidRequest: it is too large.
    """
    text = _encode(attributes)
    if len(attributes) > MAX_ATTRIBUTES or len(text) > MAX_ATTRIBUTE_BYTES:
        raise InvalidRequest(
            f"A resource has at most {MAX_ATTRIBUTES} attributes and {MAX_ATTRIBUTE_BYTES} bytes of JSON in total."
        )
    return text


def _view(resource: Resource) -> ResourceView:
    return ResourceView(resource.id, resource.type, resource.name, msgspec.Raw(resource.attributes))
