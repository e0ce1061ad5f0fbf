"""Page cursors: where a list goes on. Opaque to clients, and nothing in them that the page did not show.

cursor = base64url without padding of "<created_at>.<id>", of the last item on the page
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from herod.errors import InvalidRequest

__all__ = ["encode_cursor", "parse_cursor"]

MAX_CHARS: Final = 512
_INT64: Final = range(-(2**63), 2**63)


def encode_cursor(created_at: int, id: str) -> str:  # noqa: A002 - what every record calls it
    """The cursor that goes on after the record of that time and id."""
    return urlsafe_b64encode(f"{created_at}.{id}".encode()).decode().rstrip("=")


def parse_cursor(text: str) -> tuple[int, str]:
    """Read what `encode_cursor` wrote.

    Raises:
        InvalidRequest: it is not one of ours, in its one canonical form.
    """
    try:
        words = urlsafe_b64decode(text[:MAX_CHARS] + "=" * (-len(text) % 4)).decode()
        created, _, id_ = words.partition(".")
        created_at = int(created)
        is_ours = created_at in _INT64 and encode_cursor(created_at, id_) == text
    except ValueError:
        is_ours = False
    if not is_ours:
        raise InvalidRequest(
            "The cursor is not one that a list gave: leave it out to start from the beginning.", reason="cursor"
        )
    return created_at, id_
