"""Which rows the audit log gets: one for each change, none if nothing changed, and a limited number for each principal.

The rules for what succeeded:

    an admin changed something                a row of its own, in the change's own savepoint
    another principal changed something       the same, while it, the source and its range have rows left
    it issued what no record shows (a token)  a row for the first in a minute, one more that counts the others;
                                              for admins only (a backup), a row of its own
    it changed nothing                        no row

Beyond `ROWS_OF_PRINCIPAL`, `ROWS_OF_SOURCE` or `ROWS_OF_RANGE` in an hour, the rows of one principal and operation
become one row for ten minutes, with their number and without targets; beyond `LINES_OF_SOURCE` such rows, those of all
other principals of a source become one. Events are counted, never dropped, and no principal pushes out the rows of
others, neither alone nor with many accounts or sources. Counts are in memory until their interval ends or herod stops;
only they are lost in a crash.

Refusals are counted by `denial_queue.py`. The event loop and the store's writer both use this.
"""

from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import Final

import msgspec

from herod.audit_event import AuditEvent
from herod.store.store_interface import Writer
from herod.throttle.source_ranges import range_of

__all__ = ["MAX_COUNTED", "ROWS_OF_PRINCIPAL", "ROWS_OF_RANGE", "ROWS_OF_SOURCE", "AuditRecorder"]

MINUTE: Final = 60
HOUR: Final = 3600
# Beyond its limit a principal gets one row for each operation in this interval.
COARSE_SECONDS: Final = 600
ROWS_OF_PRINCIPAL: Final = 300  # in an hour, except for admins
ROWS_OF_SOURCE: Final = 1000  # in an hour, for all its principals
ROWS_OF_RANGE: Final = 3000  # in an hour, for all its sources, if it has several (`source_ranges.py`)
# How many rows of COARSE_SECONDS name a principal: of one source, and of all.
LINES_OF_SOURCE: Final = 100
LINES_OF_ALL: Final = 1000
# How many different lines are counted at a time; all others share one line.
MAX_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """The key of one counted line: when it ends, and what its events have in common."""

    until: int
    actor: str
    method: str
    source: str | None
    operation: str


class AuditRecorder:
    """Decides for each success whether to write or count it; holds the counts that are not written yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: dict[_Kind, AuditEvent | None] = {}  # None: its row is written, and no event followed
        self._hour = 0
        self._rows: Counter[str] = Counter()
        self._interval = 0
        self._lines: Counter[str] = Counter()

    def record(self, tx: Writer, event: AuditEvent, *, source: str, is_own_row: bool) -> None:
        """Write a success to the audit log, or count it.

        Args:
            tx: the change's own transaction.
            event: what was done; `by_admin` says whether an admin did it.
            source: where it came from, in the form that limits use.
            is_own_row: it changed something, or only admins can do it. Other events issued what no record shows.
        """
        with self._lock:
            is_written = self._takes(event, source, is_own_row=is_own_row)
        if is_written:
            tx.audit(event)

    def take(self, now: int | None = None) -> list[AuditEvent]:
        """The lines whose interval has ended, with their counts.

        Args:
            now: Unix seconds; without it every line is due.
        """
        with self._lock:
            due = [kind for kind in self._counted if now is None or kind.until <= now]
            events = [event for kind in due if (event := self._counted.pop(kind)) is not None]
            if now is not None and now // HOUR != self._hour:
                self._hour, self._rows = now // HOUR, Counter()
        return events

    def put_back(self, events: list[AuditEvent]) -> None:
        """Keep events that could not be written; they are due again at once."""
        with self._lock:
            for event in events:
                self._count(_Kind(event.at, event.actor, event.method, event.source, event.operation), event)

    def _takes(self, event: AuditEvent, source: str, *, is_own_row: bool) -> bool:
        """Whether the event gets a row of its own now; otherwise it is counted."""
        minute = event.at - event.at % MINUTE + MINUTE
        kind = _Kind(minute, event.actor, event.method, event.source, event.operation)
        if not is_own_row and kind in self._counted:
            if self._counted[kind] is None and not event.by_admin:
                self._rows.update(self._names(event, source).keys())  # the row that counts this minute's others
            self._count(kind, event)
            return False
        if event.by_admin or self._has_room(event, source):
            if not is_own_row and len(self._counted) < MAX_COUNTED:
                self._counted[kind] = None
            return True
        self._count_coarsely(event, source)
        return False

    def _has_room(self, event: AuditEvent, source: str) -> bool:
        hour = event.at // HOUR
        if hour != self._hour:
            self._hour, self._rows = hour, Counter()
        names = self._names(event, source)
        if any(self._rows[name] >= most for name, most in names.items()):
            return False
        self._rows.update(names.keys())
        return True

    @staticmethod
    def _names(event: AuditEvent, source: str) -> dict[str, int]:
        """Whose rows this is one of, and how many they have."""
        names = {f"principal {event.actor}": ROWS_OF_PRINCIPAL, f"source {source}": ROWS_OF_SOURCE}
        range_ = range_of(source)
        return names if range_ == source else {**names, f"range {range_}": ROWS_OF_RANGE}

    def _count_coarsely(self, event: AuditEvent, source: str) -> None:
        """Count an event in the row of its principal, or of its source, or of all, whichever there is room for."""
        until = event.at - event.at % COARSE_SECONDS + COARSE_SECONDS
        if until != self._interval:
            self._interval, self._lines = until, Counter()
        kind = _Kind(until, event.actor, event.method, None, event.operation)
        if kind not in self._counted and self._lines[source] >= LINES_OF_SOURCE:
            event = msgspec.structs.replace(event, actor="many", method="many", source=source)
            kind = _Kind(until, event.actor, event.method, source, event.operation)
        if kind not in self._counted and self._lines["all"] >= LINES_OF_ALL:
            event = msgspec.structs.replace(event, actor="many", method="many", source="many")
            kind = _Kind(until, event.actor, event.method, event.source, event.operation)
        if kind not in self._counted:
            self._lines.update((source, "all"))
        self._count(kind, event)

    def _count(self, kind: _Kind, event: AuditEvent) -> None:
        if kind not in self._counted and len(self._counted) >= MAX_COUNTED:
            event = msgspec.structs.replace(event, actor="many", method="many", source="many", operation="many")
            kind = _Kind(kind.until, event.actor, event.method, event.source, event.operation)
        before = self._counted.get(kind)
        count = event.count + (before.count if before is not None else 0)
        is_mixed = before is not None and before.source != event.source
        source = "many" if is_mixed else event.source
        self._counted[kind] = msgspec.structs.replace(event, target=None, source=source, count=count)
