"""Denials on their way to the audit log: bounded, with equal ones of a minute counted in one line.

A denial must cost the caller more than it costs herod, so none waits for its own commit.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec

from herod.records import AuditEvent

__all__ = ["DenialQueue"]

# Different (source, actor, operation, reason, target) of one minute that are kept apart; all others share one line.
MAX_KINDS: Final = 1000
# The limit for one source: further denials share one line of that source, so that it takes no lines from others.
MAX_KINDS_OF_SOURCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Kind:
    minute: int
    source: str
    actor: str
    operation: str
    reason: str | None
    target: str | None


@dataclass(slots=True)
class _Line:
    """The waiting events of one kind; `event` is None when all of them have been taken."""

    event: AuditEvent | None
    share: str
    is_first: bool = True


class DenialQueue:
    """A queue of audit events that counts instead of growing."""

    def __init__(self) -> None:
        self._lines: dict[_Kind, _Line] = {}
        self._of_source: Counter[str] = Counter()  # by share
        self._taken: dict[_Kind, str] = {}

    def add(self, event: AuditEvent, *, share: str | None = None) -> None:
        """Add a denial, or count it with an equal one.

        Args:
            event: the denial.
            share: whose lines it uses, if not those of `event.source`: addresses that one user can choose from have
                one share.
        """
        share = share or event.source
        kind = _kind_of(event)
        if kind not in self._lines and self._of_source[share] >= MAX_KINDS_OF_SOURCE:
            event = msgspec.structs.replace(
                event, actor="many", method="many", source=share, operation="many", reason="overflow", target=None
            )
            kind = _kind_of(event)
        if kind not in self._lines and len(self._lines) >= MAX_KINDS:
            event = msgspec.structs.replace(
                event, actor="many", method="many", source="many", operation="many", reason="overflow", target=None
            )
            kind = _kind_of(event)
        if kind not in self._lines:
            self._of_source[share] += 1
        line = self._lines.setdefault(kind, _Line(None, share))
        count = event.count + (line.event.count if line.event is not None else 0)
        line.event = msgspec.structs.replace(line.event or event, count=count)

    def take(self, now: int | None = None) -> list[AuditEvent]:
        """The events that are due: the first of each kind at once, equal ones together when their minute has ended.

        Args:
            now: Unix seconds; without it everything is due.
        """
        due: list[AuditEvent] = []
        kept: dict[_Kind, _Line] = {}
        self._taken = {kind: line.share for kind, line in self._lines.items()}
        for kind, line in self._lines.items():
            is_over = now is None or kind.minute < now // 60
            if line.event is not None and (is_over or line.is_first):
                due.append(line.event)
                line.event, line.is_first = None, False
            if not is_over:
                kept[kind] = line
        self._lines = kept
        self._of_source = Counter(line.share for line in kept.values())
        return due

    def put_back(self, events: list[AuditEvent]) -> None:
        """Keep events that could not be written; they are due again."""
        for event in events:
            kind = _kind_of(event)
            self.add(event, share=self._taken.get(kind))
            if kind in self._lines:  # else its source has used up its lines meanwhile, and it is counted in theirs
                self._lines[kind].is_first = True


def _kind_of(event: AuditEvent) -> _Kind:
    return _Kind(event.at // 60, event.source, event.actor, event.operation, event.reason, event.target)
