"""Records as rows: each sealed under its own key, and bound to the row's clear-text columns.

A row that was edited, or moved to another id or revision, does not open; and a row that does not open is never served,
not even in part. The clear-text columns serve to find a row; no decision is based on them.
"""

import logging
from typing import Final, TypeVar

import msgspec

from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.sealing import SEAL_BYTES, SealBroken, seal, unseal
from herod.records import RECORD_TYPES, Record
from herod_client.core.errors import Unavailable

__all__ = ["SELECT_ROWS", "TYPES", "Row", "RowCodec", "damaged", "sealed_bytes"]

R = TypeVar("R", bound=Record)

logger = logging.getLogger("herod.store")

SELECT_ROWS: Final = "SELECT id, lookup, owner, created_at, expires_at, rev, sealed FROM records"

Row = tuple[str, bytes | None, str | None, int, int | None, int, bytes]
"""A row of SELECT_ROWS."""

TYPES: Final[dict[str, type[Record]]] = {record_type.kind: record_type for record_type in RECORD_TYPES}

_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: Final = {record_type.kind: msgspec.msgpack.Decoder(record_type).decode for record_type in RECORD_TYPES}


class RowCodec:
    """Seals records into rows and opens them again.

    Args:
        keyring: has the keys of the rows and of the lookups.
    """

    __slots__ = ("_keyring",)

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def lookup(self, kind: str, words: tuple[str, ...]) -> bytes:
        """The value of the lookup column for these words.

        Raises:
            UnicodeEncodeError: a word contains a lone surrogate; no record does.
        """
        return self._keyring.mac(Purpose.LOOKUPS, kind.encode(), *(word.encode() for word in words))

    def owner(self, record_type: type[Record], owner: str | None) -> str | None:
        """The value of the owner column for an owner.

        Raises:
            UnicodeEncodeError: as `lookup`.
        """
        if owner is None or not record_type.hides_owner:
            return owner
        return self.lookup(record_type.kind, (owner,)).hex()

    def seal(self, record: Record, rev: int) -> Row:
        """Seal a record into its row at a revision."""
        words = record.lookup
        lookup = None if words is None else self.lookup(record.kind, words)
        owner = self.owner(type(record), record.owner_id)
        created_at, expires_at = record.created_at, record.expires_at
        sealed = seal(
            self._keyring.row_key(record.kind, record.id, rev),
            _encode(record),
            _encode((record.kind, record.id, lookup, owner, created_at, expires_at, rev)),
        )
        return record.id, lookup, owner, created_at, expires_at, rev, sealed

    def open(self, record_type: type[R], row: Row) -> R:
        """Open the record in a row.

        Raises:
            Unavailable: the row was changed, or belongs elsewhere (reason `damaged`).
        """
        kind = record_type.kind
        id_, lookup, owner, created_at, expires_at, rev, sealed = row
        try:
            record: R = _decoders[kind](  # type: ignore[assignment]  # the decoder of its own kind
                unseal(
                    self._keyring.row_key(kind, id_, rev),
                    sealed,
                    # msgpack encodes equal values of the same type identically, and None unlike any value.
                    _encode((kind, id_, lookup, owner, created_at, expires_at, rev)),
                )
            )
        except (SealBroken, msgspec.DecodeError, OverflowError) as error:
            raise damaged(kind, id_) from error
        return record


def sealed_bytes(record: Record) -> int:
    """The length of a record's `sealed` column in bytes."""
    return len(_encode(record)) + SEAL_BYTES


def damaged(kind: str, id: str) -> Unavailable:
    """The error for a row that does not open; logged, because the operator must act."""
    logger.error(
        "a stored row does not open: it was changed outside herod or by the disk", extra={"kind": kind, "id": id}
    )
    return Unavailable(
        f"A stored {kind} record is damaged and cannot be used: restore the store from a backup, "
        "or delete the record and create it again.",
        reason="damaged",
    )
