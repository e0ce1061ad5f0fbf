"""The deployment details that the dashboard shows, from the settings and the state of the daemon.

Must never contain a secret: a weak one is reported by the name of its variable.
"""

from contextlib import suppress
from pathlib import Path

from herod.pipeline.process.deployment_info import Deployment
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.tls import Certificates
from herod.settings import MIN_SECRET, Settings

__all__ = ["describe"]


def describe(settings: Settings, listeners: Listeners, certificates: Certificates | None) -> Deployment:
    """The deployment details that the dashboard shows."""
    secrets_held = (("HERO_SECRET", settings.hero_secret), ("HEROD_STORE_SECRET", settings.store_secret))
    weak = tuple(name for name, value in secrets_held if value is not None and len(value.encode()) < MIN_SECRET)
    # The dashboard reports weak secrets by name, with the fix, so their warnings are left out.
    said = tuple(f"{name} has " for name in weak)
    path = settings.store
    return Deployment(
        binds=tuple(one.label for one in listeners),
        missing=listeners.missing,
        has_tls=certificates is not None,
        store_path=None if path is None else str(path),
        store_bytes=lambda: None if path is None else _file_bytes(path),
        weak_secrets=weak,
        warnings=tuple(text for text in settings.warnings if not text.startswith(said)),
        certificate_ends=lambda: None if certificates is None else certificates.ends_at,
    )


def _file_bytes(path: Path) -> int:
    """The store's size on disk in bytes, including its write-ahead log."""
    found = 0
    for name in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            found += name.stat().st_size
    return found
