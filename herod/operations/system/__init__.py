"""The daemon itself: health, overview, metrics, backup, explain."""

from herod.operations.system.health_and_whoami import WhoamiAnswer

__all__ = ["WhoamiAnswer"]
