"""What handlers use besides store and runtime, and `identify` does not: created once per process by `app`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from herod.pipeline.client_documents.document_fetcher import DocumentFetcher
from herod.pipeline.client_documents.fetch_rate import FetchRate
from herod.pipeline.process.admin_presence import AdminPresence
from herod.pipeline.process.deployment_info import Deployment
from herod.pipeline.process.legacy_secret_usage import LegacyUsage
from herod.pipeline.process.steady_clock import SteadyClock
from herod.pipeline.process.store_scan_cache import ScanCache
from herod.throttle.fair_places import FairPlaces
from herod.throttle.fair_turns import FairTurns

__all__ = ["WAITING", "WAITING_OF_PRINCIPAL", "WAITING_OF_SOURCE", "ProcessState"]

# Requests that wait for the change feed. Each holds a connection that is not evicted.
WAITING: Final = 256
WAITING_OF_SOURCE: Final = 64
WAITING_OF_PRINCIPAL: Final = 16


def _feed_places() -> FairPlaces:
    """Places by range of sources, source and principal."""
    return FairPlaces(WAITING, WAITING, WAITING_OF_SOURCE, WAITING_OF_PRINCIPAL)


def _scan_turns() -> FairTurns:
    return FairTurns("Too many requests read the audit log at once: try again in a few seconds.")


@dataclass(slots=True, kw_only=True)
class ProcessState:
    """Each part has its own module.

    Attributes:
        operations: the operation table, by name, for `access.explain`.
        deployment: how this daemon is deployed; only for display.
        admins: whether there is an enabled admin.
        scans: cached results of long store scans.
        scan_turns: whose turn it is to have the audit log scanned.
        feed_places: which requests may wait for changes.
        legacy_usage: how often each legacy secret was used.
        documents: fetches the documents of apps.
        fetches: for whom it did so lately.
        steady: the time by which expired records are deleted.
    """

    operations: Mapping[str, Any] = field(default_factory=dict)
    deployment: Deployment = field(default_factory=Deployment)
    admins: AdminPresence = field(default_factory=AdminPresence)
    scans: ScanCache = field(default_factory=ScanCache)
    scan_turns: FairTurns = field(default_factory=_scan_turns)
    feed_places: FairPlaces = field(default_factory=_feed_places)
    legacy_usage: LegacyUsage = field(default_factory=LegacyUsage)
    documents: DocumentFetcher = field(default_factory=DocumentFetcher)
    fetches: FetchRate = field(default_factory=FetchRate)
    steady: SteadyClock = field(default_factory=SteadyClock)
