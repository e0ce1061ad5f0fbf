"""Browser sessions: opened, listed, ended, and handed over from a terminal."""

from herod.operations.sessions.browser_sessions import (
    COOKIE_CHARACTERS,
    BrowserFamily,
    OpenedSession,
    Opening,
    open_session,
)

__all__ = ["COOKIE_CHARACTERS", "BrowserFamily", "OpenedSession", "Opening", "open_session"]
