"""What every offline command does first: find the store's file, and be the user who may work on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from herod.file_ownership import acting_as_owner
from herod.settings import Settings
from herod.store.sqlite.disk.database_files import resolve_path
from herod_client.core.errors import SettingsError

__all__ = ["store_file"]


@contextmanager
def store_file(settings: Settings) -> Iterator[Path]:
    """The file of the store that the settings name.

    In a folder that belongs to another user root is that user for the length of the block: what it leaves there is
    that user's, and what that user may not touch it cannot touch either, whatever is linked to from there. All that
    root alone may read is opened before.

    Raises:
        SettingsError: it is kept in no file.
        RuntimeFailure: root cannot tell whose it is, or become that user.
    """
    if settings.store is None:
        raise SettingsError("store: this works on a store in a file: say --store sqlite:/path/of/herod.db")
    with acting_as_owner(settings.store, "the store"):
        yield resolve_path(settings.store)
