"""What every offline command does first: find the store's file."""

from pathlib import Path

from herod.errors import SettingsError
from herod.settings import Settings
from herod.store.files import resolve_path

__all__ = ["path_of"]


def path_of(settings: Settings) -> Path:
    """The file of the store that the settings name.

    Raises:
        SettingsError: it is kept in no file.
    """
    if settings.store is None:
        raise SettingsError("store: this works on a store in a file: say --store sqlite:/path/of/herod.db")
    return resolve_path(settings.store)
