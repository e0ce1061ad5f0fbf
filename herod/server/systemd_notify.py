"""Notifies the service manager that herod is ready, reloading, stopping or alive (sd_notify(3)).

Must never stop the daemon because the manager does not listen.
"""

import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

import trio

__all__ = ["SystemdNotifier", "watch"]

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 1.0


class SystemdNotifier:
    """Reports to the socket that NOTIFY_SOCKET names.

    Args:
        address: a path, or `@` and an abstract name; None without a service manager.
    """

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address
        self._told = ""

    def ready(self, status: str) -> None:
        """Report that herod is serving; also ends a reload."""
        self._told = status
        self._tell("READY=1", f"STATUS={status}")

    def update(self, status: str) -> None:
        """Set the status line, if `ready` or this said something else last."""
        if status != self._told:
            self._told = status
            self.status(status)

    def reloading(self) -> None:
        """Report the start of a reload, with its time (systemd.service(5), `Type=notify-reload`)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self) -> None:
        """Report that herod accepts no more connections."""
        self._tell("STOPPING=1", "STATUS=stopping after the requests in progress")

    def alive(self) -> None:
        """Reset the watchdog."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the status line for the moment."""
        self._tell(f"STATUS={text}")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
                unix.settimeout(_PATIENCE_SECONDS)  # systemd reads at once, unless something is very wrong with it
                unix.sendto(message, self._address)
        except OSError as error:  # for example, no descriptor is left
            _log.warning("could not send %s to the service manager: %s", lines[0], error.strerror or error)


async def watch(notifier: SystemdNotifier, seconds: float, is_well: Callable[[], Awaitable[bool]]) -> None:
    """Reset the watchdog twice an interval while herod is healthy; otherwise the manager restarts herod.

    It runs on the event loop, so a blocked loop sends nothing either.

    Args:
        notifier: sends the messages.
        seconds: WATCHDOG_USEC in seconds; after this long without a message the manager ends the process.
        is_well: the health check; while it waits, nothing is sent.
    """
    was_well = True
    while True:
        is_now_well = await is_well()
        if is_now_well:
            notifier.alive()
        elif was_well:
            _log.error("the store cannot be read: the watchdog is not reset, so the service manager will restart herod")
            notifier.status("the store cannot be read; waiting to be restarted")
        was_well = is_now_well
        await trio.sleep(seconds / 2)
