"""The overview for admins: the daemon's configuration and state, the activity of the last day, and warnings.

Only the dashboard uses it. It can read for a long time, off the event loop (`wait`); how much it reads is limited, and
the answer says where the limit was reached. Must never contain a secret, only that one is weak.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from herod.operations.keys import UNUSED_SECONDS
from herod.operations.system.admin_warnings import AdminWarning, Facts, KeyFacts, WarningTopic, find_warnings
from herod.pipeline.operation_definition import Context, NoParams, Surface, Time, query
from herod.pipeline.result_views import rfc3339
from herod.records import REGISTERED, SERVICE_KEYS, Account, ApiKey, App, PeerRule, Resource, Session
from herod.settings import QuotaSettings
from herod.store.audit_filter import AuditFilter
from herod.store.page_cursors import encode_cursor
from herod.store.store_interface import AuditRow, Order, Reader, Store
from herod_client.core.scope_graph import ADMIN

__all__ = ["HOURS", "overview"]

HOUR: Final = 3600
HOURS: Final = 24
WEEK: Final = 7 * 24 * HOUR
SIGN_INS: Final = frozenset({"login", "session.create", "session.redeem", "session.sign_in"})
# How far back the audit log is read, and how many rows at a time.
MAX_AUDIT_ROWS: Final = 100_000
AUDIT_PAGE: Final = 5000
NAMED: Final = 5
# How many keys are read for each survey.
MAX_KEYS: Final = 10_000
# Pages of apps that are read, of 200 apps each: less than 20 ms.
MAX_APP_PAGES: Final = 5
LAST_ID: Final = "~"  # sorts after every id


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
    keys, store_bytes = await scans.find(
        "keys",
        lambda: store.survey(lambda reader: (_survey_keys(reader, now), deployment.store_bytes())),
        rows=store.count(ApiKey),
        now=now,
    )
    hours, is_whole_day = await scans.find("day", lambda: _count_day(store, now), rows=audit_rows, now=now)
    backup_at = await scans.find("backup", lambda: _last_backup(store), rows=audit_rows, now=now)
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
        last_backup_at=rfc3339(backup_at),
        hours=hours,
        is_whole_day=is_whole_day,
        attention=find_warnings(_facts(store, context, _unused_still(store, keys, now), backup_at), now=now),
    )


@query("overview", needs=ADMIN, example={}, surfaces=frozenset({Surface.DASHBOARD}), wait=_look)
def overview(reader: Reader, context: Context, params: NoParams) -> OverviewAnswer:
    """Show the daemon's state, the activity of the last day, and warnings."""
    raise NotImplementedError  # `wait` answers


def _facts(store: Store, context: Context, keys: KeyFacts, backup_at: int | None) -> Facts:
    runtime, deployment = context.runtime, context.process.deployment
    status, reason = store.health
    audit_file = deployment.audit_file()
    admin_apps, are_all_apps = _apps_with_admin(store, context)
    uses = [context.process.legacy_usage.known(store, secret.id, now=0) for secret in runtime.config.legacy.all()]
    return Facts(
        health=status,
        reason=reason,
        missing=tuple((one.addresses, one.reason) for one in deployment.missing),
        weak_secrets=deployment.weak_secrets,
        warnings=deployment.warnings,
        legacy=tuple((use.id, use.last_used_at) for use in uses),
        keys=keys,
        signing=runtime.signing.current.algorithm,
        registration=runtime.config.registration,
        is_kept=deployment.store_path is not None,
        backup_at=backup_at,
        certificate_ends=deployment.certificate_ends(),
        audit_file_problem=None if audit_file is None else audit_file.problem,
        has_records=_has_records(store),
        admin_apps=tuple(admin_apps[:NAMED]),
        admin_apps_count=len(admin_apps),
        are_all_admin_apps=are_all_apps,
        quotas=_shared_quotas(store, runtime.config.quotas),
    )


def _shared_quotas(store: Store, quotas: QuotaSettings) -> tuple[tuple[str, str, int, int], ...]:
    """What is held and allowed of the quotas that all share."""
    registered = store.count_owned(Account, REGISTERED, limit=quotas.registered_accounts)
    service_keys = store.count_owned(ApiKey, SERVICE_KEYS, limit=quotas.service_keys)
    return (
        ("accounts", "accounts", store.count(Account), quotas.accounts),
        ("accounts that registered themselves", "registered_accounts", registered, quotas.registered_accounts),
        ("service keys", "service_keys", service_keys, quotas.service_keys),
        ("peer rules", "peer_rules", store.count(PeerRule), quotas.peer_rules),
        ("apps", "apps", store.count(App), quotas.apps),
    )


