"""What an app without a browser waits for: that a person enters its code at herod's page (RFC 8628)."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["DeviceCode"]


class DeviceCode(Record, frozen=True, kw_only=True):
    """A device code and the user code beside it. `id` is the HMAC, in hex, of the device code.

    Not unique in the store by its user code: whoever makes one looks for another in the same transaction.

    It is kept for a while after its end, so that the app learns why it gets nothing. A used one is kept as long, so
    that its second use is noticed.

    Attributes:
        user_code: the HMAC, in hex, of the user code, without its dash.
        ends_at: when a person can no longer decide, nor the app redeem it, in Unix seconds.
        app: the client_id that may redeem it.
        resource: what the tokens are for, without a final slash; None for `/userinfo` alone.
        scope: what the app asked for, as it sent it.
        source: where the app asked from, as in the audit log.
        place: the same, to compare it with where a person's browser is (`source_places.py`).
        share: the same, as limits name it.
        state: waiting, allowed or denied.
        delegation: the id of what the person granted; this and the next are empty until then.
        account: the id of the person's account.
        session: the id of the session in which they did.
        granted: what was ticked, OpenID Connect's scopes included.
        auth_time: when the person had signed in, in Unix seconds.
        amr: how (RFC 8176).
        family: the id of its tokens' family, once it is redeemed; until then empty.
    """

    kind: ClassVar[str] = "device_code"
    is_followed: ClassVar[bool] = False
    hides_owner: ClassVar[bool] = True

    user_code: str
    ends_at: int
    app: str
    resource: str | None
    scope: str
    source: str
    place: str
    share: str
    state: str = "waiting"
    delegation: str = ""
    account: str = ""
    session: str = ""
    granted: tuple[str, ...] = ()
    auth_time: int = 0
    amr: tuple[str, ...] = ()
    family: str = ""

    @property
    def lookup(self) -> tuple[str, ...]:
        """By user code."""
        return ("user_code", self.user_code)

    @property
    def owner_id(self) -> str:
        """The delegation, with which it ends; until there is one, the app."""
        return self.delegation or self.app
