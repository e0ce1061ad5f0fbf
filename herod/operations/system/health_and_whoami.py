"""The daemon's health, version and counts, and the caller's identity."""

from itertools import takewhile
from typing import Final

import msgspec

from herod.pipeline.operation_definition import Context, NoParams, Tool, query
from herod.pipeline.pagination import ByteBudget
from herod.pipeline.result_views import networks_list
from herod.records import Account, ApiKey, Session
from herod.scopes.decisions import Access
from herod.store.store_interface import Health, Store
from herod_client.core.scope_graph import READ

__all__ = ["health", "stats", "version", "whoami"]

# Of the grants of one principal, as JSON.
MAX_HELD_BYTES: Final = 64 * 1024


class HealthAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` is ok, read-only or failing; `reason` says why it is not ok.

    `missing_addresses` are those on which herod should listen and does not; `herod doctor` says why.
    """

    status: str
    service: str
    version: str
    reason: str | None = None
    missing_addresses: list[str] | None = None


class VersionAnswer(msgspec.Struct, frozen=True):
    """`api_version` is that of `/api/v1`; `server_version` is `version`, under the name that envelopes have for it."""

    service: str
    version: str
    server_version: str
    api_version: str


class StatsAnswer(msgspec.Struct, frozen=True):
    """Counts; `tokens`, `sign_ins` and `denials` since the start, `uptime` in seconds.

    `store` is ok, read-only or failing; `/health` says why. With an audit file, `audit_file` is ok or failing, and
    `audit_waiting` is the number of rows that are not in it yet.
    """

    users: int
    keys: int
    sessions: int
    tokens: int
    sign_ins: int
    denials: int
    uptime: int
    store: str
    audit_file: str | msgspec.UnsetType = msgspec.UNSET
    audit_waiting: int | msgspec.UnsetType = msgspec.UNSET


class HeldGrant(msgspec.Struct, frozen=True):
    """A scope and the networks that it reaches."""

    scope: str
    networks: list[str]


class WhoamiAnswer(msgspec.Struct, frozen=True):
    """The calling principal, with the scope and networks that it holds now.

    `grants` is present for a local process that several group rules admit: each grant has its own scope and networks,
    and `scope` and `networks` are those of the widest. Grants that would make the answer too large are left out.
    `needs_second_factor` is true for a session that must set up a second factor before anything else.
    """

    sub: str
    kind: str
    name: str
    method: str
    scope: str
    networks: list[str]
    grants: list[HeldGrant] | msgspec.UnsetType = msgspec.UNSET
    needs_second_factor: bool | msgspec.UnsetType = msgspec.UNSET


@query(
    "health",
    needs=Access.PUBLIC,
    example={},
    http=("GET /health",),
    tool=Tool("health"),
    status=lambda answer: 200 if answer.status == Health.OK else 503,
    is_quiet=True,
)
def health(store: Store, context: Context, params: NoParams) -> HealthAnswer:
    """Report the daemon's health; 503 if the store is read-only or fails."""
    state, reason = store.health
    return HealthAnswer(
        status=state,
        service="herod",
        version=context.runtime.config.version,
        reason=reason,
        missing_addresses=[address for one in context.process.deployment.missing for address in one.addresses] or None,
    )


@query("version", needs=Access.PUBLIC, example={}, http=("GET /api/version",))
def version(store: Store, context: Context, params: NoParams) -> VersionAnswer:
    """Return the service's name and versions."""
    number = context.runtime.config.version
    return VersionAnswer(service="herod", version=number, server_version=number, api_version="1")


@query("stats", needs=READ, example={}, http=("GET /api/v1/stats",), tool=Tool("stats"))
def stats(store: Store, context: Context, params: NoParams) -> StatsAnswer:
    """Return counts of stored records and of events since the start."""
    counters = context.runtime.counters
    audit_file = context.process.deployment.audit_file()
    return StatsAnswer(
        users=store.count(Account),
        keys=store.count(ApiKey),
        sessions=store.count(Session),
        tokens=counters["tokens"],
        sign_ins=counters["sign_ins"],
        denials=counters["denials"],
        uptime=max(0, context.now - context.runtime.started_at),
        store=store.health[0],
        audit_file=msgspec.UNSET if audit_file is None else "ok" if audit_file.problem is None else "failing",
        audit_waiting=msgspec.UNSET if audit_file is None else audit_file.waiting,
    )


@query(
    "whoami",
    needs=Access.AUTHENTICATED,
    enrols=True,
    example={},
    http=("GET /api/v1/whoami",),
    tool=Tool("whoami"),
)
def whoami(store: Store, context: Context, params: NoParams) -> WhoamiAnswer:
    """Return the principal of the presented credential, with its scope and networks."""
    principal, runtime = context.principal, context.runtime
    grant = principal.widest
    held: list[HeldGrant] | msgspec.UnsetType = msgspec.UNSET
    if principal.parts:
        room = ByteBudget(MAX_HELD_BYTES)
        grants = (HeldGrant(runtime.scope_text(one), networks_list(one.networks)) for one in principal.grants)
        held = [*takewhile(room.takes, grants)]
    return WhoamiAnswer(
        sub=principal.id,
        kind=principal.kind,
        name=principal.name,
        method=principal.method,
        scope=runtime.scope_text(grant),
        networks=networks_list(grant.networks),
        grants=held,
        needs_second_factor=True if principal.lacks_factor else msgspec.UNSET,
    )
