"""What the service manager says in the environment: passed sockets, where to report, how often to say that all is well.

Pure. Nothing here is an option: people do not set it, systemd does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from herod.settings.bind_addresses import FdBind

__all__ = ["MANAGER_VARIABLES", "ServiceManager", "read_manager"]

# To be taken out of the environment once read: they are meant for this process alone.
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
    """What it wants of this process.

    Attributes:
        sockets: those it passed on, from descriptor 3 (sd_listen_fds(3)).
        notify: the datagram socket it listens on: a path, or `@` and an abstract name (sd_notify(3)).
        watchdog_seconds: it ends a process that says nothing for so long (sd_watchdog_enabled(3)).
    """

    sockets: tuple[FdBind, ...] = ()
    notify: str | None = None
    watchdog_seconds: float | None = None


def read_manager(environ: Mapping[str, str], *, pid: int) -> ServiceManager:
    """Read what is meant for the process `pid`; what is meant for another, or for none, counts as not said."""
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
