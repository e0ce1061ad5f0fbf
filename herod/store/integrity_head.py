"""The head: one sealed row with the facts that must hold for the store as a whole, rewritten in each commit.

It records how far the change feed and the audit chain go, so that neither can lose its end unnoticed. An old head that
is put back together with the rows of its time cannot be distinguished from a restored backup.
"""

from typing import Final

import msgspec

from herod.credentials.keyring import Keyring
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.store.audit_chain import ChainEnd
from herod.store.store_interface import Cursor

__all__ = ["StoreHead", "open_head", "seal_head"]

# No record kind contains a dot, so this key seals nothing else.
_KIND: Final = "store.head"
_ASSOCIATED: Final = b"herod store head v1 "

MAX_ANCESTORS: Final = 32

_encode: Final = msgspec.msgpack.Encoder().encode


class StoreHead(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that must hold for the store as a whole.

    Attributes:
        generation: random id, new when the store is created or restored; part of each cursor.
        created_at: when the store was created.
        rev: the last assigned revision.
        floor: tombstones at or below this revision have been dropped.
        audit: the audit chain's end.
        anchor: the last row that retention has removed from the audit chain.
        counts: records by kind.
        ancestors: generation → its last revision that this store continues from, including those of a restored backup.
            Only the latest ones.
    """

    generation: str
    created_at: int
    rev: int = 0
    floor: int = 0
    audit: ChainEnd = ChainEnd()
    anchor: ChainEnd = ChainEnd()
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    ancestors: dict[str, int] = msgspec.field(default_factory=dict)

    def descends_from(self, other: "StoreHead") -> bool:
        """Whether this store continues from the state of the other one, which is of the same store."""
        if self.generation == other.generation:
            return self.rev >= other.rev
        if not self.ancestors:  # the generation was begun by a herod that did not record them
            return self.rev >= other.rev
        return self.ancestors.get(other.generation, -1) >= other.rev

    def begin(self, generation: str, *ancestors: "StoreHead") -> "StoreHead":
        """The head of a new generation that continues from `ancestors`, with revisions after theirs."""
        found: dict[str, int] = {}
        for head in ancestors:
            for name, rev in (*head.ancestors.items(), (head.generation, head.rev)):
                found[name] = max(rev, found.pop(name, 0))  # the latest are last
        kept = dict(list(found.items())[-MAX_ANCESTORS:])
        rev = max(self.rev, *(head.rev for head in ancestors))
        return msgspec.structs.replace(self, generation=generation, rev=rev, ancestors=kept)

    @property
    def cursor(self) -> Cursor:
        """The end of the change feed."""
        return Cursor(self.generation, self.rev)

    def count(self, kind: str, change: int) -> dict[str, int]:
        """The counts after `change` records of a kind were added or, if negative, removed."""
        return {**self.counts, kind: self.counts.get(kind, 0) + change}


_decode: Final = msgspec.msgpack.Decoder(StoreHead).decode


def seal_head(keyring: Keyring, head: StoreHead) -> bytes:
    """Seal a head, bound to its revision, which is stored beside it in clear text."""
    return seal(_key(keyring, head.rev), _encode(head), _associated(head.rev))


def open_head(keyring: Keyring, rev: int, sealed: bytes) -> StoreHead:
    """Open a head that `seal_head` sealed.

    Raises:
        SealBroken: it was changed.
    """
    if rev < 0:
        raise SealBroken("the revision of a head cannot be negative")
    return _decode(unseal(_key(keyring, rev), sealed, _associated(rev)))


def _key(keyring: Keyring, rev: int) -> bytes:
    return keyring.row_key(_KIND, "head", rev)


def _associated(rev: int) -> bytes:
    return _ASSOCIATED + rev.to_bytes(8, "big")
