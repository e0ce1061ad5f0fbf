"""Carries over to a restored store what must survive from the one it replaces, so that revoked access stays revoked.

A backup is older than the store. These changes since are carried over: deletions, revocations, disabled accounts, keys
and apps, newer passwords and secrets, and signing keys. All former tokens and sessions end: epochs jump, sessions and
what people granted to apps are deleted. Whatever is undone by the restore, a narrower scope for example, is listed.

Deletions are known by their tombstones, which are dropped after some time, so they are not enough: in a store that has
continued since the backup and can be read completely, a missing record was deleted. By kind, in the replaced store:

    account, key, peer, app,
    resource                       missing there means deleted
    signing                        those there replace the backup's
    revocation, hash_key           those there are added; an extra one does no harm
    session, delegation,
    authorization_code,
    token_family, device_code,
    approval,
    challenge                      all end
    passkey, totp, recovery        those there replace the backup's (`restore_second_factors.py`)
    deletion                       those there are added, unless the account exists again: the daemon continues them
    resource_tally                 counted again
    guess, legacy_use              counters: the backup's are kept
    clock                          the backup's is kept: it is behind, so what expired is deleted later
    session_epoch                  the backup's are kept: no session needs them any more
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from secrets import randbits
from typing import Final, TypeVar

import msgspec

from herod.audit_event import AuditEvent
from herod.maintenance.restore_second_factors import Factors, carry_factors
from herod.records import (
    Account,
    ApiKey,
    App,
    Approval,
    AuthorizationCode,
    Delegation,
    Deletion,
    DeviceCode,
    HashKey,
    PeerRule,
    Record,
    Resource,
    Revocation,
    Session,
    SigningKeyRecord,
    TokenFamily,
    UsedChallenge,
)
from herod.store.store_interface import Writer

__all__ = ["Present", "Restored", "carry_over", "end_everything", "offline_event"]

R = TypeVar("R", Account, ApiKey, App)

# More changes than an account has between a backup and its restore. If the store is lost, the epochs since then are
# unknown, and no token with one of them may become valid again. A backup may also be restored twice, so the jump has a
# random part.
EPOCH_LEAP: Final = 1_000_000
EPOCH_LEAP_BITS: Final = 32
# Deleted by every restore: they were made with what has another epoch now.
ENDED: Final[tuple[type[Record], ...]] = (
    Session, Delegation, AuthorizationCode, TokenFamily, DeviceCode, Approval, UsedChallenge,
)  # fmt: skip
DELETED_WHERE_MISSING: Final[tuple[type[Record], ...]] = (Account, ApiKey, PeerRule, App, Resource)


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the store to be replaced.

    Attributes:
        is_same: whether the backup is of the same store.
        is_later: whether the store has continued since the backup was made. If an older backup was restored meanwhile,
            it has not, and the newest passwords and secrets are the backup's.
        complete: kind → the ids of all its records, for the kinds whose records could all be read.
    """

    is_same: bool
    is_later: bool
    accounts: Mapping[str, Account]
    keys: Mapping[str, ApiKey]
    rules: Mapping[str, PeerRule]
    apps: Mapping[str, App] = msgspec.field(default_factory=dict)
    revocations: tuple[Revocation, ...]
    signing: tuple[SigningKeyRecord, ...]
    hash_keys: tuple[HashKey, ...] = ()
    deleted: tuple[tuple[str, str], ...]
    deletions: tuple[Deletion, ...] = ()
    factors: Factors = msgspec.field(default_factory=dict)
    complete: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)

    @property
    def holders(self) -> tuple[Account | PeerRule | ApiKey, ...]:
        """All records with an epoch: tokens are made for them or with them."""
        return (*self.accounts.values(), *self.rules.values(), *self.keys.values())


class Restored(msgspec.Struct, kw_only=True):
    """What was carried over, and what the restore undoes.

    Attributes:
        deleted: records of the backup that were deleted since and stay deleted.
        disabled: accounts, keys and apps that stay disabled.
        revived: (kind, id, what the restore brings back).
    """

    sessions: int = 0
    revocations: int = 0
    deleted: list[tuple[str, str]] = msgspec.field(default_factory=list)
    disabled: list[tuple[str, str]] = msgspec.field(default_factory=list)
    revived: list[tuple[str, str, str]] = msgspec.field(default_factory=list)


