"""How long the audit log is kept: by age and by number, whichever is reached first.

The chain's anchor moves behind what goes, in the same transaction, so what stays verifies; and each time a row says
how much went. It goes in bounded steps: nobody else's write waits for long.
"""

from dataclasses import dataclass
from typing import Final

from herod.records import AuditEvent
from herod.store.store_interface import Store, Writer

__all__ = ["AuditRetention", "enforce_retention"]

DAY: Final = 86_400
ROWS_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class AuditRetention:
    """What is kept.

    Attributes:
        days: older rows go, by whole days (UTC), so that it happens once a day.
        rows: when there are more, the oldest go until a hundredth is free, so that it does not happen at every turn.
    """

    days: int
    rows: int


async def enforce_retention(store: Store, kept: AuditRetention, *, now: int) -> int:
    """Remove audit rows that are too old or too many; how many went.

    Args:
        store: whose audit log it is.
        kept: how much stays.
        now: Unix seconds.

    Raises:
        Unavailable: the store cannot be written; nothing more went.
    """
    before = (now // DAY - kept.days) * DAY
    last, first = store.audit_head[0], store.audit_rows(limit=1)
    is_over = bool(first) and last - first[0].seq >= kept.rows
    through = last - (kept.rows - kept.rows // 100) if is_over else 0

    def trim(tx: Writer) -> int:
        gone = tx.trim_audit(before=before, through=through, limit=ROWS_AT_ONCE)
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
