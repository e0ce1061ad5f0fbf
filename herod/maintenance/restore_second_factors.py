"""Passkeys, authenticator apps and recovery codes in a restored store.

A restore must not bring back a passkey that was deleted, a code that was used, or a sign-in without the second factor
that was set up since. So those of the replaced store are the newest, as its passwords are, if it has continued since
the backup. If it has not, because an older backup was restored meanwhile, the backup's are; but a counter never goes
back (WebAuthn 3, section 6.1.1), and what was used in either store stays used.
"""

from collections.abc import Iterable, Mapping

import msgspec

from herod.records import Account, Passkey, Record, RecoveryCodes, TotpFactor
from herod.store.store_interface import Writer

__all__ = ["SECOND_FACTORS", "Factors", "carry_factors"]

SECOND_FACTORS: tuple[type[Record], ...] = (Passkey, TotpFactor, RecoveryCodes)

Factors = Mapping[type[Record], Mapping[str, Record]]
"""Record type → id → the record in the replaced store."""


def carry_factors(tx: Writer, factors: Factors, complete: Iterable[str], *, is_later: bool) -> list[tuple[str, str]]:
    """Update the backup's second factors from those of the replaced store.

    Args:
        tx: the restored store, with its accounts as they will be.
        factors: those of the replaced store that could be read.
        complete: the kinds of which all could be read: only of these, a missing one was deleted.
        is_later: whether the replaced store has continued since the backup.

    Returns:
        Kind and id of those that were deleted since, by themselves or with their account.
    """
    deleted: list[tuple[str, str]] = []
    for record_type in SECOND_FACTORS:
        present = factors.get(record_type, {})
        for old in list(tx.scan(record_type)):
            new = present.get(old.id)
            is_ownerless = tx.get(Account, old.owner_id or "") is None
            if is_ownerless or (new is None and is_later and record_type.kind in complete):
                tx.delete(record_type, old.id)
                deleted.append((record_type.kind, old.id))
            elif new is not None:
                tx.put(_newest(old, new, is_later=is_later))
        if is_later:
            for new in present.values():
                if tx.get(record_type, new.id) is None and tx.get(Account, new.owner_id or "") is not None:
                    tx.put(new)
    return deleted


def _newest(old: Record, new: Record, *, is_later: bool) -> Record:
    """One of a backup's and of the replaced store's record, or of both what was used more."""
    last = new if is_later else old
    match old, new, last:
        case Passkey(), Passkey(), Passkey():
            return msgspec.structs.replace(last, counter=max(old.counter, new.counter))
        case TotpFactor(), TotpFactor(), TotpFactor():
            return msgspec.structs.replace(last, used_step=max(old.used_step, new.used_step))
        case RecoveryCodes(), RecoveryCodes(), RecoveryCodes() if old.created_at == new.created_at:
            return msgspec.structs.replace(last, hashes=tuple(one for one in old.hashes if one in new.hashes))
        case _:
            return last
