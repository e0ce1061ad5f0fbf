"""Imports accounts, keys and apps from `herod export`, or Hero Auth's users, in one transaction: all or nothing.

Existing records are never overwritten: they make the import fail or, on request, are skipped and listed.
"""

import secrets
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from herod.credentials.accounts_file_encryption import decrypt_users
from herod.credentials.imported_secret_hashes import (
    NO_HASH,
    OWN_KEY,
    ImportedHash,
    hash_key_id,
    import_sha256,
    pack_hash,
)
from herod.credentials.keyring import Keyring, Purpose
from herod.credentials.passwords import wrap_hero_auth_hash
from herod.credentials.sealing import SealBroken
from herod.credentials.secret_hashes import hash_secret
from herod.credentials.secret_normal_form import normal_secret
from herod.file_ownership import starting_uid
from herod.identity.apps.app_credentials import APP_SECRET
from herod.input_files import read_input
from herod.input_text import is_text
from herod.maintenance.accounts_file_apps import AppEntry
from herod.maintenance.accounts_file_field_checks import SecretEntry
from herod.maintenance.accounts_file_parser import AccountEntry, Entries, KeyEntry, parse_entries
from herod.maintenance.restore_reconciliation import offline_event
from herod.maintenance.store_file_and_owner import store_file
from herod.pipeline.parameters.email_addresses import find_by_email, has_email
from herod.records import Account, ApiKey, App, HashKey, PeerRule
from herod.settings import Settings
from herod.store.owned_records import finish_deletions_in
from herod.store.sqlite.disk.database_files import StoreLock, prepare_file
from herod.store.sqlite.disk.open_database import make_file, open_file
from herod.store.sqlite.offline_transaction import tombstones, transaction
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import RuntimeFailure, SettingsError
from herod_client.core.key_format import new_id
from herod_client.core.scope_graph import ADMIN, ScopeGraph

__all__ = ["Import", "import_accounts"]

