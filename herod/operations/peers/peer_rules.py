"""Peer rules: what local users and groups may do on the Unix socket without any other credential."""

import dataclasses
import grp
import pwd
from typing import Annotated, Final

import msgspec

from herod.pipeline.ceilings.privilege_ceilings import given_scope, own_networks
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Work, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.parameter_types import AS_IT_IS, EXAMPLE_ID, Cursor, Limit, NetworkNames, Scope
from herod.pipeline.result_views import PeerView, peer_view
from herod.pipeline.targets import PEER_RULE, switch_off_target, switch_on_target
from herod.records import PeerRule
from herod.scopes.principal import NOBODY_UID
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod_client.core.errors import InvalidRequest
from herod_client.core.grants import list_networks, parse_networks
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import ADMIN

__all__ = ["peers_allow", "peers_list", "peers_remove"]

MAX_ID: Final = 2**32 - 2  # -1 is not an id
PEER_RULES: Final = Quota(
    name="peer_rules",
    most=lambda quotas: quotas.peer_rules,
    full="There are {most} peer rules, the most there may be",
    advice="remove one that is not used",
    hint="herod peer list, herod peer remove ID",
    record_type=PeerRule,
)
LocalId = Annotated[
    int,
    msgspec.Meta(
        description="the kernel's number",
        extra_json_schema={"minimum": 0, "maximum": MAX_ID, "not": {"const": NOBODY_UID}},
    ),
]


class AllowPeer(Params, frozen=True, kw_only=True):
    """Exactly one of uid, gid, user and group; `networks` defaults to your own."""

    exactly_one = ("uid", "gid", "user", "group")

    uid: LocalId | None = None
    gid: LocalId | None = None
    user: Annotated[str, msgspec.Meta(description="a local user's name"), AS_IT_IS] | None = None
    group: Annotated[str, msgspec.Meta(description="a local group's name"), AS_IT_IS] | None = None
    scope: Scope
    networks: NetworkNames | None = None


class ListPeers(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class PeerRef(Params, frozen=True, kw_only=True):
    """A rule by its id, or by whom it is for."""

    id: Annotated[str, msgspec.Meta(description="the rule's id, `uid:N` or `gid:N`"), AS_IT_IS]


class RemovedPeer(msgspec.Struct, frozen=True):
    """The rule is deleted; the next request under it is refused."""

    id: str
    deleted: bool


def _look_up(reader: Reader, context: Context, params: AllowPeer) -> Work:
    """Resolve names in a thread, because the name service may use the network."""
    given = [value for value in (params.uid, params.gid, params.user, params.group) if value is not None]
    if len(given) != 1:
        raise InvalidRequest("Give exactly one of uid, gid, user and group.")

    def work() -> str:
        if params.user is not None:
            try:
                return _subject("uid", pwd.getpwnam(params.user).pw_uid)
            except (KeyError, ValueError):  # ValueError: a NUL in the name
                raise _unknown("user", "uid", params.user) from None
        if params.group is not None:
            try:
                return _subject("gid", grp.getgrnam(params.group).gr_gid)
            except (KeyError, ValueError):
                raise _unknown("group", "gid", params.group) from None
        return _subject("uid", params.uid) if params.uid is not None else _subject("gid", params.gid or 0)

    return work


def _replaced(reader: Reader, context: Context, params: AllowPeer) -> PeerRule | None:
    """The existing rule for the same user or group, once its name is resolved."""
    return None if context.prepared is None else next(iter(reader.find(PeerRule, "peer", context.prepared)), None)


REPLACED = dataclasses.replace(PEER_RULE, find=_replaced, is_optional=True)


@command(
    "peers.allow",
    credential=True,
    gives=PeerRule,
    needs=ADMIN,
    example={"uid": 1000, "scope": "write"},
    http=("POST /api/v1/peers",),
    prepare=_look_up,
    creates=True,
    written=switch_on_target,
    target=REPLACED,
)
def peers_allow(tx: Writer, context: Context, params: AllowPeer, before: PeerRule | None) -> PeerView:
    """Create a peer rule for a local user or group. A second rule for the same one replaces the first."""
    subject: str = context.prepared
    actor = context.principal
    scope = given_scope(context, params.scope)
    networks = (
        own_networks(context, scope)
        if params.networks is None
        else parse_networks(params.networks, context.runtime.config.networks)
    )
    if before is None:
        check_quota(tx, context, PEER_RULES)
        before = PeerRule(id=new_id(), created_at=context.now, subject=subject, creator=actor.id, scope=(), networks=())
    # Everything else stays, above all the epoch: tokens that ended must not become valid again.
    epoch = before.epoch + (before.id in context.runtime.switched_off)  # removed while the store could not be written
    rule = msgspec.structs.replace(before, creator=actor.id, scope=scope, networks=list_networks(networks), epoch=epoch)
    tx.put(rule)
    context.target = rule.id
    return peer_view(rule)


@query("peers.list", needs=ADMIN, example={}, http=("GET /api/v1/peers",))
def peers_list(reader: Reader, context: Context, params: ListPeers) -> Page[PeerView]:
    """List peer rules, oldest first."""
    page = reader.list(PeerRule, cursor=params.cursor, limit=parse_limit(params.limit))
    return page_of(page, peer_view)


@command(
    "peers.remove",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=ADMIN,
    target=PEER_RULE,
    example={"id": EXAMPLE_ID},
    http=("DELETE /api/v1/peers/{id}",),
    unwritten=switch_off_target,
)
def peers_remove(tx: Writer, context: Context, params: PeerRef, rule: PeerRule) -> RemovedPeer:
    """Delete a peer rule. Tokens that were made under it are revoked."""
    return RemovedPeer(rule.id, deleted=tx.delete(PeerRule, rule.id))


def _unknown(what: str, number: str, name: str) -> InvalidRequest:
    """The error for a name that this machine does not know; some directories have names with an `@`."""
    problem = f"This machine has no {what} of that name"
    if "@" in name:
        return InvalidRequest(
            f"{problem}. A peer rule is for a local {what}, by its Unix name; a person with an email needs an account.",
            hint="herod user add EMAIL",
        )
    if name.isdecimal():
        return InvalidRequest(f"{problem}: to allow a number, give it as {number}.")
    return InvalidRequest(f"{problem}: `getent {'passwd' if what == 'user' else 'group'}` lists those that it has.")


def _subject(kind: str, number: int) -> str:
    if not 0 <= number <= MAX_ID:
        raise InvalidRequest(f"Invalid {kind} {number}: give 0 to {MAX_ID}.")
    if number == NOBODY_UID:
        raise InvalidRequest(f"The {kind} {number} is shared by all foreign containers: it cannot be allowed.")
    return f"{kind}:{number}"
