"""What handlers use besides the store and the realm, and identify does not: made once a process, handed in by `app`."""

from dataclasses import dataclass, field

from herod.pipeline.process.admin_presence import Admins
from herod.pipeline.process.deployment import Deployment
from herod.pipeline.process.legacy_usage import LegacyUses
from herod.pipeline.process.scan_cache import Surveys

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
    admins: Admins = field(default_factory=Admins)
    surveys: Surveys = field(default_factory=Surveys)
    legacy_uses: LegacyUses = field(default_factory=LegacyUses)
