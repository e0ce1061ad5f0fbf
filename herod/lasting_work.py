"""What the daemon does besides answering requests, for as long as it runs."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from herod.identity.runtime_state import Runtime
from herod.operations.audit import AuditRetention, enforce_retention
from herod.operations.sessions import SESSION_TTL
from herod.pipeline.pipeline import Pipeline
from herod.pipeline.process.steady_clock import SteadyClock, keep_steady_clock
from herod.records import Account, Deletion
from herod.store.owned_records import finish_deletions
from herod.store.store_interface import EXPIRED_KEPT_SECONDS, Store
from herod_client.core.errors import Unavailable

__all__ = [
    "can_read",
    "end_waiting",
    "finish_deletions_forever",
    "flush_forever",
    "log_audit_heads",
    "purge_forever",
    "show_status",
]

logger = logging.getLogger("herod")

FLUSH_SECONDS: Final = 1
STATUS_SECONDS: Final = 1
PURGE_SECONDS: Final = 300
AUDIT_HEAD_SECONDS: Final = 3600
RETRY_SECONDS: Final = 60


async def can_read(store: Store) -> bool:
    """Whether the store can be read and its writer thread responds; `/health` reports whether it can write.

    A restart would not free a full disk, and would lose revocations that are only in memory.
    """
    try:
        store.count(Account)
    except Unavailable:
        return False
    with suppress(Unavailable):
        await store.write(lambda _: None)
    return True


async def end_waiting(shutdown: trio.Event, runtime: Runtime, store: Store) -> None:
    """Answer the requests that wait for changes when the daemon stops, instead of cutting them off."""
    await shutdown.wait()
    runtime.is_stopping = True
    store.change_notifier.send()


async def flush_forever(pipeline: Pipeline) -> None:
    """Write what is counted in memory, every second."""
    while True:
        await trio.sleep(FLUSH_SECONDS)
        await pipeline.flush()


async def purge_forever(
    store: Store, runtime: Runtime, kept: AuditRetention, steady: SteadyClock, *, clock: Callable[[], int]
) -> None:
    """Delete expired sessions and revocations, and audit rows beyond the retention limits.

    Args:
        clock: Unix seconds; it may jump.
    """
    while True:
        before = trio.current_time()
        await trio.sleep(PURGE_SECONDS)
        now = clock()
        steady.follow(now, elapsed=trio.current_time() - before)
        earliest = steady.earliest(now)
        runtime.forget_revocations(earliest - EXPIRED_KEPT_SECONDS)
        runtime.session_activity.forget(earliest - SESSION_TTL)
        with suppress(Unavailable):  # `/health` reports it already
            await keep_steady_clock(store, steady)
            await store.purge_expired(earliest)
            await enforce_retention(store, kept, now=now, earliest=earliest)


async def finish_deletions_forever(store: Store) -> None:
    """Delete what deleted accounts owned, also what a former run left."""
    while True:
        try:
            await finish_deletions(store)
        except Unavailable as error:
            logger.warning("cannot delete all records of deleted accounts yet", extra={"reason": error.message})
            await trio.sleep(RETRY_SECONDS)
            continue
        while not store.count(Deletion):
            await store.change_notifier.wait()


async def log_audit_heads(store: Store) -> None:
    """Log the head of the audit chain every hour, so that a copy of the log elsewhere reveals a truncated audit log."""
    said = 0
    while True:
        await trio.sleep(AUDIT_HEAD_SECONDS)
        row, mac = store.audit_head
        if row != said:
            said = row
            logger.info("audit chain at row %d, HMAC %s", row, mac)


async def show_status(status: Callable[[], str], update: Callable[[str], None]) -> None:
    """Keep the service manager's status line true."""
    while True:
        await trio.sleep(STATUS_SECONDS)
        update(status())
