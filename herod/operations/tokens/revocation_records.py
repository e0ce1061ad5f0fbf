"""Records of revoked tokens, whose number is bounded without refusing one.

Those of an app's tokens count for its delegation, so an app can end its own access, and never that of the person behind
it.
"""

from itertools import islice

import msgspec

from herod.pipeline.operation_definition import Context
from herod.records import Account, Delegation, PeerRule, Revocation
from herod.store.owned_records import DELETED_AT_ONCE, delete_delegations, delete_with_owned, owned_by
from herod.store.store_interface import Writer

__all__ = ["make_room", "revoke_family"]


def revoke_family(tx: Writer, context: Context, delegation: Delegation, family: str) -> None:
    """Revoke all access tokens of a family of an app's tokens, here and at every verifier.

    If the delegation has as many revocations as the settings allow, it ends, and with it all of its tokens.
    """
    found = Revocation(
        id=f"{delegation.account}/{family}",
        created_at=context.now,
        expires_at=context.now + context.runtime.config.token_ttl,  # no token of it lasts longer
        subject=delegation.account,
        jti=family,
        epoch=delegation.epoch,
        delegation=delegation.id,
    )
    if make_room(tx, context, found):
        tx.put(found)


def make_room(tx: Writer, context: Context, new: Revocation) -> bool:
    """Keep the number of revocations of one owner bounded without refusing one: if there are too many, end all tokens.

    A new epoch ends them all, and makes the records of those that were revoked before superfluous. Those of an app end
    with its delegation, and then the new one is superfluous too; return whether it is not.
    """
    most = context.runtime.config.quotas.revocations
    if new.delegation is not None:
        is_full = tx.count_owned(Revocation, new.delegation, limit=most) >= most
        delegation = tx.get(Delegation, new.delegation) if is_full else None
        if delegation is not None:
            delete_with_owned(tx, delegation, now=context.now)
            context.target = delegation.id
        return delegation is None
    subject = tx.get(Account, new.subject) or tx.get(PeerRule, new.subject)  # others have no epoch in the store
    if subject is None or tx.count_owned(Revocation, new.subject, limit=most) < most:
        return True
    oldest = list(islice(owned_by(tx, Revocation, new.subject), DELETED_AT_ONCE))
    superfluous = [one for one in oldest if one.epoch not in (None, subject.epoch)]
    if not superfluous:
        subject = msgspec.structs.replace(subject, epoch=subject.epoch + 1)
        tx.put(subject)
        if isinstance(subject, Account):
            delete_delegations(tx, subject, now=context.now)
        context.target = new.subject
        superfluous = oldest
    for one in superfluous:
        tx.delete(Revocation, one.id)
    return True
