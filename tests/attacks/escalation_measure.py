"""Whether somebody gained something: the whole store before and after, and what the caller may do before and after.

Counters and the audit log may change. A caller may change what is its own, an admin what its own grant covers, and
what is made may hold at most what its maker does. Everything else is an escalation.
"""

from collections.abc import Mapping
from typing import Any

from attacks.escalation_world import Caller, World
from herod.records import (
    Account,
    ApiKey,
    App,
    ClockRecord,
    Delegation,
    Deletion,
    GuessCount,
    LegacyUse,
    PeerRule,
    Record,
    Resource,
    ResourceTally,
    Revocation,
    Session,
    SessionEpoch,
)
from herod.store.store_interface import Writer
from herod_client.core.grants import Grant

__all__ = ["Records", "gained", "put_back", "rights"]

Records = Mapping[tuple[str, str], Record]

COUNTERS = (GuessCount, LegacyUse, ClockRecord, ResourceTally, Deletion)


def gained(world: World, caller: Caller, before: Records, after: Records) -> list[str]:
    """What changed that the caller had no right to change."""
    found = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new or isinstance(old or new, COUNTERS):
            continue
        why = _refused(world, caller, before, old, new)
        if why is not None:
            found.append(f"{why}: {key[0]} {key[1]}")
    return found


def _refused(world: World, caller: Caller, before: Records, old: Record | None, new: Record | None) -> str | None:
    """Why this change is an escalation; None if it is not."""
    if old is not None and not _may_change(world, caller, before, old):
        return "changed" if new is not None else "deleted"
    if new is None:
        return None
    if isinstance(new, Session | Revocation | SessionEpoch):
        subject = new.id if isinstance(new, SessionEpoch) else new.subject
        if " uid:" not in subject:  # a legacy secret's sessions of one address, which is another for each attempt
            subject = subject.partition(" ")[0]
        if isinstance(new, Revocation) and new.delegation is not None:  # an app may revoke its own tokens
            subject = new.delegation
        return None if subject in caller.owns or caller.is_admin else "made for another"
    if isinstance(new, Resource):
        return None if caller.may else "claimed by nobody"
    grant = _grant(world, new)
    return "made" if grant is None else _refused_grant(world, caller, old, new, grant)


def _refused_grant(world: World, caller: Caller, old: Record | None, new: Record, grant: Grant) -> str | None:
    """Why an account, key, rule or app is an escalation as it is now; None if it is not."""
    if old is not None and _grant(world, old) == grant and getattr(old, "enabled", True):
        return None  # renamed, or narrowed to the same
    if old is None and isinstance(new, Account) and new.registered:  # as everybody may, and with no more than that
        return None if grant == world.grant("read") else "registered with more"
    if not any(own.covers(grant) for own in caller.may):
        return "made with more than the maker has"
    if isinstance(new, ApiKey) and not caller.is_admin and new.owner not in caller.owns:
        return "made for another"
    if isinstance(new, Account) and not caller.is_admin and old is None:
        return "made without being admin"
    return "made without being admin" if isinstance(new, PeerRule | App) and not caller.is_admin else None


def _may_change(world: World, caller: Caller, before: Records, record: Record) -> bool:
    owner = getattr(record, "subject", None) if isinstance(record, Session | Revocation) else None
    if record.id in caller.owns or owner in caller.owns or (record.owner_id in caller.owns):
        return True
    if isinstance(record, Resource):
        return record.claimant in caller.owns
    held = _grant(world, record)
    if isinstance(record, Session | Delegation):
        maker = before.get(("account", record.owner_id or ""))
        held = None if maker is None else _grant(world, maker)
    if isinstance(record, ApiKey) and record.owner is not None and held is not None:
        owner_record = before.get(("account", record.owner))
        held = None if owner_record is None else held.intersect(_grant(world, owner_record) or held)
    return caller.is_admin and held is not None and any(own.covers(held) for own in caller.may)


def _grant(world: World, record: Any) -> Grant | None:
    """What an account, key or rule holds, or an app may be given, without its end."""
    if not isinstance(record, Account | ApiKey | PeerRule | App):
        return None
    return world.harness.runtime.grant(record.scope, record.networks)


async def rights(world: World, caller: Caller) -> Grant | None:
    """What `whoami` says that the caller may now; None if it is not let in."""
    answer = await world.harness.request("GET", "/api/v1/whoami", headers=caller.headers, source=caller.source)
    if answer.status != 200:
        return None
    who = answer.json["data"]
    return world.grant(who["scope"], *who["networks"])


async def put_back(world: World, saved: Records) -> None:
    """Make the store what it was, for the next attempt."""
    now = world.records()

    def write(tx: Writer) -> None:
        for key, record in now.items():
            if key not in saved:
                tx.delete(type(record), record.id)
        for key, record in saved.items():
            if now.get(key) != record:
                tx.put(record)

    await world.harness.store.write(write)
