"""Retention of the audit log: by age and by number of rows, whichever limit is reached first.

The chain's anchor moves past the deleted rows in the same transaction, so that the remaining rows verify, and an audit
row records how many were deleted. Rows are deleted in bounded steps, so that no other write waits for long.
"""

from dataclasses import dataclass
from typing import Final

from herod.audit_event import AuditEvent
from herod.store.store_interface import Store, Writer

__all__ = ["AuditRetention", "enforce_retention"]

DAY: Final = 86_400
ROWS_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class AuditRetention:
    """How much is kept.

    Attributes:
        days: older rows are deleted, by whole days (UTC), so that it happens once a day.
        rows: if there are more, the oldest are deleted until a hundredth is free, so that it does not happen each time.
    """

    days: int
    rows: int


async def enforce_retention(store: Store, kept: AuditRetention, *, now: int, earliest: int | None = None) -> int:
    """Delete audit rows that are too old or too many, and return how many.

    Args:
        store: the store with the audit log.
        kept: how much to keep.
        now: Unix seconds, for the row about it.
        earliest: Unix seconds, for the age of rows; earlier than `now` while the clock may be wrong. By default `now`.

    Raises:
        Unavailable: the store cannot be written; rows deleted before that stay deleted.
    """
    before = ((now if earliest is None else earliest) // DAY - kept.days) * DAY
    last, first = store.audit_head[0], store.audit_rows(limit=1)
    is_over = bool(first) and last - first[0].seq >= kept.rows
    through = last - (kept.rows - kept.rows // 100) if is_over else 0

    def trim(tx: Writer) -> int:
        gone = tx.trim_audit(before=before, through=through, limit=ROWS_AT_ONCE, latest=now)
        if gone:
            tx.audit(_trimmed(gone, now))
        return gone

    removed = gone = await store.write(trim)
    while gone == ROWS_AT_ONCE:
        gone = await store.write(trim)
        removed += gone
    return removed


def _trimmed(count: int, now: int) -> AuditEvent:
    return AuditEvent(
        at=now,
        actor="retention",
        method="none",
        source="retention",
        operation="audit.trim",
        outcome="ok",
        count=count,
    )
