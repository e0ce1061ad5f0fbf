"""Denials on their way to the audit log: bounded, with equal ones of a minute counted in one line.

A denial must cost the caller more than it costs herod, so none waits for its own commit.

The log names each source that is refused: a source, and a range of sources, has a number of lines in a minute, and when
all lines are taken, two of whoever has the most are combined to make room for the first line of another.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec

from herod.audit_event import AuditEvent
from herod.throttle.source_ranges import range_of

__all__ = ["DenialQueue"]

# Different (source, actor, operation, reason, target) of one minute that are kept apart.
MAX_KINDS: Final = 1000
# The same of one source: further ones share one line of that source.
MAX_KINDS_OF_SOURCE: Final = 100
# The same of one range of sources (`source_ranges.py`): further ones share one line of that range.
MAX_KINDS_OF_RANGE: Final = 300
# Lines of one minute that make room for others after they were written; each costs another row.
MAX_FORGOTTEN: Final = 1000
MANY: Final = "many"
OVERFLOW: Final = "overflow"


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
    range_: str
    is_first: bool = True


class DenialQueue:
    """A queue of audit events that counts instead of growing."""

    def __init__(self) -> None:
        self._lines: dict[_Kind, _Line] = {}
        self._of_source: Counter[str] = Counter()  # lines by share
        self._of_range: Counter[str] = Counter()
        self._taken: dict[_Kind, str] = {}
        self._minute = 0
        self._forgotten = 0

    def add(self, event: AuditEvent, *, share: str | None = None) -> None:
        """Add a denial, or count it with an equal one.

        Args:
            event: the denial.
            share: whose lines it uses, if not those of `event.source`: addresses that one user can choose from have
                one share.
        """
        share = share or event.source
        if _kind_of(event) not in self._lines:
            line_of = self._line_for(share, event.at // 60)
            if line_of is not None:
                share, event = line_of, _combined(event, line_of)
        self._count(event, share)

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
        self._of_range = Counter(line.range_ for line in kept.values())
        return due

    def put_back(self, events: list[AuditEvent]) -> None:
        """Keep events that could not be written; they are due again."""
        for event in events:
            kind = _kind_of(event)
            self.add(event, share=self._taken.get(kind))
            if kind in self._lines:  # else its source has used up its lines meanwhile, and it is counted in theirs
                self._lines[kind].is_first = True

    def _line_for(self, share: str, minute: int) -> str | None:
        """Whose combined line a new kind goes to: its source's, its range's or everybody's; None for one of its own."""
        range_ = range_of(share)
        if self._of_source[share] >= MAX_KINDS_OF_SOURCE:
            return share
        if range_ != share and self._of_range[range_] >= MAX_KINDS_OF_RANGE:
            return range_
        while len(self._lines) >= MAX_KINDS:
            if not self._make_room(share, minute):
                if not self._of_source[share]:
                    return MANY
                self._combine(share, [kind for kind, line in self._lines.items() if line.share == share][-1:])
                return share
        return None

    def _make_room(self, share: str, minute: int) -> bool:
        """Combine lines of whoever has the most, or forget a written one; whether that makes room for another."""
        most, most_of_range = max(self._of_source.values()), max(self._of_range.values())
        if most > self._of_source[share] + 1:
            heaviest = next(name for name, count in self._of_source.items() if count == most)
            return self._combine(heaviest, [kind for kind, line in self._lines.items() if line.share == heaviest])
        if most_of_range > self._of_range[range_of(share)] + 1:
            widest = next(name for name, count in self._of_range.items() if count == most_of_range)
            return self._combine(widest, [kind for kind, line in self._lines.items() if line.range_ == widest])
        return not self._of_source[share] and self._forget_one(minute)

    def _combine(self, share: str, kinds: list[_Kind]) -> bool:
        """Count the latest two of these lines in the combined line of their source or range; whether that saved one."""
        before = len(self._lines)
        for kind in [kind for kind in kinds if kind.source != share or kind.reason != OVERFLOW][-2:]:
            line = self._drop(kind)
            if line.event is not None:
                self._count(_combined(line.event, share), share)
        return len(self._lines) < before

    def _forget_one(self, minute: int) -> bool:
        if minute != self._minute:
            self._minute, self._forgotten = minute, 0
        written = next((kind for kind, line in self._lines.items() if line.event is None), None)
        if written is None or self._forgotten >= MAX_FORGOTTEN:
            return False
        self._forgotten += 1
        self._drop(written)
        return True

    def _count(self, event: AuditEvent, share: str) -> None:
        kind = _kind_of(event)
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(None, share, range_of(share))
            self._of_source[share] += 1
            self._of_range[line.range_] += 1
        count = event.count + (line.event.count if line.event is not None else 0)
        line.event = msgspec.structs.replace(line.event or event, count=count)

    def _drop(self, kind: _Kind) -> _Line:
        line = self._lines.pop(kind)
        for counter, name in ((self._of_source, line.share), (self._of_range, line.range_)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
        return line


def _combined(event: AuditEvent, source: str) -> AuditEvent:
    """The event as one of many of that source."""
    return msgspec.structs.replace(
        event, actor=MANY, method=MANY, source=source, operation=MANY, reason=OVERFLOW, target=None
    )


def _kind_of(event: AuditEvent) -> _Kind:
    return _Kind(event.at // 60, event.source, event.actor, event.operation, event.reason, event.target)
