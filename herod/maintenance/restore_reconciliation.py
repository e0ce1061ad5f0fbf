"""What a restored store takes from the one it replaces: nothing that was taken back since lives again.

A backup is the past. What must not be the past is carried forward: deletions, revocations, switched-off accounts and
keys, newer passwords and secrets, and signing keys. Every token and session of before ends: epochs leap, sessions go.
What does live again, a wider scope for example, is listed.

Deletions are known by their tombstones, which are forgotten after some time, so those alone are not trusted: in a
store that has gone on since the backup and can be read whole, what is missing was deleted. By kind:

    account, key, peer, resource   missing there means deleted
    signing                        those that are there replace the backup's
    revocation, hash_key           those that are there are added; one too many takes nothing back
    session                        all end
    guess, legacy_use              counts, as they were
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from secrets import randbits
from typing import Final, TypeVar

import msgspec

from herod.records import (
    Account,
    ApiKey,
    AuditEvent,
    HashKey,
    PeerRule,
    Record,
    Resource,
    Revocation,
    Session,
    SigningKeyRecord,
)
from herod.store.store_interface import Writer

__all__ = ["Present", "Restored", "carry_over", "end_everything", "offline_event"]

R = TypeVar("R", Account, ApiKey)

# More changes than an account sees between a backup and its restore. Where the store is lost nobody knows the epochs
# of since then, and a token of one of them must not fit again; nor, since a backup may be restored twice, one of those
# after the first time: so the leap is random besides.
EPOCH_LEAP: Final = 1_000_000
EPOCH_LEAP_BITS: Final = 32
DELETED_WHERE_MISSING: Final[tuple[type[Record], ...]] = (Account, ApiKey, PeerRule, Resource)


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """What the store that is replaced knows.

    Attributes:
        is_same: whether the backup is another state of it, and not another store's.
        is_later: whether it has gone on since the backup was made. A backup of before it may have taken its place
            meanwhile: then the newest passwords and secrets are those of the backup.
        complete: kind → the ids of all its records, for the kinds of which every record could be read.
    """

    is_same: bool
    is_later: bool
    accounts: Mapping[str, Account]
    keys: Mapping[str, ApiKey]
    rules: Mapping[str, PeerRule]
    revocations: tuple[Revocation, ...]
    signing: tuple[SigningKeyRecord, ...]
    hash_keys: tuple[HashKey, ...] = ()
    deleted: tuple[tuple[str, str], ...]
    complete: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)

    @property
    def holders(self) -> tuple[Account | PeerRule | ApiKey, ...]:
        """Whom tokens are made for, and with what."""
        return (*self.accounts.values(), *self.rules.values(), *self.keys.values())


class Restored(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        deleted: what the backup holds and was deleted since: it stays deleted.
        disabled: accounts and keys that stay switched off.
        revived: (kind, id, what lives again).
    """

    sessions: int = 0
    revocations: int = 0
    deleted: list[tuple[str, str]] = msgspec.field(default_factory=list)
    disabled: list[tuple[str, str]] = msgspec.field(default_factory=list)
    revived: list[tuple[str, str, str]] = msgspec.field(default_factory=list)


def carry_over(tx: Writer, present: Present, types: Mapping[str, type[Record]]) -> Restored:
    """Take over what was taken back since the backup was made. `types` is kind → record type."""
    restored = Restored()
    for kind, id_ in present.deleted:
        record_type = types.get(kind)
        if record_type is None or record_type is SigningKeyRecord or not tx.delete(record_type, id_):
            continue
        if record_type is not Session and record_type is not Revocation:
            restored.deleted.append((kind, id_))
    for revocation in present.revocations:
        tx.put(revocation)
        restored.revocations += 1
    if present.is_same and present.is_later:
        _delete_missing(tx, present, restored)
    if present.is_same:
        for hash_key in present.hash_keys:  # newer secrets may have been made with them
            tx.put(hash_key)
        _carry(tx, Account, present.accounts, partial(_newest_account, is_later=present.is_later), restored)
        _carry(tx, ApiKey, present.keys, partial(_newest_key, is_later=present.is_later), restored)
        _list_rules(tx, present.rules, restored)
        if present.is_later:
            _carry_signing(tx, present.signing)
    return restored


