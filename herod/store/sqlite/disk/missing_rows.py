"""Checks that all acknowledged data is in the store's file and can be found, which no single row can prove.

A changed row is detected when it is read (`sealed_rows.py`). A row that is missing, or missing from its index, is not;
and a revocation that is not found would let its token in. So before the daemon serves, the file is compared with the
sealed head's counts and with the mark beside the store. Nothing here changes anything.
"""

from typing import Final
from zlib import crc32

import apsw
import msgspec

from herod.records import Revocation
from herod.store.integrity_head import StoreHead

__all__ = ["Mark", "encode_mark", "find_loss", "find_missing", "mark_of", "parse_mark"]

_COUNTS: Final = "SELECT kind, count(*) FROM records GROUP BY kind"
# How many rows the primary key's index leads to, counting only rows whose columns equal those in the index.
_FOUND: Final = (
    "SELECT count(*) FROM records AS found INDEXED BY sqlite_autoindex_records_1 "
    "CROSS JOIN records AS stored ON stored.rowid = found.rowid "
    "WHERE found.kind = ? AND stored.kind = found.kind AND stored.id = found.id"
)


class Mark(msgspec.Struct, frozen=True):
    """How far a store had come when it last acknowledged a write; kept outside the database, in its lock file.

    SQLite treats the first damaged page of the log as its end, and ignores what came after it. The mark reveals that.
    It is written after the commit and never synced: after a power failure it may be behind the store, never ahead.
    """

    generation: str
    rev: int
    audit_seq: int


def mark_of(head: StoreHead) -> Mark:
    """The mark for a head."""
    return Mark(head.generation, head.rev, head.audit.seq)


def encode_mark(mark: Mark) -> bytes:
    """Encode a mark as one line with a checksum: a damaged mark must not look like a damaged store."""
    line = f"{mark.generation} {mark.rev} {mark.audit_seq}".encode()
    return b"%b %08x\n" % (line, crc32(line))


def parse_mark(line: bytes) -> Mark | None:
    """Parse a line of `encode_mark`; None if it is anything else."""
    line, _, checksum = line.rstrip(b"\n").rpartition(b" ")
    if checksum != b"%08x" % crc32(line):
        return None
    words = line.decode().split(" ")
    return Mark(words[0], int(words[1]), int(words[2])) if len(words) == 3 else None


def find_loss(mark: Mark | None, head: StoreHead) -> str | None:
    """Describe what is missing at the store's end; None if nothing is."""
    if mark is None or mark.generation != head.generation:  # no mark yet, or one of a former store
        return None
    if mark.rev <= head.rev and mark.audit_seq <= head.audit.seq:
        return None
    return (
        f"it is at revision {head.rev} and audit row {head.audit.seq}, but had acknowledged revision {mark.rev} and "
        f"audit row {mark.audit_seq}: its end was lost, or it was replaced with an older copy"
    )


def find_missing(connection: apsw.Connection, head: StoreHead) -> str | None:
    """Describe a kind with fewer or more records than the head records; None if all counts match.

    Raises:
        apsw.Error: the file cannot be read.
    """
    stored: dict[str, int] = dict(connection.execute(_COUNTS).fetchall())  # type: ignore[arg-type]  # as _COUNTS says
    for kind in sorted({*stored, *head.counts}):
        if stored.get(kind, 0) != head.counts.get(kind, 0):
            return (
                f"it has {stored.get(kind, 0)} records of kind {kind[:40]!r}, but should have "
                f"{head.counts.get(kind, 0)}"
            )
    ((found,),) = connection.execute(_FOUND, (Revocation.kind,)).fetchall()
    if found != head.counts.get(Revocation.kind, 0):
        return "revoked tokens cannot be found in it"
    return None
