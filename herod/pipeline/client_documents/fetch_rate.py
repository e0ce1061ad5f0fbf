"""How many documents of apps were fetched for each person in the last minute."""

from typing import Final

from herod.throttle.rules import LimitRule, Marks, add, seconds_locked
from herod_client.core.errors import RateLimited

__all__ = ["FETCHES", "MAX_FETCHING", "FetchRate"]

FETCHES: Final = LimitRule("documents", window=60, limit=10)
# Persons whose last minute is remembered; over this, the one that fetched nothing for longest is forgotten.
MAX_FETCHING: Final = 4096


class FetchRate:
    """Counts in memory: a restart forgets the last minute."""

    def __init__(self) -> None:
        self._marks: dict[str, Marks] = {}

    def count(self, account: str, now: int) -> None:
        """Count a fetch that is about to be made.

        Raises:
            RateLimited: there were too many for this account.
        """
        marks = self._marks.pop(account, ())
        seconds = seconds_locked(FETCHES, marks, now)
        self._marks[account] = marks if seconds else add(FETCHES, marks, now)
        if len(self._marks) > MAX_FETCHING:
            del self._marks[next(iter(self._marks))]
        if seconds:
            raise RateLimited(
                f"Too many apps were looked up for you: try again in {seconds} seconds.",
                retry_after=seconds,
                reason="locked_documents",
            )
