"""The store protocol that operations use.

Reading is synchronous and runs on the event loop. Writing passes a function to the one writer; what `write` returned is
durable. An implementation is correct if it passes `tests/store/conformance*.py`.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from herod.audit_event import AuditEvent
from herod.credentials.keyring import Keyring
from herod.records import (
    Approval,
    AuthorizationCode,
    Delegation,
    DeviceCode,
    GuessCount,
    Record,
    Revocation,
    Session,
    TokenFamily,
    UsedChallenge,
)
from herod.store.audit_filter import AuditFilter
from herod.store.notifier import ChangeNotifier
from herod.store.page_cursors import Order
from herod_client.core.errors import Unavailable

__all__ = [
    "AuditRow",
    "AuditVerdict",
    "ByteStream",
    "Changes",
    "Cursor",
    "Health",
    "NotWritten",
    "Order",
    "Page",
    "Reader",
    "Store",
    "StoreStats",
    "Usage",
    "Writer",
    "former_use",
    "in_force_until_restart",
]

R = TypeVar("R", bound=Record)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGE = 200
# Limits the sealed records that are read for one page, not counting the last of them. As JSON a record is at most twice
# as long plus a few hundred bytes, so a page reads little more than a response can hold (`pipeline/pagination.py`).
MAX_READ_BYTES: Final = 96 * 1024
# A clock that was an hour ahead and is corrected must not bring a revoked token back.
EXPIRED_KEPT_SECONDS: Final = 86_400
# What `purge_expired` deletes, and how many seconds after expiry. Guess counts are deleted at once, because strangers
# cause them.
PURGED: Final[tuple[tuple[type[Record], int], ...]] = (
    (Session, EXPIRED_KEPT_SECONDS),
    (Revocation, EXPIRED_KEPT_SECONDS),
    (Delegation, EXPIRED_KEPT_SECONDS),
    (GuessCount, 0),
    (Approval, 0),  # an app may ask for many, and one that is missing is asked for again
    (AuthorizationCode, EXPIRED_KEPT_SECONDS),
    (TokenFamily, EXPIRED_KEPT_SECONDS),
    (DeviceCode, 0),  # strangers cause them, and one that is missing is refused
    (UsedChallenge, EXPIRED_KEPT_SECONDS),
)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list, possibly empty; `next_cursor` is for the next page, None means that this is the last."""

    items: list[T]
    next_cursor: str | None = None


class Cursor(msgspec.Struct, frozen=True):
    """A position in the change feed: the store's generation and a revision in it."""

    generation: str
    rev: int


class Changes(msgspec.Struct, frozen=True):
    """What changed since a cursor, in order of revision.

    Attributes:
        cursor: where the next call continues.
        is_reset: the feed cannot continue from the given cursor (another generation, or below the tombstone floor):
            drop everything known; `put` and `deleted` are empty and `cursor` is the store's current one.
        put: records that were created or changed, each in its newest state.
        deleted: (kind, id) of deleted records.
        has_more: the next call returns more at once.
    """

    cursor: Cursor
    is_reset: bool = False
    put: tuple[Record, ...] = ()
    deleted: tuple[tuple[str, str], ...] = ()
    has_more: bool = False


class Usage(msgspec.Struct, frozen=True):
    """When and from where a credential was last used. Written lazily; not part of the feed."""

    at: int
    source: str


def former_use(key_id: str) -> str:
    """The id under which the uses of a key's former secret are stored; they are deleted with the key."""
    return f"{key_id}/former"


class AuditRow(msgspec.Struct, frozen=True):
    """An audit event with its position in the chain; `mac` in hex."""

    seq: int
    event: AuditEvent
    mac: str


class AuditVerdict(msgspec.Struct, frozen=True):
    """Whether the audit chain is intact.

    Attributes:
        head: the last HMAC, in hex.
        removed: the number of the last row that retention has removed.
    """

    valid: bool
    rows: int
    head: str
    removed: int = 0
    first_bad: int | None = None
    reason: str | None = None


class Health(StrEnum):
    """What the store can still do."""

    OK = "ok"
    READ_ONLY = "read-only"
    FAILING = "failing"


