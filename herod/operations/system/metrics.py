"""Metrics for monitoring: counts and states in the Prometheus text format, never a name or an id."""

from collections.abc import Iterator
from typing import Final

from herod.pipeline.operation_definition import Context, NoParams, query
from herod.records import Account, ApiKey, Record, Resource, Session
from herod.store.store_interface import Health, Store
from herod_client.core.scope_graph import READ

__all__ = ["metrics"]

# Prometheus, "Exposition formats", text format 0.0.4
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
KEPT: Final[tuple[tuple[str, type[Record]], ...]] = (
    ("users", Account),
    ("keys", ApiKey),
    ("sessions", Session),
    ("resources", Resource),
)
# metric → what it counts; the counter has the same name without prefix and suffix
COUNTED: Final = (
    ("tokens", "Access tokens issued."),
    ("sign_ins", "Sign-ins by password and by browser."),
    ("passkey_sign_ins", "Of those, how many by passkey."),
    ("wrong_codes", "Wrong codes of authenticator apps and wrong recovery codes."),
    ("app_registrations", "Apps that registered themselves."),
    ("documents_fetched", "Documents of apps fetched."),
    ("consents", "Apps that people let act for them."),
    ("repeated_consents", "Sign-ins to apps that people had allowed before."),
    ("refused_consents", "Apps that people refused."),
    ("device_codes", "Device codes that apps asked for."),
    ("allowed_devices", "Of those, how many people allowed."),
    ("denied_devices", "Of those, how many people denied."),
    ("refreshes", "Access tokens of apps issued for a refresh token."),
    ("approvals_asked", "Calls of apps that a person had to approve first."),
    ("approvals_approved", "Of those, how many were approved."),
    ("approvals_declined", "Of those, how many were declined."),
    ("denials", "Requests refused."),
    ("validations", "Tokens, keys and secrets validated for other services."),
    ("invalid", "Validations that found the token, key or secret invalid."),
)


@query("metrics", needs=READ, example={}, http=("GET /metrics",), surfaces=frozenset(), media_type=MEDIA_TYPE)
def metrics(store: Store, context: Context, params: NoParams) -> str:
    """Return metrics in the Prometheus text format."""
    return "\n".join([*_lines(store, context), ""])


def _lines(store: Store, context: Context) -> Iterator[str]:
    runtime = context.runtime
    yield from _metric("herod_info", "gauge", "The running version.", 1, f'{{version="{runtime.config.version}"}}')
    uptime = max(0, context.now - runtime.started_at)
    yield from _metric("herod_uptime_seconds", "gauge", "Seconds since the start.", uptime)
    is_well = int(store.health[0] is Health.OK)
    yield from _metric("herod_store_writable", "gauge", "1 while the store can be written.", is_well)
    missing = sum(len(one.addresses) for one in context.process.deployment.missing)
    yield from _metric(
        "herod_missing_addresses", "gauge", "Addresses on which herod should listen and does not.", missing
    )
    for kind, record_type in KEPT:
        yield from _metric(f"herod_{kind}", "gauge", f"Number of {kind}.", store.count(record_type))
    for name, meaning in COUNTED:
        yield from _metric(f"herod_{name}_total", "counter", meaning, runtime.counters[name])
    audit_file = context.process.deployment.audit_file()
    if audit_file is not None:
        is_written = int(audit_file.problem is None)
        yield from _metric("herod_audit_file_writable", "gauge", "1 while the audit file can be written.", is_written)
        waiting = "Audit rows that are not in the audit file yet."
        yield from _metric("herod_audit_file_waiting", "gauge", waiting, audit_file.waiting)
    stats = store.stats
    yield from _metric("herod_store_writes_total", "counter", "Changes written.", stats.writes)
    yield from _metric("herod_store_commits_total", "counter", "Commits that made them durable.", stats.commits)


def _metric(name: str, kind: str, meaning: str, value: int, labels: str = "") -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    yield f"{name}{labels} {value}"
