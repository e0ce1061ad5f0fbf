"""Credentials as they were presented, before anybody believed them. Protocols make these; identify takes one."""

from dataclasses import dataclass, field

__all__ = ["ApiKeyHeader", "Basic", "Bearer", "PeerClaim", "Presented", "SecretHeader", "SessionCookie"]


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer`, or a credential in the parameters: a token, an API key or a legacy secret."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKeyHeader:
    """`X-API-Key`: an API key only."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretHeader:
    """`X-Herod-Secret`: a legacy secret only."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Basic:
    """A client id and its secret: `Authorization: Basic`, or the form of an OAuth route."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerClaim:
    """`Authorization: Peer [cookie]`: "ask the kernel who I am".

    Attributes:
        is_relayed: the request carries a header that only relays and browsers send; then the claim is refused.
        may_be_admin: whether this door admits the local admin (`/mcp` never does).
    """

    cookie: str | None = field(default=None, repr=False)
    is_relayed: bool = False
    may_be_admin: bool = True


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The dashboard's cookie."""

    text: str = field(repr=False)


Presented = Bearer | ApiKeyHeader | SecretHeader | Basic | PeerClaim | SessionCookie