def _apps_with_admin(reader: Reader, context: Context) -> tuple[list[WarningTopic], bool]:
    """The enabled apps that may be given `admin`, and whether all apps were read."""
    graph = context.runtime.config.graph
    found: list[WarningTopic] = []
    cursor: str | None = None
    for _ in range(MAX_APP_PAGES):
        page = reader.list(App, cursor=cursor)
        found += [
            WarningTopic(id=app.id, name=app.name)
            for app in page.items
            if app.enabled and graph.mask(app.scope) & graph.bit(ADMIN)
        ]
        cursor = page.next_cursor
        if cursor is None:
            return found, True
    return found, False


def _has_records(store: Store) -> bool:
    """Whether there is anything whose loss would matter."""
    return any(store.count(kind) for kind in (Account, ApiKey))


def _survey_keys(reader: Reader, now: int) -> KeyFacts:
    """Keys that expire soon, and unused keys; as many of each as can be read in about a second."""
    expiring: list[WarningTopic] = []
    unused: list[WarningTopic] = []
    expiring_count = unused_count = 0
    soonest, is_all_soonest = _walk(
        reader, Order.EXPIRES, encode_cursor(now, LAST_ID), lambda key: _ends(key) > now + WEEK
    )
    for key in soonest:
        if key.enabled:
            expiring_count += 1
            if len(expiring) < NAMED:
                expiring.append(WarningTopic(id=key.id, name=key.name, at=rfc3339(key.expires_at)))
    eldest, is_all_eldest = _walk(reader, Order.OLDEST, None, lambda key: key.created_at > now - UNUSED_SECONDS)
    for key in eldest:
        if not key.enabled or (key.expires_at is not None and key.expires_at <= now):
            continue
        usage = reader.usage(key.id)
        if usage is None or usage.at <= now - UNUSED_SECONDS:
            unused_count += 1
            if len(unused) < 4 * NAMED:
                unused.append(WarningTopic(id=key.id, name=key.name, at=rfc3339(None if usage is None else usage.at)))
    return KeyFacts(
        expiring=tuple(expiring),
        expiring_count=expiring_count,
        are_all_expiring=is_all_soonest,
        unused=tuple(unused),
        unused_count=unused_count,
        are_all_unused=is_all_eldest,
    )


def _walk(
    reader: Reader, order: Order, cursor: str | None, is_beyond: Callable[[ApiKey], bool]
) -> tuple[list[ApiKey], bool]:
    """Keys in this order up to the first that is beyond, and whether that one or the end was reached."""
    found: list[ApiKey] = []
    while len(found) < MAX_KEYS:
        page = reader.list(ApiKey, order=order, cursor=cursor)
        for key in page.items:
            if is_beyond(key):
                return found, True
            found.append(key)
        cursor = page.next_cursor
        if cursor is None:
            return found, True
    return found, False


def _ends(key: ApiKey) -> int:
    assert key.expires_at is not None  # noqa: S101 - for the type checker: the order leaves others out
    return key.expires_at


def _unused_still(store: Store, keys: KeyFacts, now: int) -> KeyFacts:
    """Leave out keys whose use was noted, but not yet written when the file was read."""
    unused = [
        subject
        for subject in keys.unused
        if (usage := store.usage(subject.id)) is None or usage.at <= now - UNUSED_SECONDS
    ]
    count = keys.unused_count - (len(keys.unused) - len(unused))
    return msgspec.structs.replace(keys, unused=tuple(unused[:NAMED]), unused_count=count)


async def _count_day(store: Store, now: int) -> tuple[list[Hour], bool]:
    """Sign-ins and denials by the hour. Rows are ordered by time, so reading stops where the day begins."""
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
            elif event.operation in SIGN_INS:
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


async def _last_backup(store: Store) -> int | None:
    """When the last backup was requested, as far back as the audit log is read."""
    after = max(0, store.audit_head[0] - MAX_AUDIT_ROWS)
    wanted = AuditFilter(operation="backup", outcome="ok")
    rows: list[AuditRow] = await store.find_audit(wanted, after=after, limit=MAX_AUDIT_ROWS)
    return rows[-1].event.at if rows else None