def carry_over(tx: Writer, present: Present, types: Mapping[str, type[Record]]) -> Restored:
    """Carry over deletions, revocations and the like since the backup was made. `types` is kind → record type."""
    restored = Restored()
    for kind, id_ in present.deleted:
        record_type = types.get(kind)
        if record_type is None or record_type is SigningKeyRecord or not tx.delete(record_type, id_):
            continue
        if record_type not in ENDED and record_type is not Revocation:
            restored.deleted.append((kind, id_))
    for revocation in present.revocations:
        tx.put(revocation)
        restored.revocations += 1
    _carry_deletions(tx, present.deletions)
    if present.is_same and present.is_later:
        _delete_missing(tx, present, restored)
    if present.is_same:
        for hash_key in present.hash_keys:  # newer secrets may have been made with them
            tx.put(hash_key)
        _carry(tx, Account, present.accounts, partial(_newest_account, is_later=present.is_later), restored)
        _carry(tx, ApiKey, present.keys, partial(_newest_key, is_later=present.is_later), restored)
        _carry(tx, App, present.apps, partial(_newest_app, is_later=present.is_later), restored)
        _list_rules(tx, present.rules, restored)
        restored.deleted += carry_factors(tx, present.factors, present.complete, is_later=present.is_later)
        if present.is_later:
            _carry_signing(tx, present.signing)
    return restored


def end_everything(tx: Writer, present: Iterable[Account | PeerRule | ApiKey] = ()) -> int:
    """End all tokens by a jump of the epochs, all sessions and delegations; return the number of sessions."""
    known = {record.id: record.epoch for record in present}
    leap = EPOCH_LEAP + randbits(EPOCH_LEAP_BITS)
    holders: list[Account | PeerRule | ApiKey] = [*tx.scan(Account), *tx.scan(PeerRule), *tx.scan(ApiKey)]
    for holder in holders:
        epoch = max(holder.epoch, known.get(holder.id, 0)) + leap
        changes = {"former_epoch": epoch + 1} if isinstance(holder, ApiKey) else {}
        tx.put(msgspec.structs.replace(holder, epoch=epoch, **changes))
    sessions = tx.count(Session)
    for record_type in ENDED:
        for record in list(tx.scan(record_type)):
            tx.delete(record_type, record.id)
    return sessions


def offline_event(operation: str, *, now: int, uid: int, target: str | None = None) -> AuditEvent:
    """The audit event of an offline command."""
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
    """Delete what is missing from a store that has continued: its tombstone may have been dropped."""
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
    """Update the backup's records of a type; `newest` merges the backup's and the replaced store's record."""
    for old in list(tx.scan(record_type)):
        new = present.get(old.id)
        if new is None:
            restored.revived.append((old.kind, old.id, "exists again"))
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
        old,
        enabled=old.enabled and new.enabled,
        confirmed=old.confirmed if new.is_confirmed else False,  # what was taken back since stays so
        password=last.password,
        secret_hash=last.secret_hash,
        user_handle=new.user_handle or old.user_handle,
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


def _newest_app(old: App, new: App, *, is_later: bool) -> App:
    last = new if is_later else old
    return msgspec.structs.replace(old, enabled=old.enabled and new.enabled, secret_hash=last.secret_hash)


def _list_rules(tx: Writer, rules: Mapping[str, PeerRule], restored: Restored) -> None:
    for old in list(tx.scan(PeerRule)):
        new = rules.get(old.id)
        if new is None:
            restored.revived.append((old.kind, old.id, "exists again"))
        else:
            _note_grant(old, new, restored)


def _carry_deletions(tx: Writer, present: tuple[Deletion, ...]) -> None:
    """Carry over deletions that the daemon had not finished, so that it continues them."""
    for deletion in present:
        if tx.get(Account, deletion.id) is None:
            tx.put(deletion)


def _carry_signing(tx: Writer, present: tuple[SigningKeyRecord, ...]) -> None:
    """Carry over the signing keys, so that one that was retired or dropped since neither signs nor verifies again."""
    wanted = {record.id: record for record in present}
    for record in list(tx.scan(SigningKeyRecord)):
        if record.id not in wanted:
            tx.delete(SigningKeyRecord, record.id)
    for record in wanted.values():
        tx.put(record)


def _note_grant(
    old: Account | ApiKey | PeerRule | App, new: Account | ApiKey | PeerRule | App, restored: Restored
) -> None:
    if set(old.scope) != set(new.scope):
        restored.revived.append((old.kind, old.id, f"has scope {' '.join(old.scope)} again"))
    if set(old.networks) != set(new.networks):
        restored.revived.append((old.kind, old.id, f"has networks {' '.join(old.networks)} again"))
    if old.expires_at != new.expires_at:
        restored.revived.append((old.kind, old.id, "has its former expiry again"))
    if isinstance(old, App) and isinstance(new, App) and set(old.redirect_uris) != set(new.redirect_uris):
        restored.revived.append((old.kind, old.id, "has its former redirect URIs again"))
