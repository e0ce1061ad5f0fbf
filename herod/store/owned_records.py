"""Records that belong to another one: found by their owner, and deleted with it.

One table lists what is deleted with a record, so that no command can forget a kind.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from herod.records import Account, ApiKey, Record, Session
from herod.store.store_interface import Reader, Writer

__all__ = ["OWNED", "delete_owned", "delete_with_owned", "owned_by"]

R = TypeVar("R", bound=Record)

OWNED: Final[Mapping[type[Record], tuple[type[Record], ...]]] = {Account: (ApiKey, Session)}
"""Record type → the types whose records are deleted with their owner."""


def owned_by(reader: Reader, record_type: type[R], owner: str) -> Iterator[R]:
    """Every record of one owner, oldest first, read page by page through the owner index."""
    cursor: str | None = None
    while True:
        page = reader.list(record_type, owner=owner, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def delete_owned(tx: Writer, record_type: type[Record], owner: str) -> list[str]:
    """Delete every record of one owner and return their ids."""
    ids = [record.id for record in owned_by(tx, record_type, owner)]
    for id_ in ids:
        tx.delete(record_type, id_)
    return ids


def delete_with_owned(tx: Writer, record: Record) -> Mapping[type[Record], list[str]]:
    """Delete a record and what it owns according to `OWNED`; return the ids of the latter, by type."""
    gone = {owned: delete_owned(tx, owned, record.id) for owned in OWNED.get(type(record), ())}
    tx.delete(type(record), record.id)
    return gone
