"""The daemon itself: health, overview, metrics, backup, explain."""

from herod.operations.system.health_and_whoami import Whoami

__all__ = ["Whoami"]
