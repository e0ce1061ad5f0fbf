"""What people let apps do in their name."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["Delegation"]


class Delegation(Record, frozen=True, kw_only=True):
    """What a person granted to an app (an OAuth client). Its tokens say `via: delegation:ID`, and end with it.

    Consenting to the same app and resource again replaces the scope and keeps the id. Not unique in the store: whoever
    makes one looks for the former one in the same transaction.

    Attributes:
        id: its own, never the app's.
        account: whose power it is; its owner.
        epoch: the account's when it was granted: another one ends it.
        app: the app's client_id.
        app_name: what the app called itself then; anybody can choose that of another one.
        app_origin: how the app became known: registered, dynamic or document.
        resource: the only resource of its tokens, without a final slash; None: they are good at `/userinfo` alone.
        scope: never more than the account's, nor `owner`.
        expires_at: the end that the person was shown; use does not move it.
    """

    kind: ClassVar[str] = "delegation"

    account: str
    epoch: int
    app: str
    app_name: str
    app_origin: str
    resource: str | None
    scope: tuple[str, ...]
    networks: tuple[str, ...]

    @property
    def lookup(self) -> tuple[str, ...]:
        """By account, app and resource."""
        return ("delegation", self.account, self.app, self.resource or "")

    @property
    def owner_id(self) -> str:
        """The account that granted it."""
        return self.account