class NotWritten(Unavailable):
    """The store did not take a change.

    Args:
        cause: what prevents it: a sentence without its full stop.
        remedy: what to do about it, to be continued with "and …".
        is_unknown: whether the change was written shows only after a restart.
        reason: as in `Unavailable`.
    """

    def __init__(self, cause: str, remedy: str, *, is_unknown: bool = False, reason: str) -> None:
        kept = "only the restart shows whether this was changed" if is_unknown else "nothing was changed"
        super().__init__(f"{cause}, and {kept}: {remedy} and try again.", reason=reason)
        self.cause = cause
        self.remedy = remedy
        self.is_unknown = is_unknown

    def again(self) -> "NotWritten":
        """An equal error, for another task to raise."""
        return NotWritten(self.cause, self.remedy, is_unknown=self.is_unknown, reason=self.reason)


def in_force_until_restart(error: Unavailable) -> Unavailable:
    """The error for a change that the store did not take, and that is in force in this process all the same.

    It must not say that nothing was changed, nor be taken for a success: a restart undoes it.
    """
    until = "in force until the restart, and then undone"
    if isinstance(error, NotWritten):
        remedy = f"{error.remedy[0].upper()}{error.remedy[1:]}"
        message = f"{error.cause}: this is {until}. {remedy} and repeat it."
    else:
        message = f"{error.message} This is {until}: repeat it when the store can be written."
    return Unavailable(message, reason=error.reason, hint="repeat it when GET /health answers ok")


class StoreStats(msgspec.Struct, frozen=True):
    """Counters since the store was opened."""

    writes: int
    commits: int


class ByteStream(Protocol):
    """Bytes in pieces; the consumer must close it, at its end or before."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, each once."""

    async def aclose(self) -> None:
        """Release its resources; does nothing if called again."""


