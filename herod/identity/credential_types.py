"""Credentials as presented, not yet verified. The protocols create them; `identify` takes one."""

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "ApiKeyHeader",
    "Audience",
    "Basic",
    "Bearer",
    "PeerClaim",
    "Presented",
    "PublicClient",
    "SecretHeader",
    "SessionCookie",
    "Unreadable",
    "scheme_of",
]


class Audience(Enum):
    """Which audience-restricted tokens (RFC 8707) are accepted."""

    PLAIN = "plain"  # none: those that are not restricted alone
    HEROD = "herod"  # those for herod as a whole
    MCP = "mcp"  # those for herod as a whole or for `/mcp`, and no others: not even those without an audience
    APP = "app"  # those for herod as a whole, and an app's that are for the app itself: herod tells it who signed in
    ANY = "any"  # all: the token is the subject of the question, not the caller's credential


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer`, or a credential in the parameters: a token, an API key or a legacy secret.

    Attributes:
        audience: which tokens this endpoint accepts; `/mcp` never accepts the local admin's.
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
    """A client id and its secret: `Authorization: Basic`, or the form parameters of an OAuth route."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicClient:
    """The form parameter `client_id` without a secret, of an app that has none (RFC 6749, section 3.2.1)."""

    client_id: str


@dataclass(frozen=True, slots=True)
class PeerClaim:
    """`Authorization: Peer [cookie]`: "ask the kernel who I am".

    Attributes:
        is_relayed: the request has a header that only relays and browsers send; then the claim is refused.
        may_be_admin: whether this endpoint admits the local admin (`/mcp` never does).
    """

    cookie: str | None = field(default=None, repr=False)
    is_relayed: bool = False
    may_be_admin: bool = True


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The dashboard's cookie.

    Attributes:
        may_be_admin: whether this endpoint admits the local admin.
        is_automatic: a page that refreshes itself sends it, not a person.
    """

    text: str = field(repr=False)
    may_be_admin: bool = True
    is_automatic: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An `Authorization` header that presents nothing: never a valid credential.

    Attributes:
        scheme: `Bearer` without a token, or `Basic` without a readable client id and secret; None for schemes that
            herod does not know.
    """

    scheme: str | None


Presented = Bearer | ApiKeyHeader | SecretHeader | Basic | PublicClient | PeerClaim | SessionCookie | Unreadable


def scheme_of(presented: Presented | None) -> str | None:
    """The HTTP authentication scheme to name when the credential is refused; None for cookies and local users."""
    match presented:
        case Bearer() | ApiKeyHeader() | SecretHeader():
            return "Bearer"
        case Basic() | PublicClient():
            return "Basic"
        case Unreadable(scheme):
            return scheme
        case _:
            return None
