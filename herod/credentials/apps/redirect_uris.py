"""Redirect URIs of apps: where a browser may be sent with a code (RFC 6749, section 3.1.2; RFC 8252; RFC 9700).

A code in the wrong hands is a stolen sign-in, so what two parsers may read differently is refused: only ASCII, lower
case in scheme and host, addresses in their one usual form, no user info, no dot segments. What was registered and what
is asked for are then compared as texts. The one exception is `http` on `localhost`, `127.0.0.1` and `[::1]`: programs
listen on any free port there, so the port is ignored (RFC 8252, section 7.3). The three names are not exchangeable.

Must never send a browser to herod's own origin: what comes from there counts as herod's page.
"""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote_plus, urlencode

import msgspec

from herod.web_origins import LOOPBACK_NAMES, origin_at
from herod_client.core.errors import InvalidRequest

__all__ = [
    "MAX_REDIRECT_CHARS",
    "RedirectKind",
    "RedirectUri",
    "asked_redirect",
    "matches",
    "parse_redirect_uri",
    "refuse_own_origin",
    "with_parameters",
]

MAX_REDIRECT_CHARS: Final = 512
# What herod itself adds (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207): an app that reads the first of two would take
# another's.
ADDED: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
# Schemes that browsers, mail programs and others already give a meaning.
FOREIGN_SCHEMES: Final = frozenset(
    {
        "about", "blob", "chrome", "chrome-extension", "chrome-untrusted", "cid", "content", "data", "devtools",
        "edge", "feed", "file", "filesystem", "ftp", "ftps", "gopher", "intent", "irc", "ircs", "jar", "javascript",
        "livescript", "ldap", "ldaps", "magnet", "mailto", "mhtml", "mid", "mms", "moz-extension", "news", "nntp",
        "opera", "pop", "resource", "rtsp", "safari-web-extension", "sftp", "sip", "sips", "sms", "smsto", "smb",
        "ssh", "tel", "telnet", "urn", "vbscript", "view-source", "wais", "webcal", "ws", "wss", "wyciwyg", "xmpp",
    }
)  # fmt: skip
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# RFC 3986, section 2, without "#" (no fragment), "*" (no wildcard) and percent-encoded control characters.
CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()+,;=\[\]-]|%(?!7[Ff])[2-9A-Fa-f][0-9A-Fa-f])+\Z")
SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*\Z")
PARTS: Final = re.compile(r"(?P<scheme>[^:/?]*):(?://(?P<authority>[^/?]*))?(?P<path>[^?]*)(?P<query>\?.*)?\Z")
AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::(?P<port>[1-9][0-9]{0,4}))?\Z")
LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
# What browsers read as a number, and a host that ends in one as an IPv4 address (WHATWG URL, "ends in a number").
NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
MAX_HOST: Final = 253
SHOWN: Final = 64  # characters, in messages
MAX_PORT: Final = 65535
DOT_SEGMENTS: Final = frozenset({".", ".."})


class RedirectKind(StrEnum):
    """What kind of place a redirect leads to.

    Anybody may register the first two; the others only an admin, or the documents that herod ships.
    """

    HTTPS = "https"
    LOOPBACK = "loopback"
    HTTP = "http"
    PRIVATE_USE = "private_use"


class RedirectUri(msgspec.Struct, frozen=True, kw_only=True):
    """A redirect URI that was read and found acceptable.

    Attributes:
        text: as given.
        host: IPv6 in brackets; empty for a private-use scheme.
        port: as written; None if there is none.
        target: the path and query, the path never empty.
    """

    text: str
    kind: RedirectKind
    scheme: str
    host: str = ""
    port: int | None = None
    target: str

    @property
    def is_loopback(self) -> bool:
        """Whether any program on this machine may be behind it."""
        return self.host in LOOPBACK_NAMES or self.host.startswith("127.") or self.host.endswith(".localhost")

    @property
    def is_for_anybody(self) -> bool:
        """Whether an app for which nobody vouches may register it."""
        return self.kind in (RedirectKind.HTTPS, RedirectKind.LOOPBACK)

    @property
    def is_private_use(self) -> bool:
        """Whether the operating system chooses the program that gets it, by its scheme (RFC 8252, section 7.1)."""
        return self.kind is RedirectKind.PRIVATE_USE

    @property
    def shown_host(self) -> str:
        """What to show a person: the host, or the private-use scheme with its colon. Names stay in A-labels."""
        return self.host or f"{self.scheme}:"

    @property
    def origin(self) -> str:
        """Scheme, host and port as browsers write an origin; empty for a private-use scheme."""
        if not self.host:
            return ""
        return origin_at(self.scheme, self.host, self.port or DEFAULT_PORTS[self.scheme])


