"""Whether there is an enabled admin, without reading all accounts each time somebody opens the front page."""

from collections.abc import Callable
from typing import TypeAlias

from herod.records import Account, ApiKey
from herod.store.store_interface import Cursor, Store

__all__ = ["AdminPresence"]

Admin: TypeAlias = Account | ApiKey


class AdminPresence:
    """Remembers one admin, or that there was none at a place in the change feed. For the event loop."""

    def __init__(self) -> None:
        self._known: Admin | None = None
        self._none_at: Cursor | None = None

    def has_any(self, store: Store, *, find: Callable[[], Admin | None], stands: Callable[[Admin], bool]) -> bool:
        """Whether there is one now.

        Args:
            store: where they are kept.
            find: looks for one among all.
            stands: whether one is an enabled admin now.
        """
        if self._known is not None:
            found = store.get(type(self._known), self._known.id)
            if found is not None and stands(found):
                return True
            self._known = None
        if self._none_at == store.cursor:  # nothing has changed, and time makes no admins
            return False
        cursor = store.cursor
        self._known = find()
        self._none_at = cursor if self._known is None else None
        return self._known is not None
