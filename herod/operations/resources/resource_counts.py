"""Counts of resources by claimant and kind; never a name, an attribute or a secret.

Claimant and kind are in the sealed records, so the records are read, off the event loop and up to a limit.
"""

from collections import Counter
from itertools import islice
from typing import Final

import msgspec

from herod.pipeline.operation_definition import Context, NoParams, Surface, Time, query
from herod.pipeline.process.store_scan_cache import MAX_SURVEYED
from herod.pipeline.result_views import rfc3339
from herod.records import Resource
from herod.store.store_interface import Reader, Store
from herod_client.core.scope_graph import ADMIN

__all__ = ["resources_count"]

MAX_GROUPS: Final = 500

Group = tuple[str, str]


class ResourceGroup(msgspec.Struct, frozen=True, kw_only=True):
    """`count` resources of one kind, claimed by one principal; `newest_at` is when the last of them was claimed."""

    claimant: str
    kind: str
    count: int
    unprotected: int
    newest_at: Time | None


class ResourceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The largest groups first; `is_whole` is false if there are more resources or groups than were counted."""

    total: int
    groups: list[ResourceGroup]
    is_whole: bool


async def _count(store: Store, context: Context, params: NoParams) -> ResourceCounts:
    total = store.count(Resource)
    groups = await context.process.scans.find("resources", lambda: store.survey(_survey), rows=total, now=context.now)
    is_whole = total <= MAX_SURVEYED and len(groups) <= MAX_GROUPS
    return ResourceCounts(total=total, groups=groups[:MAX_GROUPS], is_whole=is_whole)


@query("resources.count", needs=ADMIN, example={}, surfaces=frozenset({Surface.DASHBOARD}), wait=_count)
def resources_count(reader: Reader, context: Context, params: NoParams) -> ResourceCounts:
    """Count resources by claimant and kind."""
    raise NotImplementedError  # `wait` answers


def _survey(reader: Reader) -> list[ResourceGroup]:
    counts: Counter[Group] = Counter()
    unprotected: Counter[Group] = Counter()
    newest: dict[Group, int] = {}
    for resource in islice(reader.scan(Resource), MAX_SURVEYED):
        group = resource.claimant, resource.type
        counts[group] += 1
        unprotected[group] += not resource.secret
        newest[group] = max(newest.get(group, 0), resource.created_at)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        ResourceGroup(
            claimant=group[0],
            kind=group[1],
            count=count,
            unprotected=unprotected[group],
            newest_at=rfc3339(newest[group]),
        )
        for group, count in ordered[: MAX_GROUPS + 1]
    ]
