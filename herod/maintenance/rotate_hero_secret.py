"""Changes the secret that signs tokens and opens the store. If killed midway, the old or the new one opens it."""

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import apsw
import msgspec

from herod.credentials.keyring import renew_root, wrap_root
from herod.file_ownership import starting_uid
from herod.maintenance.restore_reconciliation import end_everything, offline_event
from herod.maintenance.retire_signing_keys import drop_signers, keep_old_secret
from herod.maintenance.store_file_and_owner import store_file
from herod.settings import Settings
from herod.store.sqlite.disk.database_files import StoreLock, prepare_file
from herod.store.sqlite.disk.disk_faults import describe
from herod.store.sqlite.disk.open_database import OpenedFile, open_file, put_wraps
from herod.store.sqlite.offline_transaction import tidy, transaction
from herod_client.core.errors import RuntimeFailure, SettingsError

__all__ = ["Rotation", "adopt_secret", "rotate_secret"]


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the secret did.

    Attributes:
        is_done_before: nothing was done, because the new secret already opens the store.
        untidied: why deleted data may still be in the file, if so.
    """

    store: str
    is_done_before: bool = False
    untidied: str | None = None


def rotate_secret(
    settings: Settings,
    new_secret: str,
    *,
    is_store_secret: bool = False,
    is_compromised: bool = False,
    now: int | None = None,
) -> Rotation:
    """Change HERO_SECRET, or HEROD_STORE_SECRET, in one transaction.

    Args:
        settings: the store, with the current secrets.
        new_secret: the new secret.
        is_store_secret: change HEROD_STORE_SECRET instead of HERO_SECRET.
        is_compromised: others know the old secret: it opens nothing from now on, every record is sealed again, no
            signing key is kept, all tokens and sessions end.
        now: Unix seconds.

    Raises:
        SettingsError: the store has no file, neither secret opens it, or the new secret is in use already.
        RuntimeFailure: a daemon is running, the store is damaged, or the disk fails; the store is unchanged.
    """
    now = int(time.time()) if now is None else now
    if is_store_secret and settings.store_secret is None:
        raise SettingsError("HEROD_STORE_SECRET is not set: HERO_SECRET opens this store, so change that one")
    if new_secret in (settings.hero_secret, settings.store_secret):
        raise SettingsError(
            "the secret in --new-secret-file is in use already: make another with `herod secret generate`"
        )
    changes_wrap = is_store_secret or settings.store_secret is None
    old_wrap = settings.store_secret or settings.hero_secret
    new_wrap = new_secret if changes_wrap else old_wrap
    with ExitStack() as cleanup:
        path = cleanup.enter_context(store_file(settings))
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        opened = _open_to_rotate(path, old_wrap, new_wrap)
        if opened is None:
            return Rotation(store=str(path), is_done_before=True)
        cleanup.callback(opened.connection.close)
        if is_compromised:
            return Rotation(store=str(path), untidied=_replace_root(opened, new_wrap, now=now))
        with transaction(opened) as tx:
            if not is_store_secret:
                keep_old_secret(tx, settings.hero_secret, now=now)
            if changes_wrap:
                put_wraps(opened.connection, wrap_root(opened.root, new_wrap), opened.wrap)
            tx.audit(offline_event("secret.rotate", now=now, uid=starting_uid()))
        return Rotation(store=str(path))


def adopt_secret(settings: Settings) -> bool:
    """Let the secret open a store that herod 0.1 made with the same file or variable, as it read that.

    Returns:
        Whether the store has been changed.

    Raises:
        SettingsError, RuntimeFailure: as `rotate_secret`.
    """
    path, former = settings.store, settings.former_secret
    if path is None or former is None or not path.exists() or not path.stat().st_size:
        return False
    if settings.store_secret is None:
        done = rotate_secret(replace(settings, hero_secret=former), settings.hero_secret)
    else:
        done = rotate_secret(replace(settings, store_secret=former), settings.store_secret, is_store_secret=True)
    return not done.is_done_before


def _open_to_rotate(path: Path, old_wrap: str, new_wrap: str) -> OpenedFile | None:
    """The store, opened with the old secret; None if only the new one opens it already."""
    if not path.exists():
        raise RuntimeFailure(
            f"there is no store {path}: choose another with --store; without a store, just start with the new secret"
        )
    prepare_file(path)
    try:
        return open_file(path, old_wrap)
    except SettingsError:
        if old_wrap == new_wrap or not _opens_with(path, new_wrap):
            raise
        return None


def _replace_root(opened: OpenedFile, secret: str, *, now: int) -> str | None:
    """Seal everything again under a new root; return why data of the old root may still be in the file, if so."""
    root = renew_root(opened.keyring)
    with transaction(opened, root=root) as tx:
        drop_signers(tx)
        end_everything(tx)
        tx.begin_generation(token_hex(8), opened.head)
        put_wraps(opened.connection, wrap_root(root, secret))
        tx.audit(offline_event("secret.replace", now=now, uid=starting_uid()))
    try:
        tidy(opened.connection)
    except apsw.Error as error:
        return describe(error)
    return None


def _opens_with(path: Path, secret: str) -> bool:
    try:
        open_file(path, secret).connection.close()
    except SettingsError:
        return False
    return True
