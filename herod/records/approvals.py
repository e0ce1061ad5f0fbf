"""What an app asked for that a person must approve first."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Approval"]


class Approval(Record, frozen=True, kw_only=True):
    """One call of an app that waits for its person, was approved and not repeated yet, or was declined.

    `expires_at` is the end of waiting, or of the time in which the app may repeat the call. A call that was repeated
    deletes it.

    Attributes:
        delegation: by which the app asked; it ends with that.
        account: whose power the app uses, and who alone decides.
        operation: its name.
        fingerprint: HMAC, in hex, of the operation, its parameters and its target as it was. What changes any of them
            is another call.
        target_kind: the kind of the record that would change; empty if there is none.
        target: its id.
        target_name: its name then, if it has one.
        revision: HMAC, in hex, of that record as it was.
        shown: the parameters as people read them, without secrets.
        source: where the app asked from, as in the audit log.
        state: waiting, approved or declined.
    """

    kind: ClassVar[str] = "approval"
    is_followed: ClassVar[bool] = False

    delegation: str
    account: str
    operation: str
    fingerprint: str
    target_kind: str = ""
    target: str = ""
    target_name: str = ""
    revision: str = ""
    shown: tuple[tuple[str, str], ...] = ()
    source: str = ""
    state: str = "waiting"

    @property
    def lookup(self) -> tuple[str, ...]:
        """By delegation and call."""
        return ("call", self.delegation, self.fingerprint)

    @property
    def owner_id(self) -> str:
        """The delegation, with which it ends."""
        return self.delegation
