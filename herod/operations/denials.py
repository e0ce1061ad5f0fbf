"""Refusals on their way to the audit log: bounded, and like ones of a minute counted in one line.

A denial must cost the one who is denied more than it costs herod, so none waits for a commit of its own.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from herod.records import AuditEvent

__all__ = ["Denials"]

# Different (source, actor, operation, reason) of one minute that are kept apart; the rest count as one line.
MAX_KINDS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Kind:
    minute: int
    source: str
    actor: str
    operation: str
    reason: str | None


class Denials:
    """A queue of audit events that counts instead of growing."""

    def __init__(self) -> None:
        self._events: dict[_Kind, AuditEvent] = {}

    def add(self, event: AuditEvent) -> None:
        """Note a denial, or count it to a like one."""
        kind = _Kind(event.at // 60, event.source, event.actor, event.operation, event.reason)
        if kind not in self._events and len(self._events) >= MAX_KINDS:
            event = msgspec.structs.replace(
                event, actor="many", method="many", source="many", operation="many", reason="overflow"
            )
            kind = _Kind(event.at // 60, "many", "many", "many", "overflow")
        known = self._events.get(kind)
        if known is not None:
            event = msgspec.structs.replace(known, count=known.count + event.count)
        self._events[kind] = event

    def take(self) -> list[AuditEvent]:
        """What was noted since the last call."""
        events, self._events = self._events, {}
        return list(events.values())

    def put_back(self, events: list[AuditEvent]) -> None:
        """Keep what could not be written."""
        for event in events:
            self.add(event)
