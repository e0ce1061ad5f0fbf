"""When each browser session was last used by a person: one that nobody uses ends.

Kept in memory: after a restart every session counts as just used. Sessions without TLS end with the process anyway, and
all end 12 hours after their sign-in.
"""

from typing import Final

__all__ = ["MAX_SESSIONS", "SessionActivity"]

# Sessions whose last use is remembered; of more, those that were not used for the longest count as never used.
MAX_SESSIONS: Final = 65_536


class SessionActivity:
    """The last uses of this process's sessions.

    Args:
        started_at: when the process started, in Unix seconds.
    """

    def __init__(self, started_at: int) -> None:
        self._started_at = started_at
        self._used_at: dict[str, int] = {}

    def note(self, session_id: str, now: int) -> None:
        """Note that a person uses a session; a page that refreshes itself is no use."""
        self._used_at.pop(session_id, None)
        if len(self._used_at) >= MAX_SESSIONS:
            del self._used_at[next(iter(self._used_at))]
        self._used_at[session_id] = now

    def is_idle(self, session_id: str, *, created_at: int, now: int, limit: int) -> bool:
        """Whether a session was last used more than `limit` seconds ago."""
        return now - self._used_at.get(session_id, max(created_at, self._started_at)) > limit

    def forget(self, before: int) -> None:
        """Forget uses before a time at which every session was created that is still good."""
        self._used_at = {id_: at for id_, at in self._used_at.items() if at >= before}
