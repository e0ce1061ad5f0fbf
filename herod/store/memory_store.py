"""The in-memory store: for tests, and for a daemon without persistence. Passes the same suite as the embedded one.

Everything runs on the event loop, so a function passed to `write` runs alone; each change records how to undo it.
Nothing is sealed and nothing is durable: the keyring exists because other code derives keys from it.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from secrets import token_hex
from types import TracebackType
from typing import Final, Self, TypeVar

import trio

from herod.audit_event import AuditEvent
from herod.credentials.keyring import Keyring, new_root
from herod.records import RECORD_TYPES, Record
from herod.store.audit_chain import decode_event, encode_event, link, trim, walk
from herod.store.audit_filter import AuditFilter
from herod.store.memory_state import MemoryReader, MemoryState, count_read, lookup_of
from herod.store.notifier import ChangeNotifier
from herod.store.record_cache import Key
from herod.store.store_interface import (
    MAX_PAGE,
    PURGED,
    AuditRow,
    AuditVerdict,
    ByteStream,
    Changes,
    Cursor,
    Health,
    NotWritten,
    Reader,
    StoreStats,
    Usage,
    Writer,
    former_use,
)
from herod_client.core.errors import Conflict

__all__ = ["MemoryStore"]

R = TypeVar("R", bound=Record)
T = TypeVar("T")

KEPT_TOMBSTONES: Final = 100_000
UNFOLLOWED: Final = frozenset(kind.kind for kind in RECORD_TYPES if not kind.is_followed)


class _MemoryWriter(MemoryReader):
    """Changes the state; `undo` reverts all changes."""

    def __init__(self, state: MemoryState, keyring: Keyring) -> None:
        super().__init__(state)
        self._keyring = keyring
        self._undo: list[Callable[[], object]] = []
        self.changed: set[str] = set()  # kinds

    @property
    def revision(self) -> int:
        """As `Writer.revision`."""
        return self.state.rev

    def put(self, record: Record) -> None:
        """As `Writer.put`."""
        state, key = self.state, (record.kind, record.id)
        if state.of(record.kind).get(record.id) == record:
            return
        words = lookup_of(record)
        if record.is_unique and words is not None and state.lookups.get(words, set()) - {record.id}:
            raise Conflict(
                f"Another {record.kind} has this {words[1]} already: choose another, or change that one.",
                reason="taken",
            )
        self._replace(key, record)
        if key in state.tombstones:
            before = dict(state.tombstones)
            self._undo.append(lambda: setattr(state, "tombstones", before))
            del state.tombstones[key]

    def delete(self, record_type: type[Record], id: str) -> bool:
        """As `Writer.delete`."""
        state, key = self.state, (record_type.kind, id)
        if id not in state.of(record_type.kind):
            return False
        self._replace(key, None)
        if record_type.is_followed:
            state.tombstones[key] = None
            self._undo.append(lambda: state.tombstones.pop(key))
        else:
            del state.revs[key]  # `_replace` can restore it
        for used in (id, former_use(id)):
            usage = state.usage.pop(used, None)
            if usage is not None:
                self._undo.append(partial(state.usage.setdefault, used, usage))
        return True

    def audit(self, event: AuditEvent) -> None:
        """As `Writer.audit`."""
        state, before = self.state, self.state.chain_end
        json = encode_event(event)
        state.chain_end = link(self._keyring, before, json)
        state.audit.append((state.chain_end.seq, json, state.chain_end.mac))
        self._undo.append(state.audit.pop)
        self._undo.append(lambda: setattr(state, "chain_end", before))

    def trim_audit(self, *, before: int, through: int, limit: int, latest: int | None = None) -> int:
        """As `Writer.trim_audit`."""
        state, anchor = self.state, self.state.anchor
        oldest = state.audit[:limit]
        state.anchor, _ = trim(
            self._keyring, oldest, anchor=anchor, head=state.chain_end, before=before, through=through, latest=latest
        )
        removed = oldest[: state.anchor.seq - anchor.seq]
        del state.audit[: len(removed)]

        def undo() -> None:
            state.anchor = anchor
            state.audit[:0] = removed

        self._undo.append(undo)
        return len(removed)

    def undo(self) -> None:
        """Revert every change, the last first."""
        while self._undo:
            self._undo.pop()()

    def _replace(self, key: Key, record: Record | None) -> None:
        state = self.state
        before, rev, last = state.of(key[0]).get(key[1]), state.revs.get(key), state.rev
        self._set(key, record, state.rev + 1)
        state.rev += 1
        self.changed.add(key[0])

        def undo() -> None:
            self._set(key, before, rev)
            state.rev = last

        self._undo.append(undo)

    def _set(self, key: Key, record: Record | None, rev: int | None) -> None:
        state, (kind, id_) = self.state, key
        before = state.of(kind).pop(id_, None)
        old_words = None if before is None else lookup_of(before)
        if old_words is not None:
            state.lookups[old_words].discard(id_)
            if not state.lookups[old_words]:
                del state.lookups[old_words]
        if record is not None:
            state.of(kind)[id_] = record
            words = lookup_of(record)
            if words is not None:
                state.lookups.setdefault(words, set()).add(id_)
        if rev is None:
            state.revs.pop(key, None)
        else:
            state.revs[key] = rev


class MemoryStore(MemoryReader):
    """A `Store` that exists only as long as the process.

    Args:
        secret: unused; for the same signature as the embedded store.
        kept_tombstones: how many deletions the change feed remembers.
    """

    def __init__(self, secret: str, *, kept_tombstones: int = KEPT_TOMBSTONES) -> None:  # noqa: ARG002 - as said
        super().__init__(MemoryState())
        self._keyring = Keyring(new_root())
        self.generation = token_hex(8)
        self._kept_tombstones = kept_tombstones
        self._writes = 0
        self._change_notifier = ChangeNotifier()
        self._audit_notifier = ChangeNotifier()
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Accept writes."""
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Refuse further writes."""
        self.close()

    def close(self) -> None:
        """Refuse further writes."""
        self._is_open = False

    @property
    def keyring(self) -> Keyring:
        """As `Store.keyring`."""
        return self._keyring

    @property
    def cursor(self) -> Cursor:
        """As `Store.cursor`."""
        return Cursor(self.generation, self.state.rev)

    @property
    def health(self) -> tuple[Health, str | None]:
        """As `Store.health`."""
        return Health.OK, None

    @property
    def change_notifier(self) -> ChangeNotifier:
        """As `Store.change_notifier`."""
        return self._change_notifier

    @property
    def stats(self) -> StoreStats:
        """As `Store.stats`; every write is a commit."""
        return StoreStats(writes=self._writes, commits=self._writes)

    async def write(self, function: Callable[[Writer], T]) -> T:
        """As `Store.write`."""
        await trio.lowlevel.checkpoint()
        if not self._is_open:
            raise NotWritten("Herod is stopping", "wait until it is running", reason="closed")
        writer, rows = _MemoryWriter(self.state, self._keyring), self.state.chain_end.seq
        try:
            result = function(writer)
        except BaseException:
            writer.undo()
            raise
        self._writes += 1
        if self.state.chain_end.seq != rows:
            self._audit_notifier.send()
        news = writer.changed - UNFOLLOWED
        if news:
            self._change_notifier.send(news)
        return result

    def note_use(self, id: str, usage: Usage) -> None:
        """As `Store.note_use`."""
        self.state.usage[id] = usage

    async def flush_usage(self) -> None:
        """As `Store.flush_usage`: nothing to do."""
        await trio.lowlevel.checkpoint()

    async def purge_expired(self, now: int) -> int:
        """As `Store.purge_expired`."""

        def purge(tx: Writer) -> int:
            purged = 0
            for record_type, kept in PURGED:
                for record in tx.scan(record_type):
                    if record.expires_at is not None and record.expires_at <= now - kept:
                        purged += tx.delete(record_type, record.id)
            return purged

        purged = await self.write(purge)
        state = self.state
        while len(state.tombstones) > self._kept_tombstones:
            oldest = next(iter(state.tombstones))
            del state.tombstones[oldest]
            state.floor = state.revs.pop(oldest)
        return purged

    def changes(self, since: Cursor, *, limit: int = 1000, kinds: frozenset[str] | None = None) -> Changes:
        """As `Store.changes`."""
        state = self.state
        if since.generation != self.generation or not state.floor <= since.rev <= state.rev:
            return Changes(cursor=self.cursor, is_reset=True)
        newer = sorted((rev, key) for key, rev in state.revs.items() if rev > since.rev)
        count = count_read((state.of(kind).get(id_) for _, (kind, id_) in newer), limit)
        some = newer[:count]
        wanted = [key for _, key in some if key[0] not in UNFOLLOWED and (kinds is None or key[0] in kinds)]
        is_last = count == len(newer)
        return Changes(
            cursor=Cursor(self.generation, state.rev if is_last else some[-1][0]),
            put=tuple(state.of(kind)[id_] for kind, id_ in wanted if (kind, id_) not in state.tombstones),
            deleted=tuple(key for key in wanted if key in state.tombstones),
            has_more=not is_last,
        )

    async def backup(self) -> ByteStream:
        """As `Store.backup`: always refused."""
        await trio.lowlevel.checkpoint()
        raise Conflict("This herod keeps its store in memory (memory:): there is nothing to back up.")

    def audit_rows(self, *, after: int = 0, limit: int = MAX_PAGE) -> "list[AuditRow]":
        """As `Store.audit_rows`."""
        first = max(0, after - self.state.anchor.seq)
        rows = self.state.audit[first:][: max(1, min(limit, MAX_PAGE))]
        return [AuditRow(seq, decode_event(json), mac.hex()) for seq, json, mac in rows]

    @property
    def audit_head(self) -> tuple[int, str]:
        """As `Store.audit_head`."""
        return self.state.chain_end.seq, self.state.chain_end.mac.hex()

    @property
    def audit_anchor(self) -> tuple[int, str]:
        """As `Store.audit_anchor`."""
        return self.state.anchor.seq, self.state.anchor.mac.hex()

    @property
    def audit_notifier(self) -> ChangeNotifier:
        """As `Store.audit_notifier`."""
        return self._audit_notifier

    async def find_audit(
        self, wanted: AuditFilter, *, after: int | None = None, before: int | None = None, limit: int = MAX_PAGE
    ) -> "list[AuditRow]":
        """As `Store.find_audit`, on the event loop."""
        await trio.lowlevel.checkpoint()
        rows = self.state.audit if after is not None else reversed(self.state.audit)
        found = (
            AuditRow(seq, event, mac.hex())
            for seq, json, mac in rows
            if (after is None or seq > after) and (before is None or seq < before)
            if wanted.matches(event := decode_event(json))
        )
        return [*islice(found, limit)]

    async def survey(self, function: Callable[[Reader], T]) -> T:
        """As `Store.survey`, on the event loop."""
        await trio.lowlevel.checkpoint()
        return function(self)

    async def verify_audit(self, *, expect: bytes | None = None) -> AuditVerdict:
        """As `Store.verify_audit`, on the event loop."""
        await trio.lowlevel.checkpoint()
        state = self.state
        return walk(self._keyring, state.audit, anchor=state.anchor, head=state.chain_end, expect=expect)