MAX_BYTES: Final = 32 * 1024 * 1024
# Random, so that no token of another store, or of a former account, fits; epochs of new accounts begin at 1.
EPOCHS: Final = range(2**32, 2**48)
MAX_SHOWN: Final = 20


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do.

    Attributes:
        is_new: there was no store; one was created.
        accounts, keys, apps: ids of the imported records.
        skipped: (kind, id or email, reason).
        admins: (kind, id, name) of imported records with scope admin.
        revived: (kind, id, name) of imported records that were deleted from this store, with the same id.
        without_secret: accounts and apps whose client secret could not be imported: they need a new one.
        unknown_scopes: (kind, id, names) that grant nothing until the settings define them.
        unknown_networks: (kind, id, names) that the settings do not list.
        unread: unknown fields of the file, which were left out.
    """

    store: str
    is_new: bool = False
    is_dry_run: bool = False
    accounts: list[str] = msgspec.field(default_factory=list)
    keys: list[str] = msgspec.field(default_factory=list)
    apps: list[str] = msgspec.field(default_factory=list)
    skipped: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    admins: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    revived: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    without_secret: list[tuple[str, str]] = msgspec.field(default_factory=list)
    unknown_scopes: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    unknown_networks: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    unread: tuple[str, ...] = ()


class _DryRunOver(Exception):
    """Rolls the transaction of a dry run back."""


def import_accounts(
    settings: Settings,
    file: Path,
    *,
    secret: str | None = None,
    skip_existing: bool = False,
    dry_run: bool = False,
    now: int | None = None,
) -> Import:
    """Import the accounts and keys of an encrypted file into the store; create the store if there is none.

    Args:
        settings: the store and its secret; scopes and networks as the daemon will have them.
        file: encrypted in the format of Hero Auth.
        secret: decrypts the file; HERO_SECRET by default.
        skip_existing: skip records that exist already, instead of refusing the import.
        dry_run: only report what would be done.
        now: Unix seconds.

    Raises:
        SettingsError: the store has no file, or the store or the file was made with another secret.
        RuntimeFailure: a daemon is running, the file cannot be read or has entries that may not be stored, a record
            exists already, or the disk fails. Nothing was changed.
    """
    now = int(time.time()) if now is None else now
    graph = ScopeGraph(settings.scopes)
    entries = parse_entries(_decrypt(file, secret or settings.hero_secret), graph, now=now)
    store_secret = settings.store_secret or settings.hero_secret
    with ExitStack() as cleanup:
        path = cleanup.enter_context(store_file(settings))
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        is_new = not path.exists() or path.stat().st_size == 0
        done = Import(store=str(path), is_new=is_new, is_dry_run=dry_run, unread=entries.unread)
        plan = _Plan(settings, graph, entries, done, now=now)
        if is_new and dry_run:
            plan.make(None, skip_existing=skip_existing)
            return done
        if is_new:
            make_file(path, store_secret, now=now)
        else:
            prepare_file(path)
        opened = open_file(path, store_secret)
        cleanup.callback(opened.connection.close)
        plan.deleted = frozenset(tombstones(opened))
        with suppress(_DryRunOver), transaction(opened) as tx:
            finish_deletions_in(tx)  # what a deleted account owned must not become that of an imported one
            plan.make(tx, skip_existing=skip_existing)
            if dry_run:
                raise _DryRunOver
            _put(tx, plan, opened.keyring, now)
    return done


class _Plan:
    """Decides which entries to import and which to skip.

    Attributes:
        accounts, keys, apps: each entry with the id it gets.
        deleted: (kind, id) of records that were deleted from the store.
    """

    def __init__(self, settings: Settings, graph: ScopeGraph, entries: Entries, done: Import, *, now: int) -> None:
        self._networks = settings.networks
        self._graph = graph
        self._now = now
        self.entries = entries
        self.deleted: frozenset[tuple[str, str]] = frozenset()
        self.done = done
        self.accounts: list[tuple[str, AccountEntry]] = []
        self.keys: list[KeyEntry] = []
        self.apps: list[AppEntry] = []

    def make(self, reader: Reader | None, *, skip_existing: bool) -> None:
        """Compare each entry with the store; `reader` is None for an empty one.

        Raises:
            RuntimeFailure: a record exists already and may not be skipped.
        """
        strangers: set[str] = set()  # ids in the file that are, or may be, another account in the store
        for entry in self.entries.accounts:
            why = None if reader is None else _account_conflict(reader, entry)
            if why is None:
                self._take_account(entry)
                continue
            self.done.skipped.append(("account", entry.id or entry.email or entry.name, why))
            if entry.id is not None and reader is not None and not _is_same(reader, entry):
                strangers.add(entry.id)
        for key in self.entries.keys:
            why = "its owner's client_id is another account in the store" if key.owner in strangers else None
            if why is None and reader is not None:
                why = _key_conflict(reader, key, self._now)
            if why is None:
                self._take_key(key)
            else:
                self.done.skipped.append(("key", key.id, why))
        for app in self.entries.apps:
            why = None if reader is None else _app_conflict(reader, app.app)
            if why is None:
                self._take_app(app)
            else:
                self.done.skipped.append(("app", app.app.id, why))
        if self.done.skipped and not skip_existing:
            skipped = self.done.skipped
            shown = "; ".join(f"{kind} {label} ({why})" for kind, label, why in skipped[:MAX_SHOWN])
            tail = f"; and {len(skipped) - MAX_SHOWN} more" if len(skipped) > MAX_SHOWN else ""
            raise RuntimeFailure(
                f"nothing was changed: some records exist already: {shown}{tail}: check whether they are the same, and "
                "skip them with --skip-existing"
            )

    def _take_account(self, entry: AccountEntry) -> None:
        id_ = entry.id or new_id()
        self.accounts.append((id_, entry))
        self.done.accounts.append(id_)
        if not entry.secret:
            self.done.without_secret.append(("account", id_))
        self._note("account", id_, entry.email or entry.name, entry, unknown=entry.unknown)

    def _take_key(self, key: KeyEntry) -> None:
        self.keys.append(key)
        self.done.keys.append(key.id)
        self._note("key", key.id, key.name, key, unknown=key.unknown)

    def _take_app(self, entry: AppEntry) -> None:
        app = entry.app
        self.apps.append(entry)
        self.done.apps.append(app.id)
        if app.is_confidential and not entry.secret:
            self.done.without_secret.append(("app", app.id))
        self._note("app", app.id, app.name, app, unknown=entry.unknown)

    def _note(
        self,
        kind: str,
        id_: str,
        name: str,
        entry: AccountEntry | KeyEntry | App,
        *,
        unknown: tuple[str, ...],
    ) -> None:
        if self._graph.mask(entry.scope) & self._graph.bit(ADMIN):
            self.done.admins.append((kind, id_, name))
        if (kind, id_) in self.deleted:
            self.done.revived.append((kind, id_, name))
        if unknown:
            self.done.unknown_scopes.append((kind, id_, " ".join(unknown)))
        if "*" not in self._networks and (networks := set(entry.networks) - self._networks - {"*"}):
            self.done.unknown_networks.append((kind, id_, " ".join(sorted(networks))))


def _account_conflict(reader: Reader, entry: AccountEntry) -> str | None:
    """Why an account conflicts with the store; None if it does not."""
    if entry.id is not None:
        if reader.get(Account, entry.id) is not None:
            return "its client_id exists already"
        if reader.get(ApiKey, entry.id) is not None or reader.get(PeerRule, entry.id) is not None:
            return "its client_id is the id of a key or rule"
    if entry.email is not None and (found := find_by_email(reader, entry.email)) is not None:
        return f"account {found.id} has its email"
    return None


def _is_same(reader: Reader, entry: AccountEntry) -> bool:
    """Whether the stored account of that id also has the email of the entry."""
    account = None if entry.id is None else reader.get(Account, entry.id)
    if account is None or entry.email is None:
        return account is not None and account.email is None
    return has_email(account, entry.email)


def _key_conflict(reader: Reader, key: KeyEntry, now: int) -> str | None:
    """Why a key conflicts with the store; None if it does not."""
    if reader.get(ApiKey, key.id) is not None:
        return "its id exists already"
    if reader.get(Account, key.id) is not None or reader.get(PeerRule, key.id) is not None:
        return "its id is the id of an account or rule"
    found = [one for one in reader.find(ApiKey, "name", key.owner or "", key.name) if not one.has_ended(now)]
    if found and not key.has_ended(now):
        return f"key {found[0].id} has its name"
    return None


def _app_conflict(reader: Reader, app: App) -> str | None:
    """Why an app conflicts with the store; None if it does not."""
    if any(reader.get(kind, app.id) is not None for kind in (App, Account, PeerRule)):
        return "its client_id exists already"
    found = reader.find(App, *app.lookup)
    return f"app {found[0].id} has its name" if found else None


def _put(tx: Writer, plan: _Plan, keyring: Keyring, now: int) -> None:
    """Write the planned records, the keys of their hashes, and an audit event for each record."""
    own = hash_key_id(keyring.key(Purpose.KEY_HASHES))
    needed: set[str] = set()

    def hash_of(secret: SecretEntry, label: str, id_: str) -> bytes:
        if secret.carried is not None and secret.carried.key_id != own:
            needed.add(secret.carried.key_id)
        return _secret_hash(secret, keyring, own, label, id_)

    for id_, entry in plan.accounts:
        wrapped = None if entry.password_sha256 is None else wrap_hero_auth_hash(entry.password_sha256)
        account = _carried(Account, entry) | {
            "id": id_,
            "password": wrapped or entry.password,
            "secret_hash": hash_of(entry.secret, "client_secret", id_),
            "epoch": secrets.choice(EPOCHS),
        }
        tx.put(Account(**account))
        tx.audit(offline_event("import", now=now, uid=starting_uid(), target=id_))
    for kept in plan.keys:
        key = _carried(ApiKey, kept) | {
            "secret_hash": hash_of(kept.secret, "key", kept.id),
            "epoch": secrets.choice(EPOCHS),
        }
        _put_key(tx, ApiKey(**key), now)
        tx.audit(offline_event("import", now=now, uid=starting_uid(), target=kept.id))
    for one in plan.apps:
        app = one.app
        if app.is_confidential:
            app = msgspec.structs.replace(app, secret_hash=hash_of(one.secret, APP_SECRET, app.id))
        tx.put(app)
        tx.audit(offline_event("import", now=now, uid=starting_uid(), target=app.id))
    for key_id in sorted(needed):
        if tx.get(HashKey, key_id) is None:
            tx.put(HashKey(id=key_id, created_at=now, key=plan.entries.hash_keys[key_id]))


def _put_key(tx: Writer, key: ApiKey, now: int) -> None:
    """Write a key. Of several with its name, one that has not expired has it."""
    for other in tx.find(ApiKey, *key.lookup):
        if key.has_ended(now):
            key = msgspec.structs.replace(key, is_superseded=True)
        else:
            tx.put(msgspec.structs.replace(other, is_superseded=True))
    tx.put(key)


def _carried(record_type: type[Account | ApiKey], entry: AccountEntry | KeyEntry) -> dict[str, Any]:
    """The exported fields that an entry holds as the record does."""
    exported = {field for field, use in record_type.field_uses.items() if use.exported is not None}
    return {field: getattr(entry, field) for field in entry.__struct_fields__ if field in exported}


def _secret_hash(secret: SecretEntry, keyring: Keyring, own: str, label: str, id_: str) -> bytes:
    """The hash that a record keeps of its secret."""
    if secret.carried is not None:
        carried = secret.carried
        key_id = OWN_KEY if carried.key_id == own else carried.key_id  # this store made the hash
        return pack_hash(ImportedHash(key_id, carried.mac, is_of_sha256=carried.is_of_sha256))
    if secret.sha256 is not None:
        return import_sha256(keyring, label, id_, secret.sha256)
    return NO_HASH if secret.plain is None else hash_secret(keyring, label, id_, normal_secret(secret.plain))


def _decrypt(file: Path, secret: str) -> bytes:
    """The decrypted content of a file."""
    try:
        content, _ = read_input(file, MAX_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RuntimeFailure(f"{file} cannot be read: {why}") from None
    if len(content) > MAX_BYTES:
        raise RuntimeFailure(f"{file} is over {MAX_BYTES} bytes, too long for a list of accounts: choose another file")
    if not content:
        raise RuntimeFailure(f"{file} is empty: choose another file")
    if _is_plain(content):
        raise RuntimeFailure(
            f"{file} is not encrypted: import accepts only files that `herod export` or Hero Auth encrypted, so that "
            "no plain list of accounts is kept on a disk"
        )
    try:
        return decrypt_users(content, secret)
    except SealBroken:
        raise SettingsError(
            f"{file} cannot be decrypted: it was made with another secret, or is damaged or incomplete; give the "
            "secret that it was made with by --from-secret @FILE"
        ) from None


def _is_plain(content: bytes) -> bool:
    """Whether the content is text: encrypted content of more than a few bytes never is."""
    return len(content) > 40 and is_text(content)
