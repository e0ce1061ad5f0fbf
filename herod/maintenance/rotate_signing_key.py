"""Makes new keys to sign tokens with. If killed midway, the store has the old keys only, or both."""

import time
from contextlib import ExitStack

import msgspec

from herod.file_ownership import starting_uid
from herod.maintenance.restore_reconciliation import offline_event
from herod.maintenance.retire_signing_keys import SigningChange, rotate_signing_keys
from herod.maintenance.store_file_and_owner import store_file
from herod.settings import Settings
from herod.store.sqlite.disk.database_files import StoreLock, prepare_file
from herod.store.sqlite.disk.open_database import open_file
from herod.store.sqlite.offline_transaction import transaction
from herod.store.store_interface import Writer
from herod_client.core.errors import RuntimeFailure

__all__ = ["SigningRotation", "rotate_signing"]


class SigningRotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the signing keys did, and in which store."""

    store: str
    change: SigningChange


def rotate_signing(settings: Settings, *, is_compromised: bool = False, now: int | None = None) -> SigningRotation:
    """Sign with new keys from the next start on, in one transaction: Ed25519, and for apps. Each call makes others.

    Args:
        settings: the store, its secret, and the lifetime of tokens.
        is_compromised: others know a signing key: no token of any key that herod has made is valid any more.
        now: Unix seconds.

    Raises:
        SettingsError: the store has no file, or needs another secret.
        RuntimeFailure: HERO_SECRET signs and there is no key to replace, a daemon is running, the store is damaged, or
            the disk fails; the store is unchanged.
    """
    now = int(time.time()) if now is None else now
    with ExitStack() as cleanup:
        path = cleanup.enter_context(store_file(settings))
        lock = StoreLock(path)
        cleanup.callback(lock.release)
        if not path.exists():
            raise RuntimeFailure(f"there is no store {path}: choose another with --store, or start the daemon first")
        prepare_file(path)
        opened = open_file(path, settings.store_secret or settings.hero_secret)
        cleanup.callback(opened.connection.close)
        with transaction(opened) as tx:
            change = rotate_signing_keys(tx, ttl=settings.token_ttl, now=now, is_compromised=is_compromised)
            if change is None:
                raise RuntimeFailure(_no_key(settings))
            _audit(tx, change, now=now, is_compromised=is_compromised)
        return SigningRotation(store=str(path), change=change)


def _audit(tx: Writer, change: SigningChange, *, now: int, is_compromised: bool) -> None:
    """Record the changes in the audit log, under the same operation names as a start does."""
    done: list[tuple[str, str | None]] = [
        ("signing.drop" if is_compromised else "signing.forget", kid) for kid in change.dropped
    ]
    for one in change.rotated:
        done += [("signing.retire", one.retired), ("signing.current", one.current)]
    for operation, kid in done:
        if kid is not None:
            tx.audit(offline_event(operation, now=now, uid=starting_uid(), target=kid))


def _no_key(settings: Settings) -> str:
    if settings.signing == "EdDSA":
        return "there is no Ed25519 signing key to replace yet: the next start of the daemon with EdDSA makes one"
    return (
        "tokens are signed with HS256, whose key is HERO_SECRET itself: change that with `herod secret rotate`, or "
        'start herod with --signing EdDSA (in the settings file: signing = "EdDSA") to give it a key of its own'
    )
