"""Retires signing keys: the former key verifies for a while, or never again.

For HS256 the key is HERO_SECRET itself, so changing the secret changes the key; herod makes the Ed25519 keys itself.
"""

from secrets import token_hex

import msgspec

from herod.maintenance.signing_keys_at_startup import HS256_ID, new_signing_record
from herod.records import SigningKeyRecord
from herod.store.store_interface import Writer

__all__ = ["SigningChange", "drop_signers", "keep_old_secret", "rotate_signing_key"]


class SigningChange(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of the Ed25519 keys, by `kid`.

    Attributes:
        current: the new key, which signs from now on; None if HERO_SECRET signs.
        retired: the key that signed until now and still verifies.
        until: its hard stop in Unix seconds.
        dropped: deleted keys: their hard stop had passed, or they were compromised.
    """

    current: str | None = None
    retired: str | None = None
    until: int | None = None
    dropped: tuple[str, ...] = ()


def keep_old_secret(tx: Writer, secret: str, *, now: int) -> None:
    """Keep the former HERO_SECRET, sealed, so that its tokens verify until the last of them expires.

    Its hard stop is set when the daemon first signs with another one (`load_signing_keys`), unless it already has one:
    then it was no longer signing.
    """
    known = {record.id: record for record in tx.scan(SigningKeyRecord)}
    current = known.get(HS256_ID)
    if current is None or any(record.private == secret.encode() for record in known.values()):
        return  # it never signed, or a first try was interrupted
    tx.put(
        SigningKeyRecord(
            id=f"{HS256_ID}-{token_hex(8)}",
            created_at=now,
            expires_at=current.expires_at,
            algorithm="HS256",
            private=secret.encode(),
        )
    )
    if current.expires_at is not None:  # its stop is kept above; the new secret has never signed
        tx.delete(SigningKeyRecord, HS256_ID)


def drop_signers(tx: Writer) -> None:
    """Delete all signing keys, because others may know them; the next start makes new ones."""
    for record in list(tx.scan(SigningKeyRecord)):
        tx.delete(SigningKeyRecord, record.id)


def rotate_signing_key(tx: Writer, *, ttl: int, now: int, is_compromised: bool = False) -> SigningChange | None:
    """Sign with a new Ed25519 key; None, without a change, if there is none to replace.

    Args:
        ttl: the lifetime of tokens in seconds, after which the old key no longer verifies.
        now: Unix seconds.
        is_compromised: neither the old key nor any before it verifies from now on.
    """
    own = [record for record in tx.scan(SigningKeyRecord) if record.algorithm == "EdDSA"]
    current = next((record for record in own if record.expires_at is None), None)
    if current is None and not (is_compromised and own):
        return None
    gone = [one for one in own if is_compromised or (one.expires_at is not None and one.expires_at <= now)]
    for record in gone:
        tx.delete(SigningKeyRecord, record.id)
    dropped = tuple(record.id for record in gone)
    if current is None:
        return SigningChange(dropped=dropped)
    fresh = new_signing_record(now)
    tx.put(fresh)
    if is_compromised:
        return SigningChange(current=fresh.id, dropped=dropped)
    tx.put(msgspec.structs.replace(current, expires_at=now + ttl))
    return SigningChange(current=fresh.id, retired=current.id, until=now + ttl, dropped=dropped)
