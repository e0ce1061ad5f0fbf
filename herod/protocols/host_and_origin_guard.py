"""The Host and Origin guard: foreign ones are refused before routing.

It protects against hostile pages in somebody's browser: DNS rebinding shows in Host, a cross-site request in Origin.
"""

from enum import Enum, auto
from typing import Final

from herod.protocols.http import Request
from herod.web_origins import LOOPBACK_NAMES, is_loopback_origin, origin_of
from herod_client.core.errors import Misdirected

__all__ = [
    "HEALTH_PATH",
    "LOOPBACK_NAMES",
    "MAX_PASSED",
    "Guard",
    "PageKind",
    "host_of",
    "is_at_public_https",
    "is_same_origin",
]

# The checks of load balancers are often HTTP/1.0 without a Host.
HEALTH_PATH: Final = "/health"
# Host headers that have passed are remembered: there are few, with few ports.
MAX_PASSED: Final = 64


class PageKind(Enum):
    """Whose page made a browser send a request, by its Origin."""

    OWN = auto()  # herod's: the same origin as the request's target, or that of the public URL
    LISTED = auto()  # one that the settings name
    LOOPBACK = auto()  # from any server on the visitor's own machine
    FOREIGN = auto()  # any other, or an unknown one (`null`)


class Guard:
    """Checks each request's Host, and says whose page an Origin is.

    Args:
        hosts: host names besides loopback's that TCP requests may use: the binds' literals and the names in the
            settings.
        origins: foreign origins, as `scheme://host[:port]`, that may call.
    """

    def __init__(self, hosts: frozenset[str] = frozenset(), origins: frozenset[str] = frozenset()) -> None:
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower() for origin in origins)
        self._passed: set[str] = set()

    def check_host(self, request: Request) -> Misdirected | None:
        """None if the request may pass, else its refusal, whose reason is `host` or that of a mistake."""
        host = request.headers.get("host", "")
        if host in self._passed or request.source.address == "unix":
            return None
        if host_of(host) not in self._hosts:
            return _refuse_host(request)
        if len(self._passed) >= MAX_PASSED:
            self._passed.clear()
        self._passed.add(host)
        return None

    def kind_of(self, origin: str, request: Request, public_origin: str | None) -> PageKind:
        """Whose page sent a request.

        Args:
            origin: the Origin header, in lower case.
            request: the request.
            public_origin: that of the public URL, which a proxy may serve; None while it is not herod's.
        """
        if origin == public_origin or is_same_origin(origin, request):
            return PageKind.OWN
        return self.foreign_kind_of(origin)

    def foreign_kind_of(self, origin: str) -> PageKind:
        """Whose page it is if it is not herod's own."""
        if origin in self._origins:
            return PageKind.LISTED
        return PageKind.LOOPBACK if is_loopback_origin(origin) else PageKind.FOREIGN


def _refuse_host(request: Request) -> Misdirected | None:
    host = request.headers.get("host")
    if host is None:  # the reader lets this pass only with HTTP/1.0
        if request.path == HEALTH_PATH:
            return None
        return Misdirected("The Host header is missing: send the host and port that you connect to.")
    if not host:
        return Misdirected("The Host header is empty: send the host and port that you connect to.")
    return Misdirected("Unknown host name: add it to `hosts` in the settings.", reason="host")


def is_same_origin(origin: str, request: Request) -> bool:
    """Whether an origin, in lower case, is the same scheme, host and port that the request goes to."""
    scheme = "https" if request.is_https else "http"
    host = request.headers.get("host", "").lower()
    return bool(host) and origin == f"{scheme}://{host}"


def is_at_public_https(request: Request, public_url: str) -> bool:
    """Whether a request names the host and port of an https public URL, as one through a proxy that keeps Host does.

    A client that forges it gets nothing but cookies that its browser refuses, or sends over TLS alone.
    """
    host = request.headers.get("host", "").lower().removesuffix(":443")
    return public_url.startswith("https://") and origin_of(public_url) == f"https://{host}"


def host_of(value: str) -> str:
    """A Host header without its port, in lower case; IPv6 keeps its brackets. Empty if it is malformed."""
    host = value.strip().lower()
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    if end < 0:
        return host
    name, port = host[:end], host[end:]
    is_good = not port or (port[0] == ":" and (len(port) == 1 or (port.isascii() and port[1:].isdigit())))
    return name if is_good else ""
