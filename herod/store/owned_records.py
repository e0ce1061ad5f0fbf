"""Records that belong to another one: found by their owner, and deleted with it.

One table lists what is deleted with a record, so that no command can forget a kind. One transaction deletes only so
many records, so that no other write waits for long: the record itself goes first, with which everything that it owns is
refused, and the rest is deleted step by step. The store remembers that, so a restart continues.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

import msgspec

from herod.records import (
    Account,
    ApiKey,
    App,
    Approval,
    AuthorizationCode,
    Delegation,
    Deletion,
    DeviceCode,
    Passkey,
    Record,
    RecoveryCodes,
    Revocation,
    Session,
    SessionEpoch,
    TokenFamily,
    TotpFactor,
)
from herod.store.store_interface import Reader, Store, Writer

__all__ = [
    "DELETED_AT_ONCE",
    "OWNED",
    "delete_app",
    "delete_delegations",
    "delete_owned",
    "delete_with_owned",
    "finish_deletions",
    "finish_deletions_in",
    "owned_by",
]

R = TypeVar("R", bound=Record)

OWNED: Final[Mapping[type[Record], tuple[type[Record], ...]]] = {
    Account: (Passkey, TotpFactor, RecoveryCodes, ApiKey, Session, Delegation),
    Delegation: (
        AuthorizationCode,
        TokenFamily,
        DeviceCode,
        Approval,
        Revocation,
    ),  # all tokens of a delegation end with it
}
"""Record type → the types whose records are deleted with their owner."""
# The most records that one transaction deletes: about 10 ms.
DELETED_AT_ONCE: Final = 200
_OWNERS: Final = {record_type.kind: record_type for record_type in OWNED}


def owned_by(reader: Reader, record_type: type[R], owner: str) -> Iterator[R]:
    """Every record of one owner, oldest first, read page by page through the owner index."""
    cursor: str | None = None
    while True:
        page = reader.list(record_type, owner=owner, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def delete_owned(tx: Writer, record_type: type[Record], owner: str, *, limit: int = DELETED_AT_ONCE) -> list[str]:
    """Delete the oldest records of one owner, at most `limit`, and return their ids."""
    ids = [record.id for record in islice(owned_by(tx, record_type, owner), limit)]
    for id_ in ids:
        tx.delete(record_type, id_)
    return ids


def delete_with_owned(tx: Writer, record: Record, *, now: int) -> Mapping[type[Record], list[str]]:
    """Delete a record and what it owns according to `OWNED`; return the ids of what this transaction deleted, by type.

    If it owns more than `DELETED_AT_ONCE`, `finish_deletions` has to delete the rest.
    """
    tx.delete(type(record), record.id)
    tx.delete(SessionEpoch, record.id)
    gone, is_whole = _delete_some(tx, type(record), record.id)
    if not is_whole:
        tx.put(Deletion(id=record.id, created_at=now, of=record.kind))
    return gone


def delete_delegations(tx: Writer, account: Account, *, now: int) -> None:
    """Delete an account's delegations of former epochs, which have ended with them; not all if there are very many.

    What they own is deleted by `finish_deletions`.
    """
    for delegation in list(islice(owned_by(tx, Delegation, account.id), DELETED_AT_ONCE)):
        if delegation.epoch != account.epoch:
            tx.delete(Delegation, delegation.id)
            if any(tx.count_owned(owned, delegation.id, limit=1) for owned in OWNED[Delegation]):
                tx.put(Deletion(id=delegation.id, created_at=now, of=Delegation.kind))


def delete_app(tx: Writer, app: App, *, now: int) -> bool:
    """Delete an app, with which all delegations to it have ended; return whether it was there.

    The device codes with which it waits go at once; nobody can allow those that are left.
    No index finds the delegations to one app: `finish_deletions` looks through all of them and deletes those.
    """
    delete_owned(tx, DeviceCode, app.id)
    if tx.count(Delegation):
        tx.put(Deletion(id=app.id, created_at=now, of=App.kind))
    return tx.delete(App, app.id)


async def finish_deletions(store: Store) -> None:
    """Delete what deleted records still own, in one write for each `DELETED_AT_ONCE`; other writes run in between.

    Raises:
        Unavailable: the store cannot be written, or a row is damaged: try again later.
    """
    while store.count(Deletion):
        await store.write(_continue)


def finish_deletions_in(tx: Writer) -> None:
    """The same in one transaction, for offline commands."""
    while tx.count(Deletion):
        _continue(tx)


def _continue(tx: Writer) -> None:
    """One step of the oldest deletion."""
    for deletion in tx.list(Deletion, limit=1).items:
        if deletion.of == App.kind:
            _delete_delegations_to(tx, deletion)
            continue
        record_type = _OWNERS[deletion.of]
        # A record that exists again, after a restore, keeps what it owns.
        if tx.get(record_type, deletion.id) is not None or _delete_some(tx, record_type, deletion.id)[1]:
            tx.delete(Deletion, deletion.id)


def _delete_delegations_to(tx: Writer, deletion: Deletion) -> None:
    """Look through the next delegations for those to a deleted app, and delete them; what they own comes later."""
    page = tx.list(Delegation, cursor=deletion.place, limit=DELETED_AT_ONCE)
    is_gone = tx.get(App, deletion.id) is None  # else it exists again, after a restore
    for delegation in page.items if is_gone else ():
        if delegation.app == deletion.id:
            tx.delete(Delegation, delegation.id)
            if any(tx.count_owned(owned, delegation.id, limit=1) for owned in OWNED[Delegation]):
                tx.put(Deletion(id=delegation.id, created_at=deletion.created_at, of=Delegation.kind))
    if page.next_cursor is None or not is_gone:
        tx.delete(Deletion, deletion.id)
    else:
        tx.put(msgspec.structs.replace(deletion, place=page.next_cursor))


def _delete_some(tx: Writer, record_type: type[Record], id_: str) -> tuple[dict[type[Record], list[str]], bool]:
    """Delete at most `DELETED_AT_ONCE` of the records that such a record owns; and whether none is left."""
    owned_types = OWNED.get(record_type, ())
    gone: dict[type[Record], list[str]] = {owned: [] for owned in owned_types}
    for record in islice(_everything_owned(tx, record_type, id_), DELETED_AT_ONCE):
        tx.delete(type(record), record.id)
        gone.setdefault(type(record), []).append(record.id)
    return gone, not any(tx.count_owned(owned, id_, limit=1) for owned in owned_types)


def _everything_owned(reader: Reader, record_type: type[Record], id_: str) -> Iterator[Record]:
    """Each record that such a record owns, after what it owns itself: none is left without its owner."""
    for owned in OWNED.get(record_type, ()):
        for record in owned_by(reader, owned, id_):
            yield from _everything_owned(reader, owned, record.id)
            yield record
