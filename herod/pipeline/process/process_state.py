"""What handlers use besides store and runtime, and identify does not: made once a process, handed in by `app`."""

from dataclasses import dataclass, field

from herod.pipeline.process.admin_presence import AdminPresence
from herod.pipeline.process.deployment_info import Deployment
from herod.pipeline.process.legacy_secret_usage import LegacyUsage
from herod.pipeline.process.store_scan_cache import ScanCache

__all__ = ["ProcessState"]


@dataclass(slots=True, kw_only=True)
class ProcessState:
    """Each part has a module of its own.

    Attributes:
        deployment: how this daemon was set up; only for showing.
        admins: whether there is one.
        surveys: what long looks at the store have found.
        legacy_uses: how often each legacy secret was used.
    """

    deployment: Deployment = field(default_factory=Deployment)
    admins: AdminPresence = field(default_factory=AdminPresence)
    surveys: ScanCache = field(default_factory=ScanCache)
    legacy_usage: LegacyUsage = field(default_factory=LegacyUsage)
