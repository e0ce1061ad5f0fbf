"""The overview for admins: the daemon's configuration and state, the activity of the last day, and warnings.

Only the dashboard uses it. It can read for a long time, off the event loop (`wait`); how much it reads is limited, and
the answer says where the limit was reached. Must never contain a secret, only that one is weak.
"""

from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from herod.operations.system.admin_warnings import AdminWarning
from herod.operations.system.attention import MAX_AUDIT_ROWS, find_attention, last_backup
from herod.pipeline.operation_definition import Context, NoParams, Surface, Time, query
from herod.pipeline.result_views import rfc3339
from herod.records import Account, ApiKey, App, PeerRule, Resource, Session
from herod.store.audit_filter import AuditFilter
from herod.store.store_interface import Reader, Store
from herod_client.core.scope_graph import ADMIN

__all__ = ["HOURS", "overview"]

HOUR: Final = 3600
HOURS: Final = 24
# What counts as a sign-in: the operations that count themselves as one.
SIGN_INS: Final = "sign_ins"
# How many rows of the audit log are read at a time.
AUDIT_PAGE: Final = 5000


class Hour(msgspec.Struct, frozen=True):
    """The activity in the hour that begins at `at`."""

    at: Time | None
    sign_ins: int
    denials: int


class OverviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Times are RFC 3339, `uptime` is in seconds.

    `store_path` and `store_bytes` are null for a store in memory; `hours` are the last 24, the oldest first, and
    `is_whole_day` is false if the audit log has too many rows to count all of them.
    """

    status: str
    reason: str | None
    version: str
    uptime: int
    binds: list[str]
    public_url: str | None
    store: str
    store_path: str | None
    store_bytes: int | None
    signing: str
    registration: str
    users: int
    keys: int
    apps: int
    sessions: int
    resources: int
    peers: int
    audit_rows: int
    tokens: int
    last_backup_at: Time | None
    hours: list[Hour]
    is_whole_day: bool
    attention: list[AdminWarning]


async def _look(store: Store, context: Context, params: NoParams) -> OverviewAnswer:
    runtime, now = context.runtime, context.now
    deployment, scans = context.process.deployment, context.process.scans
    audit_rows = store.audit_head[0]
    store_bytes = await store.survey(lambda reader: deployment.store_bytes())
    sign_ins = {name for name, one in context.process.operations.items() if SIGN_INS in one.counts}
    hours, is_whole_day = await scans.find("day", lambda: _count_day(store, sign_ins, now), rows=audit_rows, now=now)
    status, reason = store.health
    return OverviewAnswer(
        status=status,
        reason=reason,
        version=runtime.config.version,
        uptime=max(0, now - runtime.started_at),
        binds=list(deployment.binds),
        public_url=runtime.config.public_url if runtime.config.has_browser_origin else None,
        store="memory" if deployment.store_path is None else "SQLite",
        store_path=deployment.store_path,
        store_bytes=store_bytes,
        signing=runtime.signing.current.algorithm,
        registration=runtime.config.registration,
        users=store.count(Account),
        keys=store.count(ApiKey),
        apps=store.count(App),
        sessions=store.count(Session),
        resources=store.count(Resource),
        peers=store.count(PeerRule),
        audit_rows=audit_rows,
        tokens=runtime.counters["tokens"],
        last_backup_at=rfc3339(await last_backup(store, context)),
        hours=hours,
        is_whole_day=is_whole_day,
        attention=await find_attention(store, context),
    )


@query("overview", needs=ADMIN, example={}, surfaces=frozenset({Surface.DASHBOARD}), wait=_look)
def overview(reader: Reader, context: Context, params: NoParams) -> OverviewAnswer:
    """Show the daemon's state, the activity of the last day, and warnings."""
    raise NotImplementedError  # `wait` answers


async def _count_day(store: Store, signing_in: AbstractSet[str], now: int) -> tuple[list[Hour], bool]:
    """Sign-ins and denials by the hour; `signing_in` are the operations that sign somebody in.

    Rows are ordered by time, so reading stops where the day begins.
    """
    first = (now // HOUR - HOURS + 1) * HOUR
    sign_ins, denials = [0] * HOURS, [0] * HOURS
    is_whole, seen = True, 0
    before: int | None = None
    while True:
        rows = await store.find_audit(AuditFilter(), before=before, limit=AUDIT_PAGE)
        for event in (row.event for row in rows):
            index = (event.at - first) // HOUR
            if not 0 <= index < HOURS:
                continue
            if event.outcome == "denied":
                denials[index] += event.count
            elif event.operation in signing_in:
                sign_ins[index] += event.count
        seen += len(rows)
        if len(rows) < AUDIT_PAGE or rows[-1].event.at < first:
            break
        if seen >= MAX_AUDIT_ROWS:
            is_whole = False
            break
        before = rows[-1].seq
    hours = [Hour(rfc3339(first + index * HOUR), sign_ins[index], denials[index]) for index in range(HOURS)]
    return hours, is_whole