class Reader(Protocol):
    """Reads the store. Expired records are returned too: callers compare `expires_at` with their own time.

    A record that was changed outside herod is never returned or left out: every method raises `Unavailable` (reason
    `damaged`) instead. Methods also raise `Unavailable` if the store cannot be read.
    """

    def get(self, record_type: type[R], id: str) -> R | None:
        """The record of that id, or None."""

    def find(self, record_type: type[R], *lookup: str) -> list[R]:
        """The records with exactly this `lookup`, oldest first."""

    def find_any(self, record_type: type[R], name: str, words: Sequence[str]) -> list[R]:
        """The records whose `lookup` is the name and any of these words, at most 999, oldest first, in one read."""

    def list(
        self,
        record_type: type[R],
        *,
        owner: str | None = None,
        order: Order = Order.OLDEST,
        cursor: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[R]:
        """Records by (created_at, id), of one owner if given, or by (expires_at, id), of all owners.

        A page ends early when its sealed records reach `MAX_READ_BYTES`, but has at least one if there are any.

        Args:
            record_type: the type of the records.
            owner: the owner's id; None for all owners.
            order: with `Order.EXPIRES`, records that never expire are left out.
            cursor: from the page before, in the same order.
            limit: the most records.

        Raises:
            InvalidRequest: the cursor is not valid.
            ValueError: an owner and `Order.EXPIRES` are given, for which there is no index.
        """

    def scan(self, record_type: type[R]) -> Iterator[R]:
        """Every record of a type, in no order. For writes and the start, not for request handlers."""

    def count(self, record_type: type[Record]) -> int:
        """The number of records of a type."""

    def count_owned(self, record_type: type[Record], owner: str, *, limit: int) -> int:
        """The number of one owner's records of a type, counted by index and only up to `limit`."""

    def was_deleted(self, record_type: type[Record], id: str) -> bool:
        """Whether a record of that id was deleted; long ago is forgotten (`purge_expired`)."""

    def usage(self, id: str) -> Usage | None:
        """When the credential of that id was last used."""


class Writer(Reader, Protocol):
    """Reads and writes inside one write transaction; an exception rolls back this function's writes only."""

    @property
    def revision(self) -> int:
        """The store's revision, which increases with each change of a record."""

    def put(self, record: Record) -> None:
        """Insert a record, or replace the one of the same kind and id; if they are equal, nothing changes.

        Raises:
            Conflict: the kind `is_unique`, and another record has the same lookup.
        """

    def delete(self, record_type: type[Record], id: str) -> bool:
        """Delete a record, leaving a tombstone if its kind is in the change feed; False if there was none."""

    def audit(self, event: AuditEvent) -> None:
        """Append an event to the audit chain."""

    def trim_audit(self, *, before: int, through: int, limit: int, latest: int | None = None) -> int:
        """Remove the oldest audit rows, and move the chain's anchor after them, so that the rest still verifies.

        A row that does not verify is never removed, nor are the rows after it: it is evidence.

        Args:
            before: Unix seconds; older rows are removed, up to the first that is not older.
            through: rows up to this `seq` are removed whatever their age, up to the first action of an admin.
            limit: the most rows to remove.
            latest: Unix seconds; a later row was written while the clock was ahead, and is as old as the row after it.

        Returns:
            How many were removed.
        """


class Store(Reader, Protocol):
    """Keeps records, the change feed and the audit log."""

    @property
    def keyring(self) -> Keyring:
        """The purpose keys under the store's root key."""

    @property
    def cursor(self) -> Cursor:
        """The current end of the change feed."""

    @property
    def health(self) -> tuple[Health, str | None]:
        """What the store can still do and, unless OK, why."""

    @property
    def stats(self) -> StoreStats:
        """Writes and commits since the start."""

    @property
    def change_notifier(self) -> ChangeNotifier:
        """Notified on the event loop, with the kinds of record, when a commit has changed any in the change feed.

        Other code notifies it when the meaning of those records has changed, as after a reload.
        """

    async def write(self, function: Callable[[Writer], T]) -> T:
        """Run `function` in the write transaction and return its result once that is durable.

        An exception of `function` is raised here, and only its own writes are rolled back.

        Raises:
            NotWritten: the store is read-only, full or closed; nothing was written. (After a disk error that is
                uncertain: a refused write may turn out to be written after the restart.)
        """

    def changes(self, since: Cursor, *, limit: int = 1000, kinds: frozenset[str] | None = None) -> Changes:
        """The changes since a cursor: at most `limit` items, and no more bytes than `list` reads at once.

        Args:
            since: where to begin.
            limit: the most changes to pass, of all kinds.
            kinds: the kinds of record to return; others are passed over, so that a part may be empty.
        """

    def note_use(self, id: str, usage: Usage) -> None:
        """Record a use of a credential; it is written to disk with a later write."""

    async def flush_usage(self) -> None:
        """Write all uses noted so far.

        Raises:
            Unavailable: they are kept, and tried again with the next write.
        """

    async def purge_expired(self, now: int) -> int:
        """Delete records that expired long enough before `now`, according to `PURGED`, and drop old tombstones.

        Returns:
            How many records were deleted.
        """

    async def backup(self) -> ByteStream:
        """A consistent, encrypted snapshot of the whole store, with all writes acknowledged before the call.

        Raises:
            Conflict: another backup is being made.
            Unavailable: there is no space for it, or the store cannot be read.
            InvalidRequest: the store is in memory only.
        """

    def audit_rows(self, *, after: int = 0, limit: int = MAX_PAGE) -> list[AuditRow]:
        """Audit rows with `seq` > after, in order."""

    @property
    def audit_head(self) -> tuple[int, str]:
        """The number and HMAC (hex) of the last audit row."""

    @property
    def audit_anchor(self) -> tuple[int, str]:
        """The number and HMAC (hex) of the last audit row that retention has removed; 0 and zeros if there is none."""

    @property
    def audit_notifier(self) -> ChangeNotifier:
        """Notified on the event loop when a commit has added audit rows."""

    async def find_audit(
        self, wanted: AuditFilter, *, after: int | None = None, before: int | None = None, limit: int = MAX_PAGE
    ) -> list[AuditRow]:
        """Search the audit rows, off the event loop: newest first, or oldest first if `after` is given.

        Args:
            wanted: the filter.
            after: only rows with a greater `seq`.
            before: only rows with a smaller `seq`.
            limit: the most rows.
        """

    async def survey(self, function: Callable[[Reader], T]) -> T:
        """Run a long read off the event loop, on one snapshot; one at a time.

        Recently noted uses may be missing.

        Raises:
            Unavailable: a row is damaged, or the store cannot be read.
        """

    async def verify_audit(self, *, expect: bytes | None = None) -> AuditVerdict:
        """Verify the whole audit chain, off the event loop.

        Args:
            expect: an HMAC that was once the last one; the chain must still contain it.
        """
