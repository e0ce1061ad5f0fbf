"""Pages of lists: as many items as fit into one answer, and a cursor after the last of them.

The store limits what is read for a page (`store/store_interface.py`), this module what is returned: every operation
that returns a `Page` builds it here. A page may hold fewer items than requested, or none, and not be the last.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from herod.records import Record
from herod.store.page_cursors import cursor_after
from herod.store.store_interface import MAX_PAGE, Order, Page
from herod_client.core.errors import InvalidRequest

__all__ = ["MAX_PAGE_BYTES", "ByteBudget", "fill_page", "merged", "page_of", "parse_limit"]

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R", bound=Record)

MAX_PAGE_BYTES: Final = 256 * 1024  # of an answer as JSON
# For what surrounds the items: cursor, envelope, member names.
FRAME_BYTES: Final = 2048

_encode: Final = msgspec.json.Encoder().encode


class ByteBudget:
    """How many bytes are left in an answer. The first item always fits, so that every list can be read to its end.

    Attributes:
        is_full: whether something did not fit.
    """

    def __init__(self, size: int = MAX_PAGE_BYTES - FRAME_BYTES) -> None:
        self._left = size
        self._is_whole = True
        self.is_full = False

    def takes(self, item: Any) -> bool:
        """Whether the item fits; if so, its bytes are subtracted."""
        size = len(_encode(item)) + 1  # a comma
        if size > self._left and not self._is_whole:
            self.is_full = True
            return False
        self._left -= size
        self._is_whole = False
        return True


def fill_page(
    found: Iterable[S],
    shape: Callable[[S], T | None],
    *,
    place: Callable[[S], str],
    begin: str | None = None,
    end: str | None = None,
    room: ByteBudget | None = None,
) -> Page[T]:
    """A page of what was found, as far as it fits.

    Args:
        found: in the list's order; read only as far as it fits.
        shape: converts an item to its view; None leaves it out.
        place: the cursor that continues after an item.
        begin: the cursor that the page began with, which is returned when nothing fits. That only happens with a `room`
            that holds something already.
        end: the cursor that continues after all of it; None at the end of the list.
        room: the remaining budget of an answer that holds more than this page; it says whether it is full.
    """
    room = ByteBudget() if room is None else room
    items: list[T] = []
    cursor = begin
    for one in found:
        item = shape(one)
        if item is not None:
            if not room.takes(item):
                return Page(items, cursor)
            items.append(item)
        cursor = place(one)
    return Page(items, end)


def page_of(listed: Page[R], shape: Callable[[R], T | None], *, order: Order = Order.OLDEST) -> Page[T]:
    """A page of records that the store listed in that order; see `fill_page`."""
    return fill_page(listed.items, shape, place=lambda record: cursor_after(record, order), end=listed.next_cursor)


def merged(listed: Sequence[Page[R]], *, limit: int) -> Page[R]:
    """One page of several lists, oldest first, each of which was read from the same cursor.

    A list that goes on ends the page: what the others have after its last item comes with the next one.
    """
    if len(listed) == 1:
        return listed[0]
    ends = [_place(page.items[-1]) for page in listed if page.next_cursor is not None]
    end = min(ends, default=None)
    found = sorted((record for page in listed for record in page.items), key=_place)
    items = [record for record in found if end is None or _place(record) <= end][:limit]
    is_all = end is None and len(items) == len(found)
    return Page(items, None if is_all else cursor_after(items[-1], Order.OLDEST))


def _place(record: Record) -> tuple[int, str]:
    return record.created_at, record.id


def parse_limit(limit: int) -> int:
    """A page's size.

    Raises:
        InvalidRequest: it is not between 1 and 200.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"Invalid limit {limit}: choose 1 to {MAX_PAGE}.")
    return limit
