"""What a store can do: the protocol that operations are written against.

Reading is synchronous and runs on the event loop. Writing hands a function to the one writer; what `write` returned is
durable. An implementation is right when it passes `tests/store/conformance*.py`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from herod.credentials.keyring import Keyring
from herod.records import AuditEvent, GuessCount, Record, Revocation, Session
from herod.store.audit_filter import AuditFilter
from herod.store.notifier import ChangeNotifier
from herod.store.page_cursors import Order

__all__ = [
    "AuditRow",
    "AuditVerdict",
    "ByteStream",
    "Changes",
    "Cursor",
    "Health",
    "Order",
    "Page",
    "Reader",
    "Store",
    "StoreStats",
    "Usage",
    "Writer",
]

R = TypeVar("R", bound=Record)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGE = 200
# Of sealed records that are read for one page, before the last of them. As JSON a record is at most twice as long, and
# a few hundred bytes: what is read for a page is little more than what an answer can hold (`pipeline/pagination.py`).
MAX_READ_BYTES: Final = 96 * 1024
# A clock that was an hour ahead and is put right must not bring a revoked token back.
EXPIRED_KEPT_SECONDS: Final = 86_400
# What `purge_expired` deletes, and how many seconds after its end. Counts of guesses go at once: a stranger makes them.
PURGED: Final[tuple[tuple[type[Record], int], ...]] = (
    (Session, EXPIRED_KEPT_SECONDS),
    (Revocation, EXPIRED_KEPT_SECONDS),
    (GuessCount, 0),
)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of a list, perhaps none; `next_cursor` gets the next ones, None means that these were the last."""

    items: list[T]
    next_cursor: str | None = None


class Cursor(msgspec.Struct, frozen=True):
    """A place in the change feed: the store's generation and a revision in it."""

    generation: str
    rev: int


class Changes(msgspec.Struct, frozen=True):
    """What changed since a cursor, in order of revision.

    Attributes:
        cursor: where the next call goes on.
        is_reset: the feed cannot go on from the given cursor (another generation, or below the tombstone floor): drop
            everything known; `put` and `deleted` are empty and `cursor` is the store's present.
        put: records made or changed, each in its newest form.
        deleted: (kind, id) of what is gone.
        has_more: the next call has something at once.
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


class AuditRow(msgspec.Struct, frozen=True):
    """An audit event with its place in the chain; `mac` in hex."""

    seq: int
    event: AuditEvent
    mac: str


class AuditVerdict(msgspec.Struct, frozen=True):
    """Whether the audit chain is whole; `head` is the last HMAC in hex."""

    valid: bool
    rows: int
    head: str
    first_bad: int | None = None
    reason: str | None = None


class Health(StrEnum):
    """What the store can still do."""

    OK = "ok"
    READ_ONLY = "read-only"
    FAILING = "failing"


class StoreStats(msgspec.Struct, frozen=True):
    """Counters since the store was opened."""

    writes: int
    commits: int


class ByteStream(Protocol):
    """Bytes that come piece by piece; whoever takes one closes it, at its end or before."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, each once."""

    async def aclose(self) -> None:
        """Give back what it holds; a second time does nothing."""


