"""How many resources each claimant has, counted as they are claimed and released.

Everything that puts or deletes a resource calls this in the same transaction, or `recount` at its end.
"""

from collections import Counter

import msgspec

from herod.records import Resource, ResourceTally
from herod.store.store_interface import Reader, Writer

__all__ = ["count_in", "count_out", "recount", "tally_of"]


def tally_of(reader: Reader, claimant: str) -> int:
    """The number of a claimant's resources."""
    tally = reader.get(ResourceTally, claimant)
    return 0 if tally is None else tally.number


def count_in(tx: Writer, resource: Resource) -> Resource:
    """Count a resource that is about to be put, unless it is counted; return it as counted."""
    if resource.counted:
        return resource
    _put(tx, resource.claimant, tally_of(tx, resource.claimant) + 1, now=resource.created_at)
    return msgspec.structs.replace(resource, counted=True)


def count_out(tx: Writer, resource: Resource) -> None:
    """Uncount a resource that is about to be deleted."""
    if resource.counted:
        _put(tx, resource.claimant, tally_of(tx, resource.claimant) - 1, now=resource.created_at)


def recount(tx: Writer, *, now: int) -> None:
    """Count all resources again, after many were changed. Reads all of them: for offline commands."""
    counts = Counter(resource.claimant for resource in tx.scan(Resource) if resource.counted)
    for tally in list(tx.scan(ResourceTally)):
        if tally.id not in counts:
            tx.delete(ResourceTally, tally.id)
    for claimant, number in counts.items():
        _put(tx, claimant, number, now=now)


def _put(tx: Writer, claimant: str, number: int, *, now: int) -> None:
    if number > 0:
        known = tx.get(ResourceTally, claimant)
        created_at = now if known is None else known.created_at
        tx.put(ResourceTally(id=claimant, created_at=created_at, number=number))
    else:
        tx.delete(ResourceTally, claimant)
