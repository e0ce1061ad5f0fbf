"""Credentials as they were presented, before anybody believed them. Protocols make these; identify takes one."""

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "ApiKeyHeader",
    "Audience",
    "Basic",
    "Bearer",
    "PeerClaim",
    "Presented",
    "SecretHeader",
    "SessionCookie",
    "UnknownScheme",
]


class Audience(Enum):
    """Which tokens are taken of those that were made for one resource (RFC 8707)."""

    HEROD = "herod"  # for the public URL
    MCP = "mcp"  # for that, or for the `/mcp` below it
    ANY = "any"  # for whomever: the token is asked about, not presented


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer`, or a credential in the parameters: a token, an API key or a legacy secret.

    Attributes:
        audience: which tokens this door takes; at `/mcp` the local admin's are none of them.
    """

    text: str = field(repr=False)
    audience: Audience = Audience.HEROD


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
    """The dashboard's cookie.

    Attributes:
        may_be_admin: whether this door admits the local admin.
    """

    text: str = field(repr=False)
    may_be_admin: bool = True


@dataclass(frozen=True, slots=True)
class UnknownScheme:
    """An `Authorization` header of no scheme that herod takes, or with nothing behind it: nobody's credential."""


Presented = Bearer | ApiKeyHeader | SecretHeader | Basic | PeerClaim | SessionCookie | UnknownScheme
