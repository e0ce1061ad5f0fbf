"""How this daemon was set up: what admins are shown of it, and what the ready-made commands name.

Filled in once by the composition root. Holds no secret, and decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Deployment"]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is known of the daemon besides what it is an authority over.

    Attributes:
        binds: the addresses it answers on: `unix:/path`, `127.0.0.1:3350`.
        has_tls: whether its TCP addresses speak TLS.
        store_path: the store's file; None where it is in memory alone.
        store_bytes: what the store takes of the disk; it looks there, so not for the event loop.
        weak_secrets: the names of secrets that are too short.
        warnings: what else was found in the settings at the start.
        certificate_ends: when the certificate that is shown now ends, in Unix seconds.
    """

    binds: tuple[str, ...] = ()
    has_tls: bool = False
    store_path: str | None = None
    store_bytes: Callable[[], int | None] = _nothing
    weak_secrets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    certificate_ends: Callable[[], int | None] = _nothing
