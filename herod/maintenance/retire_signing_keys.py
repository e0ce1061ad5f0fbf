"""Retires signing keys: the former key verifies for a while, or never again.

For HS256 the key is HERO_SECRET itself, so changing the secret changes the key; herod makes the other keys itself.
"""

from secrets import token_hex

import msgspec

from herod.maintenance.signing_keys_at_startup import HS256_ID
from herod.pipeline.app_signing_keys import new_signing_record, public_algorithm
from herod.records import SigningKeyRecord
from herod.store.store_interface import Writer
from herod_client.core.signing_keys import new_private

__all__ = ["RotatedKey", "SigningChange", "drop_signers", "keep_old_secret", "rotate_signing_keys"]


class RotatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs from now on, and the one that it replaces, by `kid`.

    Attributes:
        for_apps: whether it signs what others verify, or plain tokens.
        retired: the key that signed until now and still verifies; None if it is deleted.
    """

    algorithm: str
    for_apps: bool
    current: str
    retired: str | None


class SigningChange(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of the keys that herod makes itself.

    Attributes:
        rotated: none if HERO_SECRET alone signs.
        until: the hard stop of the retired ones in Unix seconds.
        dropped: deleted keys: their hard stop had passed, or they were compromised.
    """

    rotated: tuple[RotatedKey, ...] = ()
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


def rotate_signing_keys(tx: Writer, *, ttl: int, now: int, is_compromised: bool = False) -> SigningChange | None:
    """Sign with new keys in place of those that herod has made; None, without a change, if there is none to replace.

    Args:
        ttl: the lifetime of tokens in seconds, after which the old keys no longer verify.
        now: Unix seconds.
        is_compromised: neither the old keys nor any before them verify from now on.
    """
    own = [record for record in tx.scan(SigningKeyRecord) if record.algorithm != "HS256"]
    current = [record for record in own if record.expires_at is None]
    if not current and not (is_compromised and own):
        return None
    gone = [one for one in own if is_compromised or (one.expires_at is not None and one.expires_at <= now)]
    for record in gone:
        tx.delete(SigningKeyRecord, record.id)
    rotated = []
    for record in current:
        algorithm = public_algorithm(record.algorithm)
        fresh = new_signing_record(algorithm, new_private(algorithm), now=now, for_apps=record.for_apps)
        tx.put(fresh)
        if not is_compromised:
            tx.put(msgspec.structs.replace(record, expires_at=now + ttl))
        rotated.append(
            RotatedKey(
                algorithm=algorithm,
                for_apps=record.for_apps,
                current=fresh.id,
                retired=None if is_compromised else record.id,
            )
        )
    return SigningChange(
        rotated=tuple(rotated),
        until=now + ttl if rotated and not is_compromised else None,
        dropped=tuple(record.id for record in gone),
    )
