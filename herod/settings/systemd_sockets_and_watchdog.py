"""Reads the service manager's environment: passed sockets, the notify socket and the watchdog interval.

Pure. These are not options: systemd sets them, not the operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from herod.settings.bind_addresses import FdBind

__all__ = ["MANAGER_VARIABLES", "ServiceManager", "read_manager"]

# The caller removes these from the environment once read: they are meant for this process only.
MANAGER_VARIABLES: Final = (
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)
_FIRST_SOCKET: Final = 3
_MOST_SOCKETS: Final = 64
_DIGITS: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceManager:
    """What the service manager passed to this process.

    Attributes:
        sockets: the passed sockets, from descriptor 3 (sd_listen_fds(3)).
        notify: the datagram socket it listens on: a path, or `@` and an abstract name (sd_notify(3)).
        watchdog_seconds: it kills a process that sends nothing for this long (sd_watchdog_enabled(3)).
    """

    sockets: tuple[FdBind, ...] = ()
    notify: str | None = None
    watchdog_seconds: float | None = None


def read_manager(environ: Mapping[str, str], *, pid: int) -> ServiceManager:
    """Read the variables meant for the process `pid`; those meant for another process are ignored."""
    sockets = _number(environ, "LISTEN_FDS") if environ.get("LISTEN_PID") == str(pid) else 0
    notify = environ.get("NOTIFY_SOCKET", "") if pid else ""
    is_watched = bool(pid) and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    microseconds = _number(environ, "WATCHDOG_USEC") if is_watched else 0
    return ServiceManager(
        sockets=tuple(FdBind(_FIRST_SOCKET + index) for index in range(min(sockets, _MOST_SOCKETS))),
        notify=notify if notify.startswith(("/", "@")) else None,
        watchdog_seconds=microseconds / 1_000_000 if microseconds else None,
    )


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0
