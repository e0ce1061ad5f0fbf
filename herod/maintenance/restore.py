"""Replaces the store with a backup. It takes the store's lock first, and so fails while a daemon runs."""

import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import apsw
import msgspec

from herod.credentials.keyring import Purpose, renew_root, wrap_root
from herod.file_ownership import starting_uid
from herod.maintenance.restore_reconciliation import (
    DELETED_WHERE_MISSING,
    Present,
    Restored,
    carry_over,
    end_everything,
    offline_event,
)
from herod.maintenance.restore_second_factors import SECOND_FACTORS
from herod.maintenance.store_file_and_owner import store_file
from herod.records import RECORD_TYPES, Account, ApiKey, App, Deletion, HashKey, PeerRule, Revocation, SigningKeyRecord
from herod.settings import Settings
from herod.store.resource_tallies import recount
from herod.store.sqlite.backup_unpacking import open_backup, put_in_place, unpack
from herod.store.sqlite.disk.database_files import StoreLock, check_files, drop_leftovers, drop_temporary
from herod.store.sqlite.disk.disk_faults import describe
from herod.store.sqlite.disk.open_database import OpenedFile, open_file, put_wraps
from herod.store.sqlite.offline_transaction import check_all, readable, tidy, tombstones, transaction
from herod.store.store_interface import AuditVerdict
from herod_client.core.errors import RuntimeFailure, SettingsError, StartupError, Unavailable

__all__ = ["Restoration", "restore"]

TYPES = {record_type.kind: record_type for record_type in RECORD_TYPES}


