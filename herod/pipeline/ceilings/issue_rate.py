"""How many credentials a principal is issued in a minute (`issued_per_minute` in `[quotas]`).

An account's keys are counted with it, but leave it a part for itself: whoever has one key, with the narrowest scope,
must not be able to keep the owner from signing in. What an app is issued counts for its delegation alone.

Counted in memory, in the store's write transaction, where nothing else runs: parallel requests cannot exceed it. A
restart forgets the last minute. The arithmetic is that of the guessing limits.
"""

from typing import Final

from herod.pipeline.ceilings.quotas import is_bound, own_share
from herod.pipeline.operation_definition import Context
from herod.scopes.principal import AuthMethod
from herod.throttle.rules import LimitRule, Marks, add, seconds_locked
from herod_client.core.errors import RateLimited

__all__ = ["MAX_PRINCIPALS", "IssueRate"]

GRAIN: Final = 5  # seconds
# A mark stands for the seconds up to GRAIN after it, and must count for a minute after the last of them.
WINDOW: Final = 60 + GRAIN - 1
# Principals whose last minute is kept in memory; over this, the one that was issued nothing for longest is dropped.
MAX_PRINCIPALS: Final = 16_384
OWNERS_PART: Final = 4  # one in so many is for the account itself, and not for its keys


class IssueRate:
    """Counts what each principal was issued. Used by one thread, in the store's transactions."""

    def __init__(self) -> None:
        self._marks: dict[str, Marks] = {}

    def check(self, context: Context) -> None:
        """Refuse to issue more.

        Raises:
            RateLimited: the principal was issued as much as it may be in a minute.
        """
        seconds = seconds_locked(_rule(context), self._marks.get(_counted(context), ()), context.now)
        if seconds and is_bound(context):
            raise RateLimited(
                "You were issued as many tokens, keys, sessions and codes in the last minute as [quotas] "
                f"issued_per_minute allows: try again in {seconds} seconds, and use each token until it expires.",
                retry_after=seconds,
                reason="quota_issued",
            )

    def count(self, context: Context) -> None:
        """Count something that was issued to the context's principal."""
        id_ = _counted(context)
        marks = add(_rule(context), self._marks.pop(id_, ()), context.now)
        if len(self._marks) >= MAX_PRINCIPALS:
            del self._marks[next(iter(self._marks))]
        self._marks[id_] = marks


def _rule(context: Context) -> LimitRule:
    limit = context.runtime.config.quotas.issued_per_minute
    if context.principal.made_with is AuthMethod.USER_KEY:
        limit -= limit // OWNERS_PART
    return LimitRule("issued", window=WINDOW, limit=limit, grain=GRAIN)


def _counted(context: Context) -> str:
    principal = context.principal
    return principal.delegation or f"{principal.id} {own_share(context, principal)}"
