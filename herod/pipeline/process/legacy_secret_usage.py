"""How often legacy secrets are used, and when and from where last: counted in memory, written periodically.

A migration ends when the old secret is no longer used, so a restart must not lose the counts. The first use of a secret
by a source on a day is also a row in the audit log. For the event loop only.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import trio

from herod.audit_event import AuditEvent
from herod.records import LegacyUse
from herod.scopes.principal import AuthMethod
from herod.store.store_interface import Reader, Store, Writer
from herod_client.core.errors import Unavailable

__all__ = ["LegacyUsage"]

DAY: Final = 86_400
# The most that a killed daemon loses of the counts.
FLUSH_SECONDS: Final = 30
# How many sources of one secret the audit log names in a day; others are only counted.
MAX_SOURCES: Final = 100


@dataclass(slots=True)
class _Uses:
    """Uses that are not written yet."""

    count: int
    first: int
    at: int
    source: str


class LegacyUsage:
    """Counts the uses in this process, and writes them to the store."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Uses] = {}
        self._writing: dict[str, _Uses] = {}
        self._events: list[AuditEvent] = []
        self._day = 0
        self._sources: dict[str, set[str]] = {}
        self._flushed_at = 0

    def note(self, secret_id: str, *, now: int, source: str) -> None:
        """Count a use of the legacy secret of that id."""
        uses = self._waiting.get(secret_id)
        if uses is None:
            self._waiting[secret_id] = _Uses(1, now, now, source)
        else:
            uses.count, uses.at, uses.source = uses.count + 1, now, source
        if self._day != now // DAY:
            self._day, self._sources = now // DAY, {}
        seen = self._sources.setdefault(secret_id, set())
        if source not in seen and len(seen) < MAX_SOURCES:
            seen.add(source)
            self._events.append(_first_use(secret_id, now, source))

    def known(self, reader: Reader, secret_id: str, *, now: int) -> LegacyUse:
        """All uses of a secret, written or not."""
        record = reader.get(LegacyUse, secret_id) or LegacyUse(id=secret_id, created_at=now)
        for uses in (self._writing.get(secret_id), self._waiting.get(secret_id)):
            record = record if uses is None else _add(record, uses)
        return record

    async def flush(self, store: Store, *, now: int, is_last: bool = False) -> bool:
        """Write what is due: first uses at once, counts periodically. Return False if the store cannot be written."""
        is_due = bool(self._events) or is_last or now - self._flushed_at >= FLUSH_SECONDS
        if not is_due or not (self._waiting or self._events):
            return True
        self._flushed_at = now
        events, self._events = self._events, []
        self._writing, self._waiting = self._waiting, {}

        def write(tx: Writer) -> None:
            for secret_id, uses in self._writing.items():
                record = tx.get(LegacyUse, secret_id) or LegacyUse(id=secret_id, created_at=uses.first)
                tx.put(_add(record, uses))
            for event in events:
                tx.audit(event)

        try:
            await store.write(write)
        except (Unavailable, trio.Cancelled) as error:
            self._put_back(events)
            if isinstance(error, Unavailable):
                return False
            raise
        self._writing = {}
        return True

    def _put_back(self, events: list[AuditEvent]) -> None:
        for secret_id, uses in self._writing.items():
            since = self._waiting.setdefault(secret_id, uses)
            if since is not uses:
                since.count, since.first = since.count + uses.count, uses.first
        self._writing = {}
        self._events = events + self._events


def _add(record: LegacyUse, uses: _Uses) -> LegacyUse:
    return msgspec.structs.replace(
        record, uses=record.uses + uses.count, last_used_at=uses.at, last_used_from=uses.source
    )


def _first_use(secret_id: str, now: int, source: str) -> AuditEvent:
    return AuditEvent(
        at=now, actor=secret_id, method=AuthMethod.LEGACY_SECRET, source=source, operation="legacy.use", outcome="ok"
    )
