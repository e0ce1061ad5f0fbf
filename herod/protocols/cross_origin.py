"""Which pages of other origins may call which paths, and the headers that let them read the answers (CORS).

(The Fetch standard, "HTTP-Access-Control"; OAuth clients in browsers and the MCP inspector need it.)

    path                                      whose pages may call it                 their answers
    the API: REST, JSON-RPC, MCP, OAuth       those on loopback, and the listed ones  they can read
    /.well-known/…                            all                                     they can read
    POST /authorize, /logout                  all: a form, that is only a request     they cannot read
    everything else, the dashboard included   the listed ones                         they cannot read

Must never let a page use what its visitor's browser is: there is no Access-Control-Allow-Credentials, the router takes
the cookie out of such a request, and `Authorization: Peer` is refused with any Origin.
"""

import re
from collections.abc import Collection
from enum import Enum, auto
from typing import Final

import msgspec

from herod.protocols.host_and_origin_guard import PageKind
from herod.protocols.http import Request, Response
from herod_client.core.errors import ForeignOrigin

__all__ = [
    "MAX_MCP_PARAMS",
    "PREFLIGHT_AGE",
    "CrossOrigin",
    "Headers",
    "asked_method",
    "is_preflight",
    "preflight_answer",
    "readable",
]

Headers = tuple[tuple[str, str], ...]

LOCAL_PATHS: Final = frozenset(
    {
        "/oauth/register",
        "/device_authorization",
        "/token",
        "/userinfo",
        "/introspect",
        "/revoke",
        "/mcp",
        "/rpc",
        "/validate",
    }
)
API: Final = "/api/v1/"
WELL_KNOWN: Final = "/.well-known/"
FORMS: Final = frozenset({"/authorize", "/logout"})

# Seconds that a browser may remember a preflight's answer.
PREFLIGHT_AGE: Final = 600
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
# What clients in browsers send. No header by which a proxy names a client is among them.
ACCEPTED: Final = (
    "Accept, Authorization, Baggage, Cache-Control, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, "
    "Mcp-Name, Mcp-Session-Id, Traceparent, Tracestate, X-API-Key, X-Herod-Secret, X-Requested-With, X-Resource-Secret"
)
# An argument of a tool that an MCP client repeats in a header (MCP 2026-07-28, "Custom Headers from Tool Parameters").
MCP_PARAM: Final = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,64}\Z")
MAX_MCP_PARAMS: Final = 32
EXPOSED: Final = (
    "Access-Control-Expose-Headers",
    "WWW-Authenticate, Retry-After, Allow, Mcp-Session-Id, MCP-Protocol-Version",
)
VARY: Final = ("Vary", "Origin")


class Reach(Enum):
    """Whose pages may call a path."""

    LISTED = auto()
    LOCAL = auto()
    ALL = auto()
    ALL_FORMS = auto()


class CrossOrigin:
    """Decides about requests of other origins' pages.

    Args:
        documents: the paths that all may read besides those below `/.well-known/`.
    """

    def __init__(self, documents: Collection[str] = ()) -> None:
        self._documents = frozenset(documents)

    def check(self, kind: PageKind, method: str, path: str) -> ForeignOrigin | None:
        """None if a page may send such a request, else its refusal."""
        reach = self._reach(method, path)
        if kind in (PageKind.OWN, PageKind.LISTED) or reach in (Reach.ALL, Reach.ALL_FORMS):
            return None
        if kind is PageKind.LOOPBACK and reach is Reach.LOCAL:
            return None
        return ForeignOrigin("This origin may not call herod: add it to `origins` in the settings.", reason="origin")

    def headers(self, kind: PageKind, origin: str, method: str, path: str) -> Headers:
        """What an answer needs for such a page to read it, errors included; nothing if it must not.

        Args:
            kind: whose page it is.
            origin: the Origin header, as it was sent.
            method: of the request, or the one that a preflight asks about.
            path: without a final slash.
        """
        reach = self._reach(method, path)
        if reach is Reach.ALL:
            return ("Access-Control-Allow-Origin", "*"), EXPOSED, VARY
        if reach is Reach.LOCAL and kind is not PageKind.FOREIGN:
            return ("Access-Control-Allow-Origin", origin), EXPOSED, VARY
        return ()

    def _reach(self, method: str, path: str) -> Reach:
        if path in LOCAL_PATHS or path.startswith(API) or (path == "/" and method == "POST"):
            return Reach.LOCAL
        if path.startswith(WELL_KNOWN) or path in self._documents:
            return Reach.ALL
        return Reach.ALL_FORMS if path in FORMS and method == "POST" else Reach.LISTED


def asked_method(request: Request) -> str:
    """The request's method, or the one that a preflight asks about."""
    if request.method != "OPTIONS":
        return request.method
    return request.headers.get("access-control-request-method", "OPTIONS")


def is_preflight(request: Request) -> bool:
    """Whether a browser asks before it sends what a page wants (Fetch, "CORS-preflight request")."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def preflight_answer(request: Request, allowed: Headers) -> Response:
    """The answer to a preflight: the same for every path, so that the request's own answer says what is wrong."""
    names = request.headers.get("access-control-request-headers", "").lower().split(",")
    wanted = (name.strip() for name in names)
    params = dict.fromkeys(name for name in wanted if MCP_PARAM.match(name))
    (allow_origin, *_) = allowed
    headers = (
        allow_origin,
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", ", ".join((ACCEPTED, *list(params)[:MAX_MCP_PARAMS]))),
        ("Access-Control-Max-Age", str(PREFLIGHT_AGE)),
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    )
    return Response(204, headers=headers, is_quiet=True)


def readable(response: Response, allowed: Headers) -> Response:
    """The response with the headers that let a page read it."""
    if not allowed:
        return response
    has_vary = any(name == "Vary" for name, _ in response.headers)
    return msgspec.structs.replace(response, headers=(*response.headers, *(allowed[:-1] if has_vary else allowed)))
