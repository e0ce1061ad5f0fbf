"""Connected apps: what accounts let apps do in their name, listed and taken back.

Nothing is granted here: only a person's consent does that. A delegation that has ended is never listed.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from herod.identity.apps.oauth_apps import AppOrigin
from herod.identity.apps.registered_apps import HEROD_CLI
from herod.identity.effective_principals import grant_of_app, is_delegation_live
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.operation_definition import Context, GivesNothing, Params, Target, Time, command, query
from herod.pipeline.pagination import page_of, parse_limit
from herod.pipeline.parameters.parameter_types import AS_IT_IS, EXAMPLE_ID, Cursor, Limit
from herod.pipeline.record_references import named_account
from herod.pipeline.result_views import networks_list, rfc3339
from herod.pipeline.targets import switch_off_target, visible
from herod.records import Account, App, Delegation
from herod.scopes.decisions import Access
from herod.scopes.principal import Principal, PrincipalKind
from herod.store.owned_records import delete_with_owned, owned_by
from herod.store.page_cursors import Order
from herod.store.store_interface import MAX_PAGE, Page, Reader, Writer
from herod_client.core.errors import Conflict
from herod_client.core.grants import Grants
from herod_client.core.scope_graph import canonical_scope

__all__ = ["ConnectedApp", "delegations_get", "delegations_list", "delegations_revoke"]

DelegationId = Annotated[
    str,
    msgspec.Meta(description="the delegation's id, or the unique name of an app that you have connected"),
    AS_IT_IS,
]


class ListDelegations(Params, frozen=True, kw_only=True):
    """`account` is for admins: whose connected apps; `limit` is at most 200."""

    account: (
        Annotated[
            str,
            msgspec.Meta(description="only those of the account with this client_id, email or unique name; for admins"),
        ]
        | None
    ) = None
    cursor: Cursor | None = None
    limit: Limit = MAX_PAGE


class DelegationRef(Params, frozen=True, kw_only=True):
    """A delegation by its id."""

    id: DelegationId


class ConnectedApp(msgspec.Struct, frozen=True, kw_only=True):
    """What an account lets an app do.

    `account` is the account's client_id and `app` the app's; `app_origin` says where its name comes from: an admin
    (registered), the app alone (dynamic), or the page at its URL (document). Without `resource`, the app can only ask
    who the person is. The app may do less than `scope` if the account holds less now.
    """

    id: str
    account: str
    app: str
    app_name: str
    app_origin: AppOrigin
    resource: str | None
    scope: str
    networks: list[str]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    last_used_from: str | None


class Disconnected(msgspec.Struct, frozen=True):
    """The app's tokens are refused from the next request on, here and at every verifier."""

    id: str
    revoked: bool


def _is_own(principal: Principal, delegation: Delegation) -> bool:
    """Whether it is of the principal's account; to an app's token, whether it is the token's own."""
    if principal.kind is not PrincipalKind.ACCOUNT or delegation.account != principal.id:
        return False
    return principal.delegation in (None, delegation.id)


def _find(reader: Reader, context: Context, params: DelegationRef) -> Delegation | None:
    """The delegation with that id, or the caller's own to the app of that name; not one that has ended.

    Raises:
        Conflict: the caller has connected several apps of that name, or one for several resources.
    """
    found = reader.get(Delegation, params.id)
    if found is not None:
        return found if _is_live(reader, context, found) else None
    own = [one for one in owned_by(reader, Delegation, context.principal.id) if _is_own(context.principal, one)]
    named = [one for one in own if one.app_name == params.id and _is_live(reader, context, one)]
    if len(named) > 1:
        raise Conflict(
            "You have connected several apps of this name, or one for several resources: give the id of one.",
            reason="ambiguous",
            hint="herod app connected",
        )
    return named[0] if named else None


def _is_live(reader: Reader, context: Context, delegation: Delegation) -> bool:
    """Whether it has not ended. Not even that of an app that an admin has disabled: it may be enabled again."""
    is_registered = delegation.app_origin == AppOrigin.REGISTERED and delegation.app != HEROD_CLI
    if is_registered and reader.get(App, delegation.app) is None:
        return False
    account = reader.get(Account, delegation.account)
    return is_delegation_live(context.runtime, delegation, account, context.now)


def _grants(reader: Reader, context: Context, delegation: Delegation) -> Grants:
    """What the app can do now: at most what the account can."""
    account = reader.get(Account, delegation.account)
    if account is None:
        return ()
    delegated = grant_of_app(reader, context.runtime, delegation)
    return () if delegated is None else (context.runtime.grant(account.scope, account.networks).intersect(delegated),)


DELEGATION: Final = Target(noun="connected app", find=_find, is_own=_is_own, grants=_grants)


@query(
    "delegations.list",
    needs=Access.AUTHENTICATED,
    example={"limit": 50},
    http=("GET /api/v1/delegations",),
)
def delegations_list(reader: Reader, context: Context, params: ListDelegations) -> Page[ConnectedApp]:
    """List the apps that act for accounts, newest first: your own, or all of them for admins.

    A page may hold fewer than `limit` apps and not be the last: continue while there is a next cursor.
    """
    limit, principal = parse_limit(params.limit), context.principal
    own = principal.id if principal.kind is PrincipalKind.ACCOUNT else None
    account = params.account
    if account not in (None, own):
        named = named_account(reader, context, account)
        account = account if named is None else named.id
    if not is_admin(context):
        if own is None or account not in (None, own):
            return Page([])
        account = own
    page = reader.list(Delegation, owner=account, order=Order.NEWEST, cursor=params.cursor, limit=limit)

    def shape(delegation: Delegation) -> ConnectedApp | None:
        is_visible = is_admin(context) or _is_own(principal, delegation)
        return _view(reader, delegation) if is_visible and _is_live(reader, context, delegation) else None

    return page_of(page, shape, order=Order.NEWEST)


@query(
    "delegations.get",
    needs=Access.AUTHENTICATED,
    example={"id": EXAMPLE_ID},
    http=("GET /api/v1/delegations/{id}",),
)
def delegations_get(reader: Reader, context: Context, params: DelegationRef) -> ConnectedApp:
    """Show what an account lets an app do, and when it was last used."""
    return _view(reader, visible(context, DELEGATION, _find(reader, context, params)))


@command(
    "delegations.revoke",
    credential=True,
    gives=GivesNothing("ends access"),
    needs=Access.AUTHENTICATED,
    target=DELEGATION,
    example={"id": EXAMPLE_ID},
    http=("DELETE /api/v1/delegations/{id}",),
    unwritten=switch_off_target,
)
def delegations_revoke(tx: Writer, context: Context, params: DelegationRef, delegation: Delegation) -> Disconnected:
    """Take back what an account lets an app do. Its tokens end, and it must ask the person again."""
    delete_with_owned(tx, delegation, now=context.now)
    return Disconnected(delegation.id, revoked=True)


def _view(reader: Reader, delegation: Delegation) -> ConnectedApp:
    usage = reader.usage(delegation.id)
    return ConnectedApp(
        id=delegation.id,
        account=delegation.account,
        app=delegation.app,
        app_name=delegation.app_name,
        app_origin=AppOrigin(delegation.app_origin),
        resource=delegation.resource,
        scope=canonical_scope(delegation.scope),
        networks=networks_list(delegation.networks),
        created_at=datetime.fromtimestamp(delegation.created_at, UTC),
        expires_at=rfc3339(delegation.expires_at),
        last_used_at=None if usage is None else rfc3339(usage.at),
        last_used_from=None if usage is None else usage.source,
    )
