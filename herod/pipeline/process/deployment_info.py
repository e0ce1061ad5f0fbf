"""How this daemon is deployed: what admins are shown, and what the ready-made commands need.

Filled in by the composition root, again when an address is opened or lost. Holds no secret, and decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["AuditFileState", "Deployment", "MissingAddresses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFileState:
    """Whether the audit file has all rows.

    Attributes:
        waiting: how many rows are not in it yet.
        problem: what prevents it.
    """

    waiting: int = 0
    problem: str | None = None


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class MissingAddresses:
    """Addresses on which the daemon should answer and does not, such as both loopbacks of a port, and why."""

    addresses: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is known about the daemon's own deployment.

    Attributes:
        binds: the addresses it answers on: `unix:/path`, `127.0.0.1:3350`.
        missing: the addresses that it could not get yet.
        has_tls: whether its TCP addresses speak TLS.
        store_path: the store's file; None if it is only in memory.
        store_bytes: the store's size on disk; it reads the disk, so it is not for the event loop.
        weak_secrets: the names of secrets that are too short.
        warnings: other problems found in the settings at the start.
        certificate_ends: when the current certificate expires, in Unix seconds.
        audit_file: the state of the audit file; None if there is none.
    """

    binds: tuple[str, ...] = ()
    missing: tuple[MissingAddresses, ...] = ()
    has_tls: bool = False
    store_path: str | None = None
    store_bytes: Callable[[], int | None] = _nothing
    weak_secrets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    certificate_ends: Callable[[], int | None] = _nothing
    audit_file: Callable[[], AuditFileState | None] = _nothing