def parse_redirect_uri(text: str) -> RedirectUri:
    """Read a redirect URI, whoever gives it.

    Raises:
        InvalidRequest: it is not an absolute URI in its usual form, or no browser should be sent there with a code.
    """
    if not 1 <= len(text) <= MAX_REDIRECT_CHARS:
        raise InvalidRequest(f"A redirect URI has 1 to {MAX_REDIRECT_CHARS} characters.")
    if not CHARACTERS.match(text):
        raise InvalidRequest(
            "A redirect URI has only the characters of URIs, without * and # and control characters: percent-encode "
            "others, and write a host in its ASCII form."
        )
    parts = PARTS.match(text)
    if parts is None or not SCHEME.match(parts["scheme"]):
        raise InvalidRequest("A redirect URI begins with a scheme in lower case, such as https://.")
    scheme, authority, path, query = parts.group("scheme", "authority", "path", "query")
    _check_path(path)
    _check_query(query or "")
    if scheme not in DEFAULT_PORTS:
        return _private_use(text, scheme, authority, path + (query or ""))
    host, port = _host_and_port(authority)
    is_loopback = scheme == "http" and host in LOOPBACK_NAMES
    return RedirectUri(
        text=text,
        kind=RedirectKind.LOOPBACK if is_loopback else RedirectKind(scheme),
        scheme=scheme,
        host=host,
        port=port,
        target=(path or "/") + (query or ""),
    )


def matches(registered: RedirectUri, asked: RedirectUri) -> bool:
    """Whether a browser may be sent to `asked`, as far as its app registered `registered`."""
    if registered.kind is not asked.kind:
        return False
    if registered.kind is RedirectKind.LOOPBACK:
        return (registered.host, registered.target) == (asked.host, asked.target)
    if registered.is_private_use:
        return registered.text == asked.text
    return (registered.origin, registered.port, registered.target) == (asked.origin, asked.port, asked.target)


def refuse_own_origin(redirect: RedirectUri, own_origins: Collection[str]) -> None:
    """Refuse to register a redirect to herod itself.

    A loopback one without a port stands for every port, of which `asked_redirect` refuses herod's.

    Args:
        redirect: the redirect.
        own_origins: all that lead to herod, as browsers write them.

    Raises:
        InvalidRequest: it leads there.
    """
    if redirect.kind is not RedirectKind.LOOPBACK or redirect.port is not None:
        _refuse_own(redirect, own_origins)


def asked_redirect(registered: Iterable[str], asked: str | None, own_origins: Collection[str]) -> RedirectUri:
    """The redirect that a request asks for, if its app registered it. Without one, the only one that is registered.

    Args:
        registered: the app's, as it registered them.
        asked: the request's `redirect_uri`.
        own_origins: as in `refuse_own_origin`.

    Raises:
        InvalidRequest: it is not one of the app's, or leads to herod. Never send a browser there with this error.
    """
    known = _readable(registered)
    if asked is None:
        if len(known) != 1:
            raise InvalidRequest("The parameter 'redirect_uri' is missing: send one that the app registered.")
        found = known[0]
    else:
        found = parse_redirect_uri(asked)
        if not any(matches(one, found) for one in known):
            raise InvalidRequest(
                f"The app has not registered the redirect URI {found.text!r}: send one that it registered, "
                "character by character; only the port of a loopback one may differ."
            )
    _refuse_own(found, own_origins)
    return found


