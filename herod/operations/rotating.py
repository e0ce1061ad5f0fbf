"""What changing HERO_SECRET means for signing keys: the old secret verifies for a while, or never again."""

from secrets import token_hex

from herod.operations.startup import HS256_ID
from herod.records import SigningKeyRecord
from herod.store.base import Writer

__all__ = ["drop_signers", "keep_old_secret"]


def keep_old_secret(tx: Writer, secret: str, *, now: int) -> None:
    """Keep the HERO_SECRET that is given up, sealed, so that its tokens verify until the last of them is over.

    Its hard stop is set when the daemon first signs with another one (`load_signing_keys`), unless it had one already:
    then it signed nothing any more.
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
    if current.expires_at is not None:  # what it stood for is kept above; the new secret has never signed
        tx.delete(SigningKeyRecord, HS256_ID)


def drop_signers(tx: Writer) -> None:
    """Let no key that somebody else may know sign or verify: the next start makes new ones."""
    for record in list(tx.scan(SigningKeyRecord)):
        tx.delete(SigningKeyRecord, record.id)
