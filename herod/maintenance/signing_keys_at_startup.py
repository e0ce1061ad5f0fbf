"""Prepares the store before the first request: loads or makes signing keys, and creates the bootstrap admin key.

Each runs in one write transaction and is audited like any other change, with `startup` as the actor.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from herod.audit_event import AuditEvent
from herod.credentials.keyring import Keyring
from herod.credentials.secret_hashes import hash_secret
from herod.pipeline.app_signing_keys import new_signing_record, signing_key_of
from herod.pipeline.parameters.text_normalization import parse_name
from herod.records import ApiKey, App, SigningKeyRecord
from herod.store.store_interface import Writer
from herod_client.core.key_format import KeyKind, new_key, new_key_id
from herod_client.core.scope_graph import ADMIN
from herod_client.core.signing_keys import PlainAlgorithm, SigningKey, SigningKeys, hs256_key, new_private

__all__ = ["HS256_ID", "create_bootstrap_key", "load_signing_keys", "startup_event"]

HS256_ID: Final = "hs256"
# What apps use that chose none: those that registered themselves, and those known by a document.
DEFAULT_ALGORITHM: Final = "RS256"
# A hard stop later than a token's lifetime plus this was set while the clock was wrong.
CLOCK_ERROR_SECONDS: Final = 86_400


def load_signing_keys(
    tx: Writer, *, secret: str, algorithm: PlainAlgorithm, ttl: int, now: int, earliest: int | None = None
) -> SigningKeys:
    """The keys that sign and verify from now on.

    A key that no longer signs gets a hard stop, which is stored: it verifies until the last token it can have signed
    expires, and never again. No later start postpones the stop. A key whose stop has passed is deleted.

    Args:
        secret: HERO_SECRET, the HS256 key.
        algorithm: the algorithm that signs plain tokens from now on.
        ttl: the lifetime of tokens in seconds.
        now: Unix seconds.
        earliest: Unix seconds; only keys whose stop is before this are deleted. By default `now`.
    """
    records = {record.id: record for record in tx.scan(SigningKeyRecord)}
    _settle_retired(tx, records, secret=secret.encode(), now=now, earliest=now if earliest is None else earliest)
    current = _current_record(records, algorithm, now)
    used = {DEFAULT_ALGORITHM, *(app.id_token_algorithm for app in tx.scan(App))}
    signing = {current.id, *_for_apps(records, used)}
    for record in (*records.values(), current):
        is_current = record.id in signing
        stop = None if is_current else _hard_stop(record, latest=now + ttl)
        if records.get(record.id) != record or record.expires_at != stop:
            records[record.id] = msgspec.structs.replace(record, expires_at=stop)
            tx.put(records[record.id])
            tx.audit(startup_event("signing.current" if is_current else "signing.retire", record.id, now))
    keys = {record.id: _signing_key(record, secret) for record in records.values()}
    return SigningKeys(
        keys[current.id],
        [key for name, key in keys.items() if name not in signing],
        for_apps=[keys[name] for name in signing if name != current.id],
    )


def create_bootstrap_key(tx: Writer, keyring: Keyring, *, name: str, now: int) -> str | None:
    """Create a service key with scope admin; None if one of that name exists already.

    Raises:
        InvalidRequest: the name is not valid.
    """
    normal = parse_name(name)
    key_id = new_key_id()
    text = new_key(KeyKind.SERVICE, key_id)
    key = ApiKey(
        id=key_id,
        created_at=now,
        name=normal,
        owner=None,
        creator="startup",
        secret_hash=hash_secret(keyring, "key", key_id, text),
        scope=(ADMIN,),
        networks=("*",),
    )
    if tx.find(ApiKey, *key.lookup):
        return None
    tx.put(key)
    tx.audit(startup_event("keys.bootstrap", key_id, now))
    return text


def _settle_retired(
    tx: Writer, records: dict[str, SigningKeyRecord], *, secret: bytes, now: int, earliest: int
) -> None:
    """Delete keys whose hard stop has passed, and update the former secrets that `herod secret rotate` kept."""
    for record in [one for one in records.values() if one.id != HS256_ID]:  # that one has only a stop
        if record.algorithm == "HS256" and record.private == secret and HS256_ID in records:
            # Started with the old secret again: it is the current one and has no stop.
            del records[record.id]
            if record.expires_at is not None:
                tx.put(msgspec.structs.replace(record, expires_at=None))
        elif record.expires_at is not None and record.expires_at <= earliest:
            del records[record.id]
            tx.delete(SigningKeyRecord, record.id)
            tx.audit(startup_event("signing.forget", record.id, now))


def _hard_stop(record: SigningKeyRecord, *, latest: int) -> int:
    """When a key that no longer signs stops verifying; `latest` is when the last token made before now expires."""
    stop = record.expires_at
    # If the clock was far ahead at the switch, a holder of HERO_SECRET could make tokens for years. An earlier stop
    # breaks no valid token: the key has signed nothing since.
    return latest if stop is None or stop > latest + CLOCK_ERROR_SECONDS else stop


def _for_apps(records: Mapping[str, SigningKeyRecord], used: Collection[str]) -> list[str]:
    """The keys that sign for apps, by `kid`: the first of each algorithm, if several herods have made one at once.

    A key of an algorithm that no app uses any more signs no longer, since some libraries read no key at all if there is
    one among them that they do not know.
    """
    found: dict[str, str] = {}
    for record in sorted(records.values(), key=lambda one: (one.created_at, one.id)):
        if record.for_apps and record.expires_at is None and record.algorithm in used:
            found.setdefault(record.algorithm, record.id)
    return list(found.values())


def _current_record(records: Mapping[str, SigningKeyRecord], algorithm: PlainAlgorithm, now: int) -> SigningKeyRecord:
    if algorithm == "HS256":
        known = records.get(HS256_ID)
        return known or SigningKeyRecord(id=HS256_ID, created_at=now, algorithm="HS256", private=b"")
    for record in records.values():
        if record.algorithm == algorithm and not record.for_apps and record.expires_at is None:
            return record
    return new_signing_record(algorithm, new_private(algorithm), now=now)


def _signing_key(record: SigningKeyRecord, secret: str) -> SigningKey:
    if record.algorithm == "HS256":
        old = record.private.decode()  # empty for the current HERO_SECRET
        return hs256_key(old or secret, verifies_until=record.expires_at)
    return signing_key_of(record)


def startup_event(operation: str, target: str | None, now: int, *, by: str = "startup") -> AuditEvent:
    """The audit event of a change without a request: the daemon's start, or another cause named in `by`."""
    return AuditEvent(at=now, actor=by, method="none", source=by, operation=operation, outcome="ok", target=target)
