"""Records as rows: each sealed under a key of its own, bound to the columns that stand beside it in the clear.

A row that was edited, or moved to another id or revision, does not open; what does not open is never served, not even
in part. What a row says in the clear finds it and decides nothing.
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
"""What SELECT_ROWS gives."""

TYPES: Final[dict[str, type[Record]]] = {record_type.kind: record_type for record_type in RECORD_TYPES}

_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: Final = {record_type.kind: msgspec.msgpack.Decoder(record_type).decode for record_type in RECORD_TYPES}


class RowCodec:
    """Seals records into rows and opens them again.

    Args:
        keyring: gives the key of each row and of the lookups.
    """

    __slots__ = ("_keyring",)

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def lookup(self, kind: str, words: tuple[str, ...]) -> bytes:
        """What the lookup column holds for these words.

        Raises:
            UnicodeEncodeError: a word holds a lone surrogate; no record does.
        """
        return self._keyring.mac(Purpose.LOOKUPS, kind.encode(), *(word.encode() for word in words))

    def owner(self, record_type: type[Record], owner: str | None) -> str | None:
        """What the owner column holds for an owner.

        Raises:
            UnicodeEncodeError: as `lookup`.
        """
        if owner is None or not record_type.hides_owner:
            return owner
        return self.lookup(record_type.kind, (owner,)).hex()

    def seal(self, record: Record, rev: int) -> Row:
        """The row of a record at a revision."""
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
        """The record that a row holds.

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
                    # msgpack writes equal values of equal types alike, and None unlike any value.
                    _encode((kind, id_, lookup, owner, created_at, expires_at, rev)),
                )
            )
        except (SealBroken, msgspec.DecodeError, OverflowError) as error:
            raise damaged(kind, id_) from error
        return record


def sealed_bytes(record: Record) -> int:
    """How many bytes a record's row holds sealed."""
    return len(_encode(record)) + SEAL_BYTES


def damaged(kind: str, id: str) -> Unavailable:
    """The refusal of a row that does not open; logged, for somebody has to act."""
    logger.error(
        "a stored row does not open: it was changed outside herod, or the disk did", extra={"kind": kind, "id": id}
    )
    return Unavailable(
        f"A stored {kind} record is damaged and cannot be used: restore the store from a backup, "
        "or delete the record and make it anew.",
        reason="damaged",
    )
