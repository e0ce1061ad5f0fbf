"""The version of this command."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["cli_version"]


def cli_version() -> str:
    """Return the installed distribution's version."""
    try:
        return version("herod")
    except PackageNotFoundError:
        return "unknown"
