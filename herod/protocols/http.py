"""HTTP without sockets: the request and response types of every endpoint, and the headers and limits common to all.

The server builds a `Request` from bytes and writes a `Response`; this module never touches a socket.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from herod.scopes.principal import Source
from herod.store.store_interface import ByteStream
from herod_client.core.errors import HerodError

__all__ = [
    "MAX_BODY",
    "NO_STORE",
    "SECURITY_HEADERS",
    "STRICT_TRANSPORT",
    "TWO_CREDENTIALS",
    "Asked",
    "Handler",
    "Refuse",
    "Request",
    "Response",
]

MAX_BODY: Final = 64 * 1024
# The reason, for the audit log, of refusing a request that presents two different credentials.
TWO_CREDENTIALS: Final = "two_credentials"

# Nothing keeps a copy, caches of HTTP/1.0 neither (RFC 6749, section 5.1).
NO_STORE: Final[tuple[tuple[str, str], ...]] = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
# On every response (INTERFACES, "Headers on all answers").
SECURITY_HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
# On TLS as well.
STRICT_TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000")


class Request(msgspec.Struct):
    """One request, read completely.

    Attributes:
        method: in capitals.
        path: as sent, percent-encoding untouched, without the query.
        query: what follows `?`, undecoded.
        headers: lower-case name → value. A repeated header's values are joined with ", " (cookies with "; "); the
            reader has already refused a second Host, Authorization, Content-Length, Content-Type, Origin, X-API-Key or
            X-Herod-Secret.
        source: where the connection comes from.
        ends_with_client: set by a handler that only waits or reads: it may be cancelled when the client disconnects.
        is_from_own_page: set by the router: its Origin is herod's own.
        is_at_public_https: set by the router: its Host is that of an https public URL, where TLS ends at a proxy.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: Source
    ends_with_client: bool = False
    is_from_own_page: bool = False
    is_at_public_https: bool = False

    @property
    def is_https(self) -> bool:
        """Whether its browser speaks TLS, with herod itself or with a proxy in front.

        For cookies and origins alone: of the connection to herod itself, `source.secure` tells.
        """
        return self.source.secure or self.is_at_public_https

    def __repr__(self) -> str:
        """Without headers, query and body, which hold credentials."""
        return f"Request({self.method})"


class Response(msgspec.Struct, frozen=True):
    """One response. The server adds the security headers, Date, Content-Length and Connection.

    Attributes:
        headers: additional ones, among them Content-Type if there is a body.
        is_quiet: omit it from the access log (validate, verify, introspect, health).
        close: close the connection after it.
        shared: the rest of the body, after `body`: one copy that many responses share, such as a document.
        stream: sent in chunks instead of `body`, which is then empty; the server always closes it.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    is_quiet: bool = False
    close: bool = False
    stream: ByteStream | None = None
    shared: bytes = b""

    def __repr__(self) -> str:
        """Without headers and body, which may hold secrets."""
        return f"Response({self.status})"


class Asked(NamedTuple):
    """What is known of a request that no handler gets.

    Attributes:
        method: empty if it is not known.
        path: empty if it is not known.
        origin: its Origin header, if it has one that can be read.
    """

    method: str = ""
    path: str = ""
    origin: str | None = None


Handler = Callable[[Request], Awaitable[Response]]
# Writes the response to a request that no handler gets: why, what is known of it, and its source.
Refuse = Callable[[HerodError, Asked, Source], Response]
