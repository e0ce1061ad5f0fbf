"""The head: one sealed row with what must be right about the store as a whole, rewritten in each commit.

It says how far the change feed and the audit chain go, so that neither can lose its end unnoticed. An old head put
back together with the rows of its time cannot be told from a restored backup.
"""

from typing import Final

import msgspec

from herod.credentials.keyring import Keyring
from herod.credentials.sealing import SealBroken, seal, unseal
from herod.store.audit_chain import ChainEnd
from herod.store.store_interface import Cursor

__all__ = ["StoreHead", "open_head", "seal_head"]

# No record kind has a dot, so this key seals nothing else.
_KIND: Final = "store.head"
_ASSOCIATED: Final = b"herod store head v1 "

MAX_ANCESTORS: Final = 32

_encode: Final = msgspec.msgpack.Encoder().encode


class StoreHead(msgspec.Struct, frozen=True, kw_only=True):
    """What must be right about the store as a whole.

    Attributes:
        generation: random id, new when the store is made or restored; part of each cursor.
        created_at: when the store was made.
        rev: the last revision given out.
        floor: no tombstone at or below this revision is kept any more.
        audit: the audit chain's end.
        anchor: the end of what retention has removed from the audit chain.
        counts: records by kind.
        ancestors: generation → how far it had come when this store took over from it, a restored backup among them:
            what was done there until then is accounted for here. The latest ones.
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
        """Whether this store has gone on from where the other one, of the same line, stands."""
        if self.generation == other.generation:
            return self.rev >= other.rev
        if not self.ancestors:  # begun by a herod that did not note them
            return self.rev >= other.rev
        return self.ancestors.get(other.generation, -1) >= other.rev

    def begin(self, generation: str, *ancestors: "StoreHead") -> "StoreHead":
        """The head of a new generation that accounts for all that was done under these; revisions go on from theirs."""
        found: dict[str, int] = {}
        for head in ancestors:
            for name, rev in (*head.ancestors.items(), (head.generation, head.rev)):
                found[name] = max(rev, found.pop(name, 0))  # the latest stand last
        kept = dict(list(found.items())[-MAX_ANCESTORS:])
        rev = max(self.rev, *(head.rev for head in ancestors))
        return msgspec.structs.replace(self, generation=generation, rev=rev, ancestors=kept)

    @property
    def cursor(self) -> Cursor:
        """The end of the change feed."""
        return Cursor(self.generation, self.rev)

    def count(self, kind: str, change: int) -> dict[str, int]:
        """The counts after `change` records of a kind were added or, below zero, removed."""
        return {**self.counts, kind: self.counts.get(kind, 0) + change}


_decode: Final = msgspec.msgpack.Decoder(StoreHead).decode


def seal_head(keyring: Keyring, head: StoreHead) -> bytes:
    """Seal a head, bound to its revision, which stands beside it."""
    return seal(_key(keyring, head.rev), _encode(head), _associated(head.rev))


def open_head(keyring: Keyring, rev: int, sealed: bytes) -> StoreHead:
    """Open what `seal_head` made.

    Raises:
        SealBroken: it was changed.
    """
    if rev < 0:
        raise SealBroken("a head has no such revision")
    return _decode(unseal(_key(keyring, rev), sealed, _associated(rev)))


def _key(keyring: Keyring, rev: int) -> bytes:
    return keyring.row_key(_KIND, "head", rev)


def _associated(rev: int) -> bytes:
    return _ASSOCIATED + rev.to_bytes(8, "big")
