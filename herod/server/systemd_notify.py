"""What the service manager is told: that herod is ready, reloads, stops, and is alive (sd_notify(3)).

Must never stop the daemon because nobody listens.
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
        address: a path, or `@` and an abstract name; None where nobody wants to know.
    """

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address

    def ready(self, status: str) -> None:
        """It answers; also the end of a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun; the time tells it from the one before (systemd.service(5), `Type=notify-reload`)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self) -> None:
        """It takes no more connections."""
        self._tell("STOPPING=1", "STATUS=stopping; requests in hand are answered first")

    def alive(self) -> None:
        """All is well."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for people."""
        self._tell(f"STATUS={text}")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
                unix.settimeout(_PATIENCE_SECONDS)  # systemd reads at once, or something is very wrong with it
                unix.sendto(message, self._address)
        except OSError as error:  # no descriptor is left, say
            _log.warning("the service manager could not be told %s: %s", lines[0], error.strerror or error)


async def watch(notifier: SystemdNotifier, seconds: float, is_well: Callable[[], Awaitable[bool]]) -> None:
    """Say at half of every interval that all is well, and nothing while it is not: then the manager restarts herod.

    It runs on the event loop, so a loop that stands still says nothing either.

    Args:
        notifier: who tells.
        seconds: WATCHDOG_USEC; after so much silence the process is ended.
        is_well: looks; may wait, and while it does nothing is said.
    """
    was_well = True
    while True:
        is_now_well = await is_well()
        if is_now_well:
            notifier.alive()
        elif was_well:
            _log.error("herod is not well: the service manager is told nothing, and will restart it")
            notifier.status("the store cannot be read; waiting to be restarted")
        was_well = is_now_well
        await trio.sleep(seconds / 2)
