"""Which version this command is of."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["cli_version"]


def cli_version() -> str:
    """The installed distribution's version."""
    try:
        return version("herod")
    except PackageNotFoundError:
        return "unknown"
