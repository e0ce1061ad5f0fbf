"""Page cursors: where the next page of a list starts. Opaque to clients, without data that the page did not show.

cursor = base64url without padding of "<at>.<id>", of the last item on the page

`at` is the time that the list is ordered by, `created_at` or `expires_at`.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from typing import Final

from herod.records import Record
from herod_client.core.errors import InvalidRequest

__all__ = ["Order", "cursor_after", "encode_cursor", "parse_cursor"]

MAX_CHARS: Final = 512
_INT64: Final = range(-(2**63), 2**63)


class Order(StrEnum):
    """The order of a list; `EXPIRES` has the earliest expiry first, and omits records that never expire."""

    OLDEST = "oldest"
    NEWEST = "newest"
    EXPIRES = "expires"


def encode_cursor(at: int, id: str) -> str:
    """The cursor for the page after the record with that time and id."""
    return urlsafe_b64encode(f"{at}.{id}".encode()).decode().rstrip("=")


def cursor_after(record: Record, order: Order) -> str:
    """The cursor for the page after a record in a list of that order."""
    at = record.expires_at if order is Order.EXPIRES else None
    return encode_cursor(record.created_at if at is None else at, record.id)


def parse_cursor(text: str) -> tuple[int, str]:
    """Parse a cursor of `encode_cursor`.

    Raises:
        InvalidRequest: it is not a cursor in canonical form.
    """
    try:
        words = urlsafe_b64decode(text[:MAX_CHARS] + "=" * (-len(text) % 4)).decode()
        time, _, id_ = words.partition(".")
        at = int(time)
        is_ours = at in _INT64 and encode_cursor(at, id_) == text
    except ValueError:
        is_ours = False
    if not is_ours:
        raise InvalidRequest("The cursor is not valid: leave it out to start from the beginning.", reason="cursor")
    return at, id_
