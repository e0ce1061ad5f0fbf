"""The Host and Origin guard: foreign ones are refused before routing.

It protects against hostile pages in the admin's browser: DNS rebinding shows in Host, a cross-site request in Origin.
"""

from typing import Final, NamedTuple

from herod.protocols.http import Request, Response
from herod.protocols.responses import encode

__all__ = ["LOOPBACK_NAMES", "Guard", "Refusal", "host_of", "is_own_origin"]

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MISDIRECTED: Final = 421  # RFC 9110, section 15.5.20
FORBIDDEN: Final = 403


class Refusal(NamedTuple):
    """The response that refuses a request, and why: `host` or `origin`."""

    reason: str
    response: Response


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

    def check(self, request: Request) -> Refusal | None:
        """None if the request may pass, else its refusal."""
        headers = request.headers
        if request.source.address != "unix" and host_of(headers.get("host", "")) not in self._hosts:
            return _refuse("host", MISDIRECTED, "Unknown host name: add it to `hosts` in the settings.")
        origin = headers.get("origin")
        if origin is not None and not is_own_origin(origin, request) and origin.lower() not in self.origins:
            return _refuse("origin", FORBIDDEN, "This origin may not call herod: add it to `origins` in the settings.")
        return None


def is_own_origin(origin: str, request: Request) -> bool:
    """Whether this origin is the same scheme, host and port that the request goes to."""
    scheme = "https" if request.source.secure else "http"
    host = request.headers.get("host", "").lower()
    return bool(host) and origin.lower() == f"{scheme}://{host}"


def host_of(value: str) -> str:
    """A Host header without its port, in lower case; IPv6 keeps its brackets. Empty if it is malformed."""
    host = value.strip().lower()
    if host.startswith("["):
        address, bracket, port = host.partition("]")
        return address + bracket if bracket and port[:1] in ("", ":") else ""
    return host.partition(":")[0]


def _refuse(reason: str, status: int, message: str) -> Refusal:
    body = encode({"error": {"code": "invalid_request", "message": message}})
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Refusal(reason, Response(status, body, headers))
