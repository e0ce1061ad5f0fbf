"""Filters for lists of keys: owner, kind, state and order, in bounded steps.

The store can search by a key's owner and times. The other fields are sealed, so a page of disabled keys, for example,
is found by reading the next `MAX_PAGE` keys: it may be short or empty and still have a cursor.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from herod.pipeline.parameters.text_normalization import parse_label
from herod.records import SERVICE_KEYS, ApiKey, Deletion
from herod.store.page_cursors import Order, cursor_after, encode_cursor
from herod.store.store_interface import MAX_PAGE, Page, Reader

__all__ = ["UNUSED_SECONDS", "KeyKindName", "KeyOrder", "KeyState", "Wanted", "find_keys", "named_keys"]

KeyKindName = Annotated[Literal["user", "service"], msgspec.Meta(description="only keys of this kind")]
KeyOrder = Annotated[
    Literal["oldest", "newest", "expires"], msgspec.Meta(description="which keys come first; expires is for admins")
]
KeyState = Annotated[
    Literal["on", "off", "expired", "unused"],
    msgspec.Meta(description="only keys in this state; unused means not used for 90 days"),
]

# A key that was not used for a quarter is worth asking about.
UNUSED_SECONDS: Final = 90 * 86_400
# Sorts after every id.
_LAST_ID: Final = "~"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which keys to list; None matches every key.

    Attributes:
        owner: an account's id, or `SERVICE_KEYS`.
        off: ids that are disabled in memory only.
    """

    owner: str | None = None
    kind: KeyKindName | None = None
    state: KeyState | None = None
    off: AbstractSet[str] = frozenset()


def find_keys(
    reader: Reader, wanted: Wanted, *, order: Order, cursor: str | None, limit: int, now: int
) -> Page[ApiKey]:
    """The next matching keys, among the next `MAX_PAGE` of the list.

    Raises:
        InvalidRequest: the cursor is invalid.
    """
    owner = SERVICE_KEYS if wanted.owner is None and wanted.kind == "service" else wanted.owner
    if order is Order.EXPIRES:
        owner = None  # this order has the keys of all owners in one list, filtered below
        if cursor is None and wanted.state == "on":
            cursor = encode_cursor(now, _LAST_ID)  # expired keys come before it
    is_whole = wanted.state is None and (wanted.owner, wanted.kind) in ((owner, None), (None, "service"))
    page = reader.list(ApiKey, owner=owner, order=order, cursor=cursor, limit=limit if is_whole else MAX_PAGE)
    found: list[ApiKey] = []
    for number, key in enumerate(page.items, 1):
        if order is Order.EXPIRES and wanted.state == "expired" and not key.has_ended(now):
            return Page(found)  # no later key is expired either
        if _is_wanted(reader, key, wanted, now):
            found.append(key)
            if len(found) == limit:
                is_last = number == len(page.items) and page.next_cursor is None
                return Page(found, None if is_last else cursor_after(key, order))
    return Page(found, page.next_cursor)


def named_keys(reader: Reader, name: str, owners: tuple[str | None, ...], wanted: Wanted, *, now: int) -> list[ApiKey]:
    """The keys with exactly that name that belong to these owners; None stands for service keys.

    Raises:
        InvalidRequest: no key can have that name.
    """
    label = parse_label(name)
    found = [key for owner in owners for key in reader.find(ApiKey, "name", owner or "", label)]
    return [key for key in found if _is_wanted(reader, key, wanted, now)]


def _is_wanted(reader: Reader, key: ApiKey, wanted: Wanted, now: int) -> bool:
    if wanted.owner is not None and key.owner_id != wanted.owner:
        return False
    if wanted.kind is not None and (key.owner is None) != (wanted.kind == "service"):
        return False
    if key.owner is not None and reader.get(Deletion, key.owner) is not None:
        return False  # it is about to be deleted with its owner
    is_enabled = key.enabled and key.id not in wanted.off
    match wanted.state:
        case None:
            return True
        case "on":
            return is_enabled and not key.has_ended(now)
        case "off":
            return not is_enabled
        case "expired":
            return key.has_ended(now)
        case "unused":
            usage = reader.usage(key.id)
            return max(key.created_at, 0 if usage is None else usage.at) <= now - UNUSED_SECONDS
