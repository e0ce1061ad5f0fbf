"""Exports accounts, keys and apps, encrypted, so that another herod can import them.

The export contains everything needed to authenticate the same users and apps elsewhere: password hashes as they are,
and the hashes of client secrets and API keys with the keys of these hashes. The plaintext exists in memory only.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec
import tomli_w

from herod.credentials.accounts_file_encryption import encrypt_users
from herod.credentials.imported_secret_hashes import OWN_KEY, ImportedHash, hash_key_id, parse_hash
from herod.credentials.keyring import Purpose
from herod.file_ownership import starting_uid
from herod.maintenance.accounts_file_field_checks import hash_text
from herod.maintenance.accounts_file_parser import FORMAT
from herod.maintenance.restore_reconciliation import offline_event
from herod.maintenance.store_file_and_owner import store_file
from herod.records import Account, ApiKey, App, HashKey
from herod.settings import Settings
from herod.store.sqlite.disk.database_files import StoreLock, prepare_file
from herod.store.sqlite.disk.open_database import OpenedFile, open_file
from herod.store.sqlite.offline_transaction import OfflineTransaction, transaction
from herod_client.core.errors import RuntimeFailure
from herod_client.core.scope_graph import canonical_scope

__all__ = ["Export", "export_accounts"]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an export.

    Attributes:
        content: the encrypted file.
    """

    store: str
    content: bytes
    accounts: int
    keys: int
    apps: int

    def __repr__(self) -> str:
        return f"Export({self.store!r}, {self.accounts} accounts, {self.keys} keys, {self.apps} apps)"


def export_accounts(settings: Settings, *, secret: str | None = None, now: int | None = None) -> Export:
    """Export all accounts, keys and apps as the content of one encrypted file; the caller writes it.

    Args:
        settings: the store and its secret.
        secret: encrypts the file; HERO_SECRET by default.
        now: Unix seconds.

    Raises:
        SettingsError: the store has no file, or was made with another secret.
        RuntimeFailure: a daemon is running, there is no store, it is damaged, or the disk fails.
    """
    now = int(time.time()) if now is None else now
    with ExitStack() as cleanup:
        path = cleanup.enter_context(store_file(settings))
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        if not path.exists():
            raise RuntimeFailure(f"there is no store {path}: choose another with --store")
        prepare_file(path)
        opened = open_file(path, settings.store_secret or settings.hero_secret)
        cleanup.callback(opened.connection.close)
        with transaction(opened) as tx:
            text, accounts, keys, apps = _write(tx, opened, now)
            tx.audit(offline_event("export", now=now, uid=starting_uid()))
        content = encrypt_users(text, secret or settings.hero_secret)
    return Export(store=str(path), content=content, accounts=accounts, keys=keys, apps=apps)


def _write(tx: OfflineTransaction, opened: OpenedFile, now: int) -> tuple[str, int, int, int]:
    own = opened.keyring.key(Purpose.KEY_HASHES)
    known = {record.id: record.key for record in tx.scan(HashKey)} | {OWN_KEY: own, hash_key_id(own): own}
    needed: dict[str, bytes] = {}
    accounts = sorted(tx.scan(Account), key=lambda one: (one.created_at, one.id))
    present = {account.id for account in accounts}
    keys = sorted(tx.scan(ApiKey), key=lambda one: (one.created_at, one.id))
    keys = [key for key in keys if key.owner is None or key.owner in present]
    users = [_row(account, known, needed) for account in accounts]
    # A key that no secret matches any more is left out, like a key without an owner.
    rows = [row for key in keys if "secret_hash" in (row := _row(key, known, needed))]
    # Whether an app has a secret is said apart from the hash: one that no secret matches is not a public one.
    apps = [
        _row(app, known, needed) | {"type": "confidential" if app.is_confidential else "public"}
        for app in sorted(tx.scan(App), key=lambda one: (one.created_at, one.id))
    ]
    text = tomli_w.dumps(
        {
            "format": FORMAT,
            "exported_at": _time(now),
            "hash_keys": [{"key": key.hex()} for key in needed.values()],
            "users": users,
            "keys": rows,
            "apps": apps,
        }
    )
    return text, len(users), len(rows), len(apps)


def _row(record: Account | ApiKey | App, known: Mapping[str, bytes], needed: dict[str, bytes]) -> dict[str, Any]:
    """A record's row in the file: its columns, except those without a value."""
    row: dict[str, Any] = {}
    for field, (column, _) in record.field_uses.items():
        value = getattr(record, field)
        if column is None or value is None:
            continue
        match field:
            case "scope":
                row[column] = canonical_scope(value)
            case "networks" | "redirect_uris" | "post_logout_uris" | "grants":
                row[column] = list(value)
            case "created_at" | "expires_at":
                row[column] = _time(value)
            case "secret_hash":
                if (text := _hash(value, known, needed)) is not None:
                    row[column] = text
            case _:
                row[column] = value
    return row


def _hash(stored: bytes, known: Mapping[str, bytes], needed: dict[str, bytes]) -> str | None:
    """The hash with the global id of the key it was made with; the key is added to `needed`."""
    carried = parse_hash(stored)
    key = None if carried is None else known.get(carried.key_id)
    if carried is None or key is None:  # no secret matches it here either
        return None
    name = hash_key_id(key)
    needed[name] = key
    return hash_text(ImportedHash(name, carried.mac, is_of_sha256=carried.is_of_sha256))


def _time(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
