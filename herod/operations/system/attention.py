"""What needs an admin's attention: the facts, as the store and this process know them, for `admin_warnings.py`.

It can read for a long time, off the event loop (`wait`); how much it reads is limited, and a warning says "at least"
where the limit was reached. Must never contain a secret, only that one is weak.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from herod.operations.keys import UNUSED_SECONDS
from herod.operations.system.access_survey import AccessSurvey, survey_access
from herod.operations.system.admin_warnings import AdminWarning, Facts, KeyFacts, WarningTopic, find_warnings
from herod.pipeline.operation_definition import Context, NoParams, query
from herod.pipeline.result_views import rfc3339
from herod.records import REGISTERED, SERVICE_KEYS, Account, ApiKey, App, Delegation, Passkey, PeerRule
from herod.settings import QuotaSettings
from herod.store.audit_filter import AuditFilter
from herod.store.page_cursors import encode_cursor
from herod.store.store_interface import AuditRow, Order, Reader, Store
from herod_client.core.scope_graph import ADMIN

__all__ = ["MAX_AUDIT_ROWS", "attention", "find_attention", "last_backup"]

WEEK: Final = 7 * 86_400
# How far back the audit log is read.
MAX_AUDIT_ROWS: Final = 100_000
NAMED: Final = 5
# How many keys are read for each survey.
MAX_KEYS: Final = 10_000
LAST_ID: Final = "~"  # sorts after every id


class AttentionList(msgspec.Struct, frozen=True):
    """The worst first; empty if nothing is wrong."""

    items: list[AdminWarning]


async def find_attention(store: Store, context: Context) -> list[AdminWarning]:
    """The warnings of now, the worst first."""
    now, scans = context.now, context.process.scans
    keys = await scans.find(
        "keys",
        lambda: store.survey(lambda reader: _survey_keys(reader, now)),
        rows=store.count(ApiKey),
        now=now,
    )
    graph, host = context.runtime.config.graph, urlsplit(context.runtime.config.public_url).hostname or ""
    access = await scans.find(
        "access",
        lambda: store.survey(lambda reader: survey_access(reader, graph, host, now)),
        rows=store.count(Account) + store.count(App) + store.count(Delegation) + store.count(Passkey),
        now=now,
    )
    backup_at = await last_backup(store, context)
    facts = _facts(store, context, _unused_still(store, keys, now), access, backup_at)
    return find_warnings(facts, now=now)


async def _look(store: Store, context: Context, params: NoParams) -> AttentionList:
    return AttentionList(await find_attention(store, context))


@query("attention", needs=ADMIN, example={}, http=("GET /api/v1/attention",), wait=_look)
def attention(reader: Reader, context: Context, params: NoParams) -> AttentionList:
    """List what needs an admin's attention: what is wrong, and how to fix it."""
    raise NotImplementedError  # `wait` answers


def _facts(store: Store, context: Context, keys: KeyFacts, access: AccessSurvey, backup_at: int | None) -> Facts:
    runtime, deployment = context.runtime, context.process.deployment
    status, reason = store.health
    audit_file = deployment.audit_file()
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
        access=access.still(store, context.runtime, now=context.now),
        second_factor=runtime.config.second_factor,
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


async def last_backup(store: Store, context: Context) -> int | None:
    """When the last backup was requested, in Unix seconds, as far back as the audit log is read."""
    rows = store.audit_head[0]
    return await context.process.scans.find("backup", lambda: _find_backup(store), rows=rows, now=context.now)


async def _find_backup(store: Store) -> int | None:
    after = max(0, store.audit_head[0] - MAX_AUDIT_ROWS)
    wanted = AuditFilter(operation="backup", outcome="ok")
    rows: list[AuditRow] = await store.find_audit(wanted, after=after, limit=MAX_AUDIT_ROWS)
    return rows[-1].event.at if rows else None
