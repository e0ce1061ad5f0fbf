"""The Host and Origin guard: foreign ones are refused before routing.

It protects against hostile pages in the admin's browser: DNS rebinding shows in Host, a cross-site request in Origin.
"""

from typing import Final

from herod.protocols.http import Request
from herod_client.core.errors import ForeignOrigin, HerodError, Misdirected

__all__ = ["HEALTH_PATH", "LOOPBACK_NAMES", "Guard", "host_of", "is_own_origin"]

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
# The checks of load balancers are often HTTP/1.0 without a Host.
HEALTH_PATH: Final = "/health"


class Guard:
    """Checks each request's Host and Origin; `origins` are the foreign ones that may call.

    Args:
        hosts: host names besides loopback's that TCP requests may use: the binds' literals and the names in the
            settings.
        origins: foreign origins, as `scheme://host[:port]`, that may call.
    """

    def __init__(self, hosts: frozenset[str] = frozenset(), origins: frozenset[str] = frozenset()) -> None:
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self.origins = frozenset(origin.lower() for origin in origins)

    def check(self, request: Request) -> HerodError | None:
        """None if the request may pass, else its refusal, whose reason is `host`, `origin` or that of a mistake."""
        headers = request.headers
        if request.source.address != "unix" and host_of(headers.get("host", "")) not in self._hosts:
            refused = _refuse_host(request)
            if refused is not None:
                return refused
        origin = headers.get("origin")
        if origin is not None and not is_own_origin(origin, request) and origin.lower() not in self.origins:
            return ForeignOrigin(
                "This origin may not call herod: add it to `origins` in the settings.", reason="origin"
            )
        return None


def _refuse_host(request: Request) -> Misdirected | None:
    host = request.headers.get("host")
    if host is None:  # the reader lets this pass only with HTTP/1.0
        if request.path == HEALTH_PATH:
            return None
        return Misdirected("The Host header is missing: send the host and port that you connect to.")
    if not host:
        return Misdirected("The Host header is empty: send the host and port that you connect to.")
    return Misdirected("Unknown host name: add it to `hosts` in the settings.", reason="host")


def is_own_origin(origin: str, request: Request) -> bool:
    """Whether this origin is the same scheme, host and port that the request goes to."""
    scheme = "https" if request.source.secure else "http"
    host = request.headers.get("host", "").lower()
    return bool(host) and origin.lower() == f"{scheme}://{host}"


def host_of(value: str) -> str:
    """A Host header without its port, in lower case; IPv6 keeps its brackets. Empty if it is malformed."""
    host = value.strip().lower()
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    if end < 0:
        return host
    name, port = host[:end], host[end:]
    is_good = not port or (port[0] == ":" and (len(port) == 1 or (port.isascii() and port[1:].isdigit())))
    return name if is_good else ""
