"""What every record has: an id, its times, and how the store finds it.

The store keeps only its other key (`lookup`), its owner (`owner_id`) and its expiry (`expires_at`) unsealed, and the
lookup only as an HMAC.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import msgspec

__all__ = ["FieldUse", "Record"]


class FieldUse(NamedTuple):
    """Where a field of a record appears outside the store.

    Attributes:
        exported: its column in the file that `herod export` writes and `herod import` reads; None: it stays here.
        shown: its name in what users see (`pipeline/result_views.py`); None: it is not shown as it is.
    """

    exported: str | None = None
    shown: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Abstract: a sealed record with an id. Times are Unix seconds.

    Attributes:
        kind: the row's kind column.
        is_unique: whether two records may not share a lookup.
        is_followed: whether the change feed reports its changes.
        field_uses: field → where it appears outside the store; of records that are exported.
        hides_owner: whether the owner column holds an HMAC of `owner_id`, as the lookup column does of `lookup`.
    """

    kind: ClassVar[str]
    is_unique: ClassVar[bool] = False
    is_followed: ClassVar[bool] = True
    hides_owner: ClassVar[bool] = False
    field_uses: ClassVar[Mapping[str, FieldUse]] = {}

    id: str
    created_at: int
    expires_at: int | None = None

    def __repr__(self) -> str:
        """Without sealed values: hashes, keys, emails."""
        return f"{type(self).__name__}({self.id!r})"

    @property
    def lookup(self) -> tuple[str, ...] | None:
        """The words it can be found by, besides its id."""
        return None

    def has_ended(self, now: int) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def owner_id(self) -> str | None:
        """The account it belongs to."""
        return None
