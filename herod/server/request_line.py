"""A request's first line: method, target and version (RFC 9112, section 3). Sans-IO.

It is parsed by itself, because a request that is refused later is answered in the format of its path.
"""

import re
from typing import Final, NamedTuple

from herod.protocols.http import Asked
from herod_client.core.errors import MalformedRequest, MethodNotAllowed, NotImplementedHere

__all__ = ["METHODS", "RequestLine", "asked_of", "parse_request_line"]

# RFC 9110, section 9, RFC 5789 (PATCH) and HTTP's newer QUERY. Which of them a path takes is the router's business.
METHODS: Final = frozenset(
    {b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"QUERY", b"TRACE"}
)
_SERVED: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_LINE: Final = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+) ([!-~]+) HTTP/1\.([01])\r\n")
# Without the fragment that llhttp accepts.
_ORIGIN_FORM: Final = re.compile(rb"/[!-\"$-~]*")
# Of a head that may be malformed; an origin has no spaces (RFC 6454, section 7.1).
_ORIGIN: Final = re.compile(rb"\r\norigin:[ \t]*([!-~]{1,128})[ \t]*(?=\r\n)", re.IGNORECASE)
_ABSOLUTE_FORM: Final = re.compile(rb"(https?)://([^/?#]+)([/?][!-\"$-~]*)?", re.IGNORECASE)


class RequestLine(NamedTuple):
    """A request line.

    Attributes:
        target: as sent.
        path: the path in it; `*` for OPTIONS of the whole server.
        authority: the host and port in it, unchecked; None if it has none.
        is_https: the scheme in it; None if it has none.
        is_modern: HTTP/1.1, not 1.0.
    """

    method: bytes
    target: bytes
    path: str
    query: str
    authority: str | None
    is_https: bool | None
    is_modern: bool


def parse_request_line(data: bytes) -> RequestLine:
    """The first line of a head.

    Raises:
        MalformedRequest: it is not a request line, or herod takes no target of this form.
        MethodNotAllowed: CONNECT, which is for proxies.
        NotImplementedHere: the method is unknown.
    """
    found = _LINE.match(data)
    if found is None:
        raise MalformedRequest(
            "The request line must be a method, a path in ASCII and HTTP/1.1, separated by single spaces."
        )
    method, target, minor = found.groups()
    if method not in METHODS:
        raise NotImplementedHere(
            f"Unknown request method: send {', '.join(_SERVED[:-1])} or {_SERVED[-1]}, in capitals."
        )
    if method == b"CONNECT":
        raise MethodNotAllowed("Herod is not a proxy: it does not support CONNECT.", allowed=_SERVED)
    return _with_target(method, target, is_modern=minor == b"1")


def _with_target(method: bytes, target: bytes, *, is_modern: bool) -> RequestLine:
    if _ORIGIN_FORM.fullmatch(target):
        path, _, query = target.decode("ascii").partition("?")
        return RequestLine(method, target, path, query, None, None, is_modern)
    if target == b"*" and method == b"OPTIONS":
        return RequestLine(method, target, "*", "", None, None, is_modern)
    absolute = _ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        raise MalformedRequest("The request target must be a path, such as /health.")
    scheme, authority, rest = absolute.groups()
    path, _, query = (rest or b"").decode("ascii").partition("?")
    if not path:  # RFC 9112, section 3.2.4: OPTIONS of a URL without a path is about the whole server
        path = "*" if method == b"OPTIONS" and not query else "/"
    return RequestLine(method, target, path, query, authority.decode("ascii"), scheme.lower() == b"https", is_modern)


def asked_of(data: bytes) -> Asked:
    """What a head asks for, however wrong the rest is; nothing if its first line is not whole."""
    found = _LINE.match(data)
    if found is None:
        return Asked()
    method, target, minor = found.groups()
    known = (method if method in METHODS else b"").decode("ascii")
    origins = _ORIGIN.findall(data.partition(b"\r\n\r\n")[0] + b"\r\n")
    origin = origins[0].decode("ascii") if len(origins) == 1 else None
    try:
        return Asked(known, _with_target(method, target, is_modern=minor == b"1").path, origin)
    except MalformedRequest:
        return Asked(known, "", origin)
