"""How often apps ask about their device codes (RFC 8628, section 3.5). Kept in memory, so that asking writes nothing.

After a restart every code has its first interval again. Several daemons on one store count separately.
"""

from typing import Final

__all__ = ["INTERVAL_SECONDS", "MAX_POLLED", "DevicePolls"]

INTERVAL_SECONDS: Final = 5
# Requests that were sent in time may arrive a little closer together.
LEEWAY: Final = 1
# Device codes whose last poll is remembered; of more, the one that was polled least recently is forgotten.
MAX_POLLED: Final = 1024


class DevicePolls:
    """The last poll and the interval of each device code, by the id of its record."""

    def __init__(self) -> None:
        self._polls: dict[str, tuple[int, int]] = {}

    def is_too_soon(self, code: str, now: int) -> bool:
        """Note a poll; whether it came before the interval was over, which is 5 seconds longer from now on."""
        last, interval = self._polls.pop(code, (None, INTERVAL_SECONDS))
        is_early = last is not None and last <= now < last + interval - LEEWAY
        if len(self._polls) >= MAX_POLLED:
            del self._polls[next(iter(self._polls))]
        self._polls[code] = now, interval + INTERVAL_SECONDS * is_early
        return is_early

    def forget(self, code: str) -> None:
        """Forget a code about which nobody asks any more."""
        self._polls.pop(code, None)