def end_everything(tx: Writer, present: Iterable[Account | PeerRule | ApiKey] = ()) -> int:
    """End all tokens by a leap of the epochs they name, and all sessions; how many sessions there were."""
    known = {record.id: record.epoch for record in present}
    leap = EPOCH_LEAP + randbits(EPOCH_LEAP_BITS)
    holders: list[Account | PeerRule | ApiKey] = [*tx.scan(Account), *tx.scan(PeerRule), *tx.scan(ApiKey)]
    for holder in holders:
        epoch = max(holder.epoch, known.get(holder.id, 0)) + leap
        changes = {"former_epoch": epoch + 1} if isinstance(holder, ApiKey) else {}
        tx.put(msgspec.structs.replace(holder, epoch=epoch, **changes))
    sessions = list(tx.scan(Session))
    for session in sessions:
        tx.delete(Session, session.id)
    return len(sessions)


def offline_event(operation: str, *, now: int, uid: int, target: str | None = None) -> AuditEvent:
    """What the audit log says of a command that ran under the store's lock."""
    return AuditEvent(
        at=now,
        actor="offline",
        method="none",
        source=f"uid:{uid}",
        operation=operation,
        outcome="ok",
        target=target,
        by_admin=True,
    )


def _delete_missing(tx: Writer, present: Present, restored: Restored) -> None:
    """Delete what is missing from a store that has gone on: its tombstone may be forgotten."""
    for record_type in DELETED_WHERE_MISSING:
        complete = present.complete.get(record_type.kind)
        if complete is None:
            continue
        for old in list(tx.scan(record_type)):
            if old.id not in complete:
                tx.delete(record_type, old.id)
                restored.deleted.append((old.kind, old.id))


def _carry(
    tx: Writer,
    record_type: type[R],
    present: Mapping[str, R],
    newest: Callable[[R, R], R],
    restored: Restored,
) -> None:
    """Bring the backup's records of a type up to date, as `newest` makes one of the backup's and the present's."""
    for old in list(tx.scan(record_type)):
        new = present.get(old.id)
        if new is None:
            restored.revived.append((old.kind, old.id, "is there again"))
            continue
        kept = newest(old, new)
        if old.enabled and not kept.enabled:
            restored.disabled.append((old.kind, old.id))
        _note_grant(old, new, restored)
        if kept != old:
            tx.put(kept)


def _newest_account(old: Account, new: Account, *, is_later: bool) -> Account:
    last = new if is_later else old
    return msgspec.structs.replace(
        old, enabled=old.enabled and new.enabled, password=last.password, secret_hash=last.secret_hash
    )


def _newest_key(old: ApiKey, new: ApiKey, *, is_later: bool) -> ApiKey:
    last = new if is_later else old
    return msgspec.structs.replace(
        old,
        enabled=old.enabled and new.enabled,
        secret_hash=last.secret_hash,
        former_hash=last.former_hash,
        former_until=last.former_until,
        rotated_at=last.rotated_at,
    )


def _list_rules(tx: Writer, rules: Mapping[str, PeerRule], restored: Restored) -> None:
    for old in list(tx.scan(PeerRule)):
        new = rules.get(old.id)
        if new is None:
            restored.revived.append((old.kind, old.id, "is there again"))
        else:
            _note_grant(old, new, restored)


def _carry_signing(tx: Writer, present: tuple[SigningKeyRecord, ...]) -> None:
    """A key that was retired or dropped since neither signs nor verifies again."""
    wanted = {record.id: record for record in present}
    for record in list(tx.scan(SigningKeyRecord)):
        if record.id not in wanted:
            tx.delete(SigningKeyRecord, record.id)
    for record in wanted.values():
        tx.put(record)


def _note_grant(old: Account | ApiKey | PeerRule, new: Account | ApiKey | PeerRule, restored: Restored) -> None:
    if set(old.scope) != set(new.scope):
        restored.revived.append((old.kind, old.id, f"has scope {' '.join(old.scope)} again"))
    if set(old.networks) != set(new.networks):
        restored.revived.append((old.kind, old.id, f"has networks {' '.join(old.networks)} again"))
    if old.expires_at != new.expires_at:
        restored.revived.append((old.kind, old.id, "ends when it did then"))