class Restoration(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did.

    Attributes:
        store: the store's file.
        moved_to: where the former store is now, if there was one.
        unread: why nothing, or not everything, could be carried over from it, if so.
        is_salvaged: the former store is damaged, and its readable records were carried over.
        bad_audit: what is wrong with the backup's audit chain, if anything.
        accounts, keys: how many there are.
    """

    store: str
    moved_to: str | None
    unread: str | None
    is_salvaged: bool
    bad_audit: str | None
    accounts: int
    keys: int
    restored: Restored


def restore(settings: Settings, file: Path, *, backup_secret: str | None = None, now: int | None = None) -> Restoration:
    """Replace the store with a backup.

    Args:
        settings: the store, and the secret that will open it.
        file: the backup.
        backup_secret: the secret that the backup was made with, if it is not the store's secret.
        now: Unix seconds.

    Raises:
        SettingsError: the store has no file, or the backup or the store needs another secret.
        RuntimeFailure: a daemon is running, the backup is damaged, or the disk fails; the store is unchanged.
    """
    now = int(time.time()) if now is None else now
    secret = settings.store_secret or settings.hero_secret
    old_secret = backup_secret or secret
    with ExitStack() as cleanup:
        source = cleanup.enter_context(open_backup(file))
        path = cleanup.enter_context(store_file(settings))
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        check_files(path)
        drop_leftovers(path)
        temporary = unpack(source, old_secret, path)
        cleanup.callback(_drop_quietly, temporary)
        backup = open_file(temporary, old_secret)
        cleanup.callback(backup.connection.close)
        verdict = _check(backup, file)
        has_store = path.exists() and path.stat().st_size > 0
        present, unread = _open_present(path, dict.fromkeys((secret, old_secret))) if has_store else (None, None)
        if present is not None:
            cleanup.callback(present.connection.close)
        root = _fresh_root(backup, present, is_same_secret=old_secret == secret)
        with transaction(backup, root=root) as tx:
            known = None if present is None else _read_present(present, backup)
            restored = Restored() if known is None else carry_over(tx, known, TYPES)
            restored.sessions = end_everything(tx, () if known is None else known.holders)
            if present is not None:
                for kind, id_ in tombstones(present):
                    if kind in TYPES and tx.get(TYPES[kind], id_) is None:
                        tx.bury(kind, id_)
            recount(tx, now=now)
            generation = token_hex(8)
            tx.begin_generation(generation, backup.head, *(() if present is None else (present.head,)))
            put_wraps(backup.connection, wrap_root(root or backup.root, secret))
            tx.audit(offline_event("restore", now=now, uid=starting_uid(), target=generation))
            counts = tx.count(Account), tx.count(ApiKey)
        _close_whole(backup, present, root=root)
        aside = _aside(path, now) if has_store else None
        put_in_place(temporary, path, aside)
        return Restoration(
            store=str(path),
            moved_to=None if aside is None else str(aside),
            unread=unread,
            is_salvaged=unread is not None and present is not None,
            bad_audit=verdict.reason,
            accounts=counts[0],
            keys=counts[1],
            restored=restored,
        )


def _check(backup: OpenedFile, file: Path) -> AuditVerdict:
    try:
        return check_all(backup)
    except (Unavailable, apsw.Error) as error:
        why = error.message if isinstance(error, Unavailable) else describe(error)
        raise RuntimeFailure(
            f"the backup {file} contains a damaged store ({why}): nothing was changed; use another backup"
        ) from None


def _open_present(path: Path, secrets: Iterable[str]) -> tuple[OpenedFile | None, str | None]:
    """The store to be replaced, as far as it can be read, and why not all of it can.

    Raises:
        SettingsError: it is intact and none of the secrets opens it: its revocations would be lost unnoticed.
    """
    for secret in secrets:
        try:
            return open_file(path, secret), None
        except SettingsError:
            continue
        except RuntimeFailure as error:
            return _salvage(path, secret), str(error)
    raise SettingsError(
        f"the store {path}, which the backup will replace, needs another secret: give that one as HERO_SECRET "
        f"(or HEROD_STORE_SECRET), or, to restore without its revocations, move {path.name}, {path.name}-wal and "
        f"{path.name}-shm away first"
    )


def _salvage(path: Path, secret: str) -> OpenedFile | None:
    """Open a damaged store as far as possible: every readable revocation counts."""
    try:
        return open_file(path, secret, is_salvage=True)
    except StartupError:
        return None


def _fresh_root(backup: OpenedFile, present: OpenedFile | None, *, is_same_secret: bool) -> bytes | None:
    """A new root if a former secret may have revealed that of the backup; None if that one may be kept."""
    may_stay = is_same_secret if present is None else present.root == backup.root
    return None if may_stay else renew_root(backup.keyring)


def _read_present(present: OpenedFile, backup: OpenedFile) -> Present:
    # A renewed root keeps the key for hashes, and no two stores share one.
    is_same = present.keyring.key(Purpose.KEY_HASHES) == backup.keyring.key(Purpose.KEY_HASHES)
    found: dict[str, list[Any]] = {
        one.kind: list(readable(present, one)) for one in (*DELETED_WHERE_MISSING, *SECOND_FACTORS)
    }
    return Present(
        is_same=is_same,
        is_later=present.head.descends_from(backup.head),
        accounts={record.id: record for record in found[Account.kind]},
        keys={record.id: record for record in found[ApiKey.kind]},
        rules={record.id: record for record in found[PeerRule.kind]},
        apps={record.id: record for record in found[App.kind]},
        revocations=tuple(readable(present, Revocation)),
        signing=tuple(readable(present, SigningKeyRecord)),
        hash_keys=tuple(readable(present, HashKey)),
        deleted=tuple(tombstones(present)),
        deletions=tuple(readable(present, Deletion)),
        factors={one: {record.id: record for record in found[one.kind]} for one in SECOND_FACTORS},
        complete={
            kind: frozenset(record.id for record in records)
            for kind, records in found.items()
            if len(records) == present.head.counts.get(kind, 0)  # else an unreadable row would look deleted
        },
    )


def _close_whole(backup: OpenedFile, present: OpenedFile | None, *, root: bytes | None) -> None:
    """Write the logs back and close: each database is then one file, and no log can be replayed into another."""
    try:
        if root is not None:
            tidy(backup.connection)
        backup.connection.pragma("journal_mode", "delete")
        backup.connection.close()
        if present is not None:
            with suppress(apsw.BusyError, apsw.CorruptError):
                present.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            present.connection.close()
    except apsw.Error as error:
        raise RuntimeFailure(f"the store could not be written ({describe(error)}): nothing was changed") from error


def _aside(path: Path, now: int) -> Path:
    """An unused name for the former store."""
    stem = f"{path.name}.{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(stem), 1
    while aside.exists() or aside.is_symlink():
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    return aside


def _drop_quietly(temporary: Path) -> None:
    with suppress(OSError):
        drop_temporary(temporary)
