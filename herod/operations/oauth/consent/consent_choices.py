"""What a consent page lists, what of it was ticked, and the delegation that follows.

The same for every way in which an app asks: `/authorize` (`consent_questions.py`) and device codes
(`device_consent.py`).
"""

from typing import Final, Literal

import msgspec

from herod.identity.apps.openid_scopes import OFFLINE_ACCESS, OPENID
from herod.identity.own_resources import OwnResource, own_resource
from herod.identity.people.persons import RECENT_SECONDS
from herod.operations.oauth.consent.asked_access import AskedAccess
from herod.operations.oauth.consent.consent_offers import Offer, is_recent, lets_admin
from herod.pipeline.admission import SIGN_IN_AGAIN
from herod.pipeline.ceilings.quotas import Quota, check_quota
from herod.pipeline.operation_definition import Context, Time
from herod.pipeline.result_views import rfc3339
from herod.records import Delegation
from herod.store.store_interface import Writer
from herod_client.core.errors import ExpiredToken, InvalidRequest
from herod_client.core.grants import intersect_networks
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import READ, split_scope

__all__ = [
    "DELEGATION_SECONDS",
    "AccessQuestion",
    "Choice",
    "access_question",
    "keep_delegation",
    "new_delegation",
    "ticked_scope",
    "too_old",
]

# Twice as long as a sign-in of an app lasts at most (`FAMILY_SECONDS`), so that one that nobody uses can be noticed.
DELEGATION_SECONDS: Final = 180 * 86_400
# Not a question of their own: who signs in says who they are, and until when is on the page.
FIXED: Final = frozenset({OPENID, OFFLINE_ACCESS})

DELEGATIONS: Final = Quota(
    name="delegations",
    most=lambda quotas: quotas.delegations,
    full="You have connected {most} apps, as many as one account may",
    advice="disconnect one that you do not need",
    hint="herod app connected",
    record_type=Delegation,
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One scope to tick, or one that is part of the rest (`is_fixed`); `includes` are those that it contains."""

    name: str
    includes: list[str]
    is_ticked: bool
    is_fixed: bool = False
    needs_sign_in: bool = False


class AccessQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked, however the app asks.

    The account cannot give what is `withheld`, and herod does not know `unknown` more.
    """

    app: str
    client_id: str
    origin: str
    document_age: Time | None
    resource: str | None
    resource_kind: Literal["herod", "mcp", "other"]
    choices: list[Choice]
    withheld: list[str]
    unknown: int
    account: str
    email: str | None
    ends_at: Time | None


def access_question(context: Context, offer: Offer[AskedAccess], *, ticks_all: bool) -> AccessQuestion:
    """What a consent page says about who asks for what, and who is asked.

    Args:
        context: its principal is the person who is asked.
        offer: what they may give.
        ticks_all: whether everything is ticked at first, and not `read` alone: as `is_this_app`.
    """
    request, app = offer.request, offer.request.app
    return AccessQuestion(
        app=app.name,
        client_id=app.id,
        origin=app.origin,
        document_age=rfc3339(app.document_age),
        resource=request.resource,
        resource_kind=_resource_kind(context, request),
        choices=_choices(
            context,
            offer,
            ticks_all=ticks_all,
        ),
        withheld=list(offer.withheld),
        unknown=request.unknown,
        account=offer.account.name,
        email=offer.account.email,
        ends_at=rfc3339(context.now + DELEGATION_SECONDS),
    )


def _resource_kind(context: Context, request: AskedAccess) -> Literal["herod", "mcp", "other"]:
    match own_resource(context.runtime.config, request.resource or ""):
        case OwnResource.ROOT:
            return "herod"
        case OwnResource.MCP:
            return "mcp"
        case None:
            return "other"


def _choices(context: Context, offer: Offer[AskedAccess], *, ticks_all: bool) -> list[Choice]:
    """What the page lists: what an app may learn first, then what it may do, the least first."""
    graph = context.runtime.config.graph
    openid = [
        Choice(name=name, includes=[], is_ticked=ticks_all or name in FIXED, is_fixed=name in FIXED)
        for name in offer.request.openid
    ]
    own = [
        Choice(
            name=name,
            includes=[other for other in graph.scopes if other != name and graph.bit(other) & graph.mask((name,))],
            is_ticked=name == READ or ticks_all,
            needs_sign_in=lets_admin(context, (name,)) and not is_recent(context),
        )
        for name in sorted(offer.scope, key=lambda name: graph.mask((name,)).bit_count())
    ]
    return [*openid, *own]


def ticked_scope(context: Context, offer: Offer[AskedAccess], text: str) -> tuple[str, ...]:
    """The scopes that the person ticked, in the order of the page.

    Raises:
        InvalidRequest: none of them, or one that the page did not offer.
        ExpiredToken: `admin`, and their sign-in is too old for it.
    """
    offered = [*offer.scope, *offer.request.openid]
    names = {*split_scope(text), *(name for name in offer.request.openid if name in FIXED)}
    if not names <= set(offered):
        raise InvalidRequest("Something was ticked that the page did not offer: go back to the app and connect again.")
    ticked = tuple(name for name in offered if name in names)
    if not set(ticked) - {OFFLINE_ACCESS}:
        raise InvalidRequest("Tick what the app may do, or deny it.", reason="nothing_ticked")
    if lets_admin(context, ticked) and not is_recent(context):
        raise too_old(
            f"To let an app act as an admin, you must have signed in within the last {RECENT_SECONDS // 60} "
            "minutes: sign in again."
        )
    return ticked


def new_delegation(context: Context, offer: Offer[AskedAccess], scope: tuple[str, ...]) -> Delegation:
    """What the person grants: in place of the former delegation, if there is one, with its id."""
    request, former, grant = offer.request, offer.former, context.principal.widest
    return Delegation(
        id=new_id() if former is None else former.id,
        created_at=context.now,
        expires_at=context.now + DELEGATION_SECONDS,
        account=offer.account.id,
        epoch=offer.account.epoch,
        app=request.app.id,
        app_name=request.app.name,
        app_origin=request.app.origin,
        resource=request.resource,
        scope=scope,
        networks=tuple(sorted(intersect_networks(grant.networks, frozenset(request.app.networks)))),
    )


def keep_delegation(tx: Writer, context: Context, offer: Offer[AskedAccess], delegation: Delegation) -> None:
    """Store what the person grants, within the quota of their account.

    Raises:
        Conflict: they have connected as many apps as one account may.
    """
    if offer.former is None:
        check_quota(tx, context, DELEGATIONS, owner=offer.account.id)
    tx.put(delegation)
    context.target = delegation.id


def too_old(told: str) -> ExpiredToken:
    """The refusal that a new sign-in cures; it says why."""
    return ExpiredToken(told, reason=SIGN_IN_AGAIN)
