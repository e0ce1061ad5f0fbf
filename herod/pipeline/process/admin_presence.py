"""Whether there is an enabled admin, without reading all accounts each time the front page is opened."""

from collections.abc import Callable
from typing import TypeAlias

from herod.records import Account, ApiKey
from herod.store.store_interface import Cursor, Store

__all__ = ["AdminPresence"]

Admin: TypeAlias = Account | ApiKey


class AdminPresence:
    """Remembers one admin, or that there was none at some store revision. For the event loop only."""

    def __init__(self) -> None:
        self._known: Admin | None = None
        self._none_at: Cursor | None = None

    def has_any(self, store: Store, *, find: Callable[[], Admin | None], stands: Callable[[Admin], bool]) -> bool:
        """Whether there is an enabled admin now.

        Args:
            store: the store to read.
            find: searches all accounts and keys for one.
            stands: whether a record is an enabled admin now.
        """
        if self._known is not None:
            found = store.get(type(self._known), self._known.id)
            if found is not None and stands(found):
                return True
            self._known = None
        if self._none_at == store.cursor:  # nothing has changed, and time alone creates no admin
            return False
        cursor = store.cursor
        self._known = find()
        self._none_at = cursor if self._known is None else None
        return self._known is not None
