"""One line of the audit log."""

import msgspec

__all__ = ["AuditEvent"]


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the audit log. Ids only: never a name, an email or a secret.

    Attributes:
        at: Unix seconds.
        actor: the principal's id.
        method: its `AuthMethod`.
        source: `uid:N` or an address.
        operation: the operation's name.
        outcome: `ok` or `denied`.
        reason: why it was denied: an error's reason, from a fixed list. Of some successes, which way they went.
        target: the id of the changed record.
        count: the number of equal events that this line represents.
        by_admin: the actor held admin, so only age removes the line. Older lines do not have it.
    """

    at: int
    actor: str
    method: str
    source: str
    operation: str
    outcome: str
    reason: str | None = None
    target: str | None = None
    count: int = 1
    by_admin: bool = False
