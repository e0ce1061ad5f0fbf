"""Herod's own notes: counters, clocks and keys that only it reads."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["ClockRecord", "Deletion", "GuessCount", "HashKey", "LegacyUse"]


class HashKey(Record, frozen=True, kw_only=True):
    """A hash key that came with imported records. `id` is its `hash_key_id`.

    Attributes:
        key: 32 bytes; verifies hashes that were made with it elsewhere, and makes no new ones.
    """

    kind: ClassVar[str] = "hash_key"

    key: bytes


class GuessCount(Record, frozen=True, kw_only=True):
    """The failed attempts of one counter (`throttle/rules.py`). `id` is an HMAC, so that the record names nobody.

    They change with every sign-in and only the next one reads them, so the feed leaves them out.

    Attributes:
        marks: (Unix seconds, number of attempts), oldest first.
    """

    kind: ClassVar[str] = "guess"
    is_followed: ClassVar[bool] = False

    marks: tuple[tuple[int, int], ...]


class LegacyUse(Record, frozen=True, kw_only=True):
    """The uses of a legacy secret. `id` is the secret's id; `created_at` is when it was first seen in the settings.

    Attributes:
        promoted_to: the service key that replaces it.
    """

    kind: ClassVar[str] = "legacy_use"
    is_followed: ClassVar[bool] = False

    uses: int = 0
    last_used_at: int | None = None
    last_used_from: str | None = None
    promoted_to: str | None = None


class ClockRecord(Record, frozen=True, kw_only=True):
    """How far the clock by which expired records are deleted has come (`pipeline/process/steady_clock.py`).

    Attributes:
        reached: Unix seconds.
    """

    kind: ClassVar[str] = "clock"
    is_followed: ClassVar[bool] = False

    reached: int


class Deletion(Record, frozen=True, kw_only=True):
    """A deleted record, by its `id`, that owned more than one transaction deletes: the rest is deleted step by step.

    Attributes:
        of: the kind of the deleted record.
        place: how far the search for what belonged to it has come, where no index finds that: a page cursor.
    """

    kind: ClassVar[str] = "deletion"
    is_followed: ClassVar[bool] = False

    of: str
    place: str | None = None
