"""Protects the memory of the process from other processes of the machine."""

import ctypes
import logging
import resource
from typing import Final

__all__ = ["protect_memory"]

_log = logging.getLogger(__name__)

_PR_SET_DUMPABLE: Final = 4  # <linux/prctl.h>


def protect_memory() -> None:
    """Disable core dumps, debuggers and /proc/PID/mem for processes of the same user: secrets are in memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _log.warning("PR_SET_DUMPABLE failed: processes of this user can read herod's memory")
