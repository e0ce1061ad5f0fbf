"""Whether all that was acknowledged is in a store's file, and can be found: what no single row can prove.

A row that was changed refuses itself when it is read (`sealed_rows.py`). A row that is not there, or that its index
does not lead to, says nothing; and a revocation that is not found would let its token in. So before the daemon answers
anyone, the sealed head's counts and the mark beside the store are held against the file. Nothing here changes anything.
"""

from typing import Final
from zlib import crc32

import apsw
import msgspec

from herod.records import Revocation
from herod.store.integrity_head import StoreHead

__all__ = ["Mark", "encode_mark", "find_loss", "find_missing", "mark_of", "parse_mark"]

_COUNTS: Final = "SELECT kind, count(*) FROM records GROUP BY kind"
# How many the primary key's index leads to, by the very words that it was asked for.
_FOUND: Final = (
    "SELECT count(*) FROM records AS found INDEXED BY sqlite_autoindex_records_1 "
    "CROSS JOIN records AS stored ON stored.rowid = found.rowid "
    "WHERE found.kind = ? AND stored.kind = found.kind AND stored.id = found.id"
)


class Mark(msgspec.Struct, frozen=True):
    """How far a store had come when it last acknowledged something; kept outside the database, in its lock file.

    SQLite takes the log's first damaged page for its end, and forgets what came after it. The mark remembers. It is
    written after the commit and never synced: after a power cut it may be behind the store, never ahead of it.
    """

    generation: str
    rev: int
    audit_seq: int


def mark_of(head: StoreHead) -> Mark:
    """The mark that goes with a head."""
    return Mark(head.generation, head.rev, head.audit.seq)


def encode_mark(mark: Mark) -> bytes:
    """One line, with a checksum: a damaged mark must not look like a damaged store."""
    line = f"{mark.generation} {mark.rev} {mark.audit_seq}".encode()
    return b"%b %08x\n" % (line, crc32(line))


def parse_mark(line: bytes) -> Mark | None:
    """Read what `encode_mark` wrote; None when it is anything else."""
    line, _, checksum = line.rstrip(b"\n").rpartition(b" ")
    if checksum != b"%08x" % crc32(line):
        return None
    words = line.decode().split(" ")
    return Mark(words[0], int(words[1]), int(words[2])) if len(words) == 3 else None


def find_loss(mark: Mark | None, head: StoreHead) -> str | None:
    """What is missing at the store's end, in words."""
    if mark is None or mark.generation != head.generation:  # none yet, or that of a store before this one
        return None
    if mark.rev <= head.rev and mark.audit_seq <= head.audit.seq:
        return None
    return (
        f"it is at revision {head.rev} and audit row {head.audit.seq}, and had acknowledged revision {mark.rev} and "
        f"audit row {mark.audit_seq}: its end was lost, or an older copy was put in its place"
    )


def find_missing(connection: apsw.Connection, head: StoreHead) -> str | None:
    """Which records are fewer, or more, than the head says, in words.

    Raises:
        apsw.Error: the file cannot be read.
    """
    stored: dict[str, int] = dict(connection.execute(_COUNTS).fetchall())  # type: ignore[arg-type]  # as _COUNTS says
    for kind in sorted({*stored, *head.counts}):
        if stored.get(kind, 0) != head.counts.get(kind, 0):
            return (
                f"it holds {stored.get(kind, 0)} records of kind {kind[:40]!r}, and should hold "
                f"{head.counts.get(kind, 0)}"
            )
    ((found,),) = connection.execute(_FOUND, (Revocation.kind,)).fetchall()
    if found != head.counts.get(Revocation.kind, 0):
        return "revoked tokens cannot be found in it"
    return None
