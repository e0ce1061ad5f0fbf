"""The first step of every offline command: find the store's file, and become the user who may work on it."""

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

    If its folder belongs to another user, root becomes that user for the length of the block: files it creates belong
    to that user, and it cannot touch what that user may not, wherever links lead. Open files that only root may read
    before the block.

    Raises:
        SettingsError: the store is not kept in a file.
        RuntimeFailure: root cannot determine its owner, or become that user.
    """
    if settings.store is None:
        raise SettingsError("store: this command needs a store in a file: set --store sqlite:/path/of/herod.db")
    with acting_as_owner(settings.store, "the store"):
        yield resolve_path(settings.store)
