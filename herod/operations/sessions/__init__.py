"""Browser sessions: open, list and end them, and open one from a terminal."""

from herod.operations.sessions.list_and_end_sessions import end_other_sessions
from herod.operations.sessions.session_lifecycle import (
    SESSION_TTL,
    BrowserFamily,
    OpenedSession,
    Opening,
    open_session,
)

__all__ = [
    "SESSION_TTL",
    "BrowserFamily",
    "OpenedSession",
    "Opening",
    "end_other_sessions",
    "open_session",
]
