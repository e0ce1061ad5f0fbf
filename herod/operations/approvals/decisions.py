"""Approvals: calls of apps that wait for the person whose power they use (`pipeline/approvals.py`).

Only that account sees and decides them, an admin does not; an app's token sees those that it asked for itself. Nothing
here runs the call: the app repeats it.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from herod.identity.apps.oauth_apps import AppOrigin
from herod.identity.effective_principals import is_delegation_live
from herod.identity.people.persons import RECENT_SECONDS
from herod.pipeline.approvals import APPROVAL_SECONDS, State, is_current, is_live
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Target, Time, command, query
from herod.pipeline.pagination import merged, page_of, parse_limit
from herod.pipeline.parameters.parameter_types import AS_IT_IS, EXAMPLE_ID, Cursor, Limit
from herod.pipeline.result_views import rfc3339
from herod.pipeline.targets import visible
from herod.records import Account, Approval, Delegation
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal, PrincipalKind
from herod.store.store_interface import MAX_PAGE, Order, Page, Reader, Writer
from herod_client.core.errors import Conflict

__all__ = ["ApprovalView", "approvals_decide", "approvals_get", "approvals_list"]

ApprovalId = Annotated[str, msgspec.Meta(description="the approval's id"), AS_IT_IS]


class ListApprovals(Params, frozen=True, kw_only=True):
    """`limit` is at most 200."""

    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class ApprovalRef(Params, frozen=True, kw_only=True):
    """An approval by its id."""

    id: ApprovalId


class DecideApproval(ApprovalRef, frozen=True, kw_only=True):
    """Whether the app may make this call, once."""

    approve: bool


class GivenParameter(msgspec.Struct, frozen=True):
    """A parameter of the call, as people read it; long ones are cut."""

    name: str
    value: str


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """A call that an app asked for.

    `state` is waiting, approved (the app may repeat the call until `expires_at`) or declined. `parameters` are those of
    the call, without secrets; `target` is the id of what it would change, and `target_name` its name at that time.
    `app_origin` says where the app's name comes from. `source` is where the app asked from.
    """

    id: str
    state: State
    operation: str
    target: str | None
    target_name: str | None
    parameters: list[GivenParameter]
    delegation: str
    app: str
    app_name: str
    app_origin: AppOrigin
    source: str
    created_at: Time
    expires_at: Time | None


def _sees(principal: Principal, approval: Approval) -> bool:
    """Whether it is of the principal's account; to an app's token, whether it asked for it itself."""
    if principal.kind is not PrincipalKind.ACCOUNT or approval.account != principal.id:
        return False
    return principal.delegation in (None, approval.delegation)


def _live_delegation(reader: Reader, context: Context, approval: Approval) -> Delegation | None:
    """The delegation by which the app asked, if it and the approval have not ended."""
    if not is_live(approval, context.now):
        return None
    delegation, account = reader.get(Delegation, approval.delegation), reader.get(Account, approval.account)
    if delegation is None or not is_delegation_live(context.runtime, delegation, account, context.now):
        return None
    return delegation


def _find(reader: Reader, context: Context, params: ApprovalRef) -> Approval | None:
    """The caller's own approval with that id, not one that has ended. Being an admin does not help."""
    approval = reader.get(Approval, params.id)
    if approval is None or not _sees(context.principal, approval):
        return None
    return None if _live_delegation(reader, context, approval) is None else approval


APPROVAL: Final = Target(noun="approval", find=_find, is_own=_sees)


@query("approvals.list", needs=Access.AUTHENTICATED, example={"limit": 50}, http=("GET /api/v1/approvals",))
def approvals_list(reader: Reader, context: Context, params: ListApprovals) -> Page[ApprovalView]:
    """List the calls of your apps that wait for you, or that you decided in the last minutes, oldest first."""
    limit, principal = parse_limit(params.limit), context.principal
    if principal.kind is not PrincipalKind.ACCOUNT:
        return Page([])
    granted = reader.list(Delegation, owner=principal.id, order=Order.NEWEST).items
    pages = [reader.list(Approval, owner=one.id, cursor=params.cursor, limit=limit) for one in granted]

    def shape(approval: Approval) -> ApprovalView | None:
        return _view(reader, context, approval) if _sees(principal, approval) else None

    return page_of(merged(pages, limit=limit), shape)


@query("approvals.get", needs=Access.AUTHENTICATED, example={"id": EXAMPLE_ID}, http=("GET /api/v1/approvals/{id}",))
def approvals_get(reader: Reader, context: Context, params: ApprovalRef) -> ApprovalView:
    """Show a call that an app asked for, and whether it was approved."""
    approval = visible(context, APPROVAL, _find(reader, context, params))
    view = _view(reader, context, approval)
    assert view is not None  # noqa: S101 - for the type checker: `_find` checked it
    return view


def _count(context: Context) -> None:
    context.runtime.counters[f"approvals_{context.said}"] += 1


@command(
    "approvals.decide",
    credential=True,
    gives=GivesNothing("an app's token may do no more than before"),
    needs=Access.AUTHENTICATED,
    person=RECENT_SECONDS,
    target=APPROVAL,
    written=_count,
    example={"id": EXAMPLE_ID, "approve": True},
    http=("POST /api/v1/approvals/{id}/decide",),
)
def approvals_decide(tx: Writer, context: Context, params: DecideApproval, approval: Approval) -> ApprovalView:
    """Let an app make the call that it asked for, once, or decline it. Only you can, in a browser."""
    if approval.state != "waiting":
        raise Conflict("This was decided already.", reason="decided")
    if params.approve and not is_current(tx, context.runtime, approval, context.now):
        raise Conflict(
            "What the app wanted to change has changed since it asked: let it ask again.", reason="target_changed"
        )
    state: State = "approved" if params.approve else "declined"
    decided: Approval = msgspec.structs.replace(approval, state=state, expires_at=context.now + APPROVAL_SECONDS)
    tx.put(decided)
    context.said = state
    view = _view(tx, context, decided)
    assert view is not None  # noqa: S101 - as above
    return view


def _view(reader: Reader, context: Context, approval: Approval) -> ApprovalView | None:
    """The view of an approval; None if it has ended."""
    delegation = _live_delegation(reader, context, approval)
    if delegation is None:
        return None
    return ApprovalView(
        id=approval.id,
        state=msgspec.convert(approval.state, State),
        operation=approval.operation,
        target=approval.target or None,
        target_name=approval.target_name or None,
        parameters=[GivenParameter(name, value) for name, value in approval.shown],
        delegation=approval.delegation,
        app=delegation.app,
        app_name=delegation.app_name,
        app_origin=AppOrigin(delegation.app_origin),
        source=approval.source,
        created_at=datetime.fromtimestamp(approval.created_at, UTC),
        expires_at=rfc3339(approval.expires_at),
    )