def with_parameters(redirect: RedirectUri, parameters: Iterable[tuple[str, str]]) -> str:
    """The URL that takes the response to the app: the redirect with these added to its query."""
    base = redirect.text
    joint = "?" if "?" not in base else "" if base.endswith(("?", "&")) else "&"
    return f"{base}{joint}{urlencode(list(parameters))}"


def _refuse_own(redirect: RedirectUri, own_origins: Collection[str]) -> None:
    if redirect.origin in own_origins:
        raise InvalidRequest(f"A redirect URI cannot lead to herod itself, {redirect.origin}: give the app's own.")


def _readable(registered: Iterable[str]) -> list[RedirectUri]:
    """The redirects that an app registered, without those that were acceptable only to an earlier version."""
    known = []
    for text in registered:
        with suppress(InvalidRequest):
            known.append(parse_redirect_uri(text))
    return known


def _check_path(path: str) -> None:
    segments = {segment.lower().replace("%2e", ".") for segment in re.split(r"/|%2f|%5c", path, flags=re.IGNORECASE)}
    if segments & DOT_SEGMENTS:
        raise InvalidRequest("A redirect URI has no segments . and .. in its path: write the path that they lead to.")


def _check_query(query: str) -> None:
    """Refuse the names that herod adds, in every spelling that frameworks read as one (`code[]`, ` code`)."""
    for pair in re.split("[&;?]", query):
        name = unquote_plus(pair.partition("=")[0], errors="replace").strip("\0\t\n\v\f\r ").partition("[")[0]
        if name.casefold() in ADDED:
            raise InvalidRequest(f"A redirect URI has no parameter {name!r} of its own: herod adds it.")


def _private_use(text: str, scheme: str, authority: str | None, rest: str) -> RedirectUri:
    """A redirect with an app's own scheme (RFC 8252, section 7.1).

    Raises:
        InvalidRequest: the scheme has a meaning already, or nothing follows it.
    """
    if scheme in FOREIGN_SCHEMES or scheme.startswith("ms-"):
        raise InvalidRequest(f"A redirect URI cannot have the scheme {scheme[:SHOWN]!r}: use https or the app's own.")
    if not (authority or "") + rest:
        raise InvalidRequest("A redirect URI needs something after its scheme.")
    if "@" in (authority or ""):
        raise InvalidRequest("A redirect URI has no user info: leave out what stands before the @.")
    target = rest if authority is None else f"//{authority}{rest}"
    return RedirectUri(text=text, kind=RedirectKind.PRIVATE_USE, scheme=scheme, target=target)


def _host_and_port(authority: str | None) -> tuple[str, int | None]:
    """The host and port of an http or https URI.

    Raises:
        InvalidRequest: there is none, or not in the form that every parser reads alike.
    """
    if authority is None:
        raise InvalidRequest("A redirect URI with http or https continues with // and a host.")
    if "@" in authority:
        raise InvalidRequest("A redirect URI has no user info: leave out what stands before the @.")
    match = AUTHORITY.match(authority)
    if match is None:
        raise InvalidRequest("A redirect URI has a host in lower case, and at most a port from 1 to 65535 after it.")
    host, port = match["host"], int(match["port"]) if match["port"] else None
    if port is not None and port > MAX_PORT:
        raise InvalidRequest("A redirect URI has a port from 1 to 65535.")
    if not (_is_ipv6(host) if host.startswith("[") else _is_name_or_ipv4(host)):
        raise InvalidRequest(
            f"The host {host[:SHOWN]!r} of a redirect URI is neither a name nor an address in its usual form."
        )
    return host, port


def _is_name_or_ipv4(host: str) -> bool:
    labels = host.split(".")
    if len(host) > MAX_HOST or not all(LABEL.match(label) for label in labels):
        return False
    if not NUMBER.match(labels[-1]):
        return True
    try:
        return not IPv4Address(host).is_unspecified  # it refuses shorter forms, octal and hexadecimal numbers
    except AddressValueError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        address = IPv6Address(host[1:-1])
    except AddressValueError:
        return False
    is_usual = str(address) == host[1:-1]
    return is_usual and address.ipv4_mapped is None and not address.is_unspecified
