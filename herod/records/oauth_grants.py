"""What a delegation gave to its app and is not used up: authorization codes, and families of tokens."""

from typing import ClassVar

from herod.records.record import Record

__all__ = ["AuthorizationCode", "TokenFamily"]


class AuthorizationCode(Record, frozen=True, kw_only=True):
    """A code that an app exchanges for tokens, once (RFC 6749, section 4.1.2). `id` is the HMAC, in hex, of the code.

    A used code is kept until it is purged, so that its second use is noticed.

    Attributes:
        delegation: the id of what the person granted.
        account: the id of the person's account.
        session: the id of the session in which they consented: the code ends with it.
        app: the client_id that may exchange it.
        redirect_uri: where it was sent, as the app asked.
        challenge: the PKCE challenge, S256 (RFC 7636); empty if the app sent none.
        resource: what the tokens are for (RFC 8707), without a final slash; None for `/userinfo` alone.
        scope: what was ticked, OpenID Connect's scopes included.
        nonce: for the id_token; empty if the app sent none.
        auth_time: when the person signed in, in Unix seconds.
        amr: how (RFC 8176).
        family: the id of its tokens' family, once it is used; until then empty.
    """

    kind: ClassVar[str] = "authorization_code"
    is_followed: ClassVar[bool] = False

    delegation: str
    account: str
    session: str
    app: str
    redirect_uri: str
    challenge: str
    resource: str | None
    scope: tuple[str, ...]
    nonce: str
    auth_time: int
    amr: tuple[str, ...] = ()
    family: str = ""

    @property
    def owner_id(self) -> str:
        """The delegation, with which it ends."""
        return self.delegation


class TokenFamily(Record, frozen=True, kw_only=True):
    """The refresh tokens that come from one code, each from the one before, and the access tokens got with them.

    `id` is in the refresh tokens and, as `family`, in the access tokens. `expires_at` is when it ends unless it is used
    before: it slides with each use, up to `ends_at`. None of its tokens is stored.

    Attributes:
        delegation, account, app, resource, scope, auth_time, amr: as in the code.
        session: the id of the session in which the person consented; the family outlasts it.
        epoch: the account's when it began: another one ends it.
        is_rotated: each refresh gives a new refresh token, as those of public apps do (RFC 9700, section 4.14.2).
        number: of the newest refresh token.
        rotated_at: when that was issued in place of the one before; 0 for the first.
        used_at: when the family was last used.
        ends_at: when it ends in any case.
    """

    kind: ClassVar[str] = "token_family"
    is_followed: ClassVar[bool] = False

    delegation: str
    account: str
    session: str
    app: str
    resource: str | None
    scope: tuple[str, ...]
    auth_time: int
    amr: tuple[str, ...] = ()
    epoch: int
    is_rotated: bool
    number: int = 0
    rotated_at: int = 0
    used_at: int
    ends_at: int

    @property
    def owner_id(self) -> str:
        """The delegation, with which it ends."""
        return self.delegation
