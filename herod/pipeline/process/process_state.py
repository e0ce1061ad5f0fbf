"""What handlers use besides store and runtime, and `identify` does not: created once per process by `app`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from herod.pipeline.process.admin_presence import AdminPresence
from herod.pipeline.process.deployment_info import Deployment
from herod.pipeline.process.legacy_secret_usage import LegacyUsage
from herod.pipeline.process.store_scan_cache import ScanCache

__all__ = ["ProcessState"]


@dataclass(slots=True, kw_only=True)
class ProcessState:
    """Each part has its own module.

    Attributes:
        operations: the operation table, by name, for `access.explain`.
        deployment: how this daemon is deployed; only for display.
        admins: whether there is an enabled admin.
        scans: cached results of long store scans.
        legacy_usage: how often each legacy secret was used.
    """

    operations: Mapping[str, Any] = field(default_factory=dict)
    deployment: Deployment = field(default_factory=Deployment)
    admins: AdminPresence = field(default_factory=AdminPresence)
    scans: ScanCache = field(default_factory=ScanCache)
    legacy_usage: LegacyUsage = field(default_factory=LegacyUsage)