class Reader(Protocol):
    """Reading, at one moment. Expired records are returned: their users compare `expires_at` with their own now.

    A record that was changed outside herod is never returned: every method raises `Unavailable` (reason `damaged`)
    instead of leaving it out, and so it does when the store cannot be read.
    """

    def get(self, record_type: type[R], id: str) -> R | None:
        """The record of that id, or None."""

    def find(self, record_type: type[R], *lookup: str) -> list[R]:
        """The records whose `lookup` is exactly that, oldest first."""

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

        A page ends early where its records, sealed, have come to `MAX_READ_BYTES`; at least one is on it.

        Args:
            record_type: which.
            owner: whose; None for everybody's.
            order: by `Order.EXPIRES`, records that never expire are left out.
            cursor: where the page before ended, in the same order.
            limit: how many, at most.

        Raises:
            InvalidRequest: the cursor is not one of ours.
            ValueError: an owner's are asked for by `Order.EXPIRES`, for which there is no index.
        """

    def scan(self, record_type: type[R]) -> Iterator[R]:
        """Every record of a type, in no order. For work inside a write or at start, not for request handlers."""

    def count(self, record_type: type[Record]) -> int:
        """How many there are."""

    def usage(self, id: str) -> Usage | None:
        """When the credential of that id was last used."""


class Writer(Reader, Protocol):
    """Reading and writing inside one write transaction; a raised exception undoes this function's writes only."""

    @property
    def revision(self) -> int:
        """Moves on with each change of a record."""

    def put(self, record: Record) -> None:
        """Insert, or replace the one of the same kind and id; an equal one stays as it is, which is no change.

        Raises:
            Conflict: `is_unique` and another record has the same lookup.
        """

    def delete(self, record_type: type[Record], id: str) -> bool:
        """Remove it, and leave a tombstone if the feed tells of its kind; False when there was none."""

    def audit(self, event: AuditEvent) -> None:
        """Append to the audit chain."""

    def trim_audit(self, *, before: int, through: int, limit: int) -> int:
        """Remove the oldest rows, and move the chain's anchor behind them: what is left verifies.

        A row that is not what was written is never removed, nor what comes after it: it is evidence.

        Args:
            before: Unix seconds; rows older than that go, up to the first that is not.
            through: rows up to that `seq` go whatever their age, up to the first of what an admin did.
            limit: how many rows, at most.

        Returns:
            How many were removed.
        """


class Store(Reader, Protocol):
    """A place where records are kept."""

    @property
    def keyring(self) -> Keyring:
        """The purpose keys under the store's root key."""

    @property
    def cursor(self) -> Cursor:
        """The present end of the change feed."""

    @property
    def health(self) -> tuple[Health, str | None]:
        """What it can do and, unless OK, why not."""

    @property
    def stats(self) -> StoreStats:
        """Writes and commits since the start."""

    @property
    def change_notifier(self) -> ChangeNotifier:
        """Sent on the event loop when a commit has changed something that the change feed tells of.

        Others send it when what readers of the feed make of that has changed.
        """

    async def write(self, function: Callable[[Writer], T]) -> T:
        """Run `function` in the write transaction and return its result once that is durable.

        What `function` raises comes out here, and its writes are undone alone.

        Raises:
            Unavailable: the store is read-only, full or closed; nothing was written. (After an error of the disk nobody
                can say that: what was refused then may be found written after the restart.)
        """

    def changes(self, since: Cursor, *, limit: int = 1000) -> Changes:
        """What has changed since `since`, at most `limit` items, and no more of them than `list` reads at once."""

    def note_use(self, id: str, usage: Usage) -> None:
        """Remember a use; reaches the disk with a later write."""

    async def flush_usage(self) -> None:
        """Write down all uses noted so far.

        Raises:
            Unavailable: they are kept, and tried again with the next write.
        """

    async def purge_expired(self, now: int) -> int:
        """Delete what ended as long before `now` as `PURGED` says, and forget old tombstones.

        Returns:
            How many records were deleted.
        """

    async def backup(self) -> ByteStream:
        """The whole store as of one moment, encrypted: all that was acknowledged before the call.

        Raises:
            Conflict: another is being made.
            Unavailable: there is no room for it, or the store cannot be read.
            InvalidRequest: the store is kept in memory alone.
        """

    def audit_rows(self, *, after: int = 0, limit: int = MAX_PAGE) -> list[AuditRow]:
        """Audit rows with `seq` > after, in order."""

    @property
    def audit_head(self) -> tuple[int, str]:
        """The number and HMAC (hex) of the last audit row."""

    async def find_audit(
        self, wanted: AuditFilter, *, after: int | None = None, before: int | None = None, limit: int = MAX_PAGE
    ) -> list[AuditRow]:
        """Look through the audit rows, off the event loop: newest first, or with `after` oldest first.

        Args:
            wanted: which rows.
            after: only rows with a greater `seq`.
            before: only rows with a smaller `seq`.
            limit: how many, at most.
        """

    async def survey(self, function: Callable[[Reader], T]) -> T:
        """Let `function` read for long, off the event loop, all of one moment; one at a time.

        Uses that were noted a moment ago may be missing there.

        Raises:
            Unavailable: a row is damaged, or the store cannot be read.
        """

    async def verify_audit(self, *, expect: bytes | None = None) -> AuditVerdict:
        """Walk the whole chain, off the event loop.

        Args:
            expect: an HMAC that was once the last one; the chain must still hold it.
        """
