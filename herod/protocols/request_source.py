"""The source of one request: its connection's, and what a trusted proxy and a browser say about it.

A trusted proxy adds its client's address to `X-Forwarded-For`, or to `Forwarded` (RFC 7239), at the end. So the lists
are read from the end, and what stands before the client, which the client itself may have sent, is never looked at.
Where they are unclear the proxy itself is the source: nobody gets another's share by confusing them.

Must never grant anything by what a header says: sources are for limits and logs, and `is_direct` only takes away.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from herod.protocols.host_and_origin_guard import host_of
from herod.protocols.http import Request
from herod.scopes.principal import OTHER_ORIGIN, Source
from herod.settings.trusted_proxies import TrustedProxies, plain_address
from herod.web_origins import LOOPBACK_NAMES

__all__ = ["MAX_PROXIES", "forwarded_client", "is_direct", "request_source"]

# Trusted proxies in a row before a request's client.
MAX_PROXIES: Final = 16
# What a browser says of requests that a page of another origin made (Fetch Metadata, section 2.3).
OTHER_SITES: Final = frozenset({"cross-site", "same-site"})

# What proxies add besides X-Forwarded-*.
RELAYED: Final = frozenset({"forwarded", "via", "x-real-ip"})

TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 9110, section 5.6.2
PAIR: Final = rf'({TOKEN})=(?:({TOKEN})|"((?:[^"\\]|\\.)*)")'
PAIRS: Final = re.compile(PAIR)
ELEMENT: Final = re.compile(rf"{PAIR}(?:;{PAIR})*\Z")
# `192.0.2.7`, `192.0.2.7:4711` or `[2001:db8::7]:4711`; the port may be obfuscated (RFC 7239, section 6).
NODE: Final = re.compile(r"(?:(\d[\d.]*)|\[([0-9A-Fa-f:.]+)\])(?::(?:\d{1,5}|_[A-Za-z0-9._-]+))?\Z", re.ASCII)


def request_source(request: Request, proxies: TrustedProxies, page: str = "") -> Source:
    """The source of a request.

    Args:
        request: its source is its connection's.
        proxies: who may name a client.
        page: the foreign origin that its Origin header names; empty if it names none, or herod's own.
    """
    source, headers = request.source, request.headers
    client = forwarded_client(request, proxies) if proxies and _is_proxy(source, proxies) else None
    origin = page
    if headers.get("sec-fetch-site") in OTHER_SITES and "origin" not in headers:
        origin = OTHER_ORIGIN
    return replace(source, client=client, origin=origin) if client is not None or origin else source


def is_direct(request: Request) -> bool:
    """Whether a request reached herod on its own machine: at a loopback name or the Unix socket, and by no proxy.

    A hint, as far as proxies say what they are. Over TCP, the guard has checked the Host.
    """
    headers = request.headers
    is_local = request.source.address == "unix" or host_of(headers.get("host", "")) in LOOPBACK_NAMES
    return is_local and not any(name in RELAYED or name.startswith("x-forwarded-") for name in headers)


def forwarded_client(request: Request, proxies: TrustedProxies) -> str | None:
    """The client that a trusted proxy names; None if its headers name none, or two.

    It is the last address that is not a trusted proxy's. Obfuscated and unknown clients are not named.
    """
    headers = request.headers
    named = set()
    if "x-forwarded-for" in headers:
        named.add(_client(_reversed_list(headers["x-forwarded-for"]), proxies))
    if "forwarded" in headers:
        named.add(_client(map(_node, _reversed_elements(headers["forwarded"])), proxies))
    return named.pop() if len(named) == 1 else None


def _is_proxy(source: Source, proxies: TrustedProxies) -> bool:
    if source.peer is not None:
        return source.peer.uid in proxies.uids
    address = plain_address(source.address)
    return address is not None and proxies.has_address(address)


def _client(nodes: Iterator[str], proxies: TrustedProxies) -> str | None:
    for _, node in zip(range(MAX_PROXIES + 1), nodes, strict=False):
        match = NODE.match(node)
        address = plain_address((match[1] or match[2]) if match is not None else node)
        if address is None:
            return None
        if not proxies.has_address(address):
            return str(address)
    return None


def _reversed_list(value: str) -> Iterator[str]:
    """The words of a list that commas separate, from the last one."""
    while value:
        value, _, word = value.rpartition(",")
        yield word.strip(" \t")


def _reversed_elements(value: str) -> Iterator[str]:
    """Like `_reversed_list`, but a comma within a quoted string (RFC 9110, section 5.6.4) separates nothing."""
    end, is_quoted = len(value), False
    for at in range(len(value) - 1, -1, -1):
        if value[at] == '"' and not (is_quoted and _is_escaped(value, at)):
            is_quoted = not is_quoted
        elif value[at] == "," and not is_quoted:
            yield value[at + 1 : end].strip(" \t")
            end = at
    yield value[:end].strip(" \t")


def _is_escaped(value: str, at: int) -> bool:
    first = at
    while first and value[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _node(element: str) -> str:
    """The node that a Forwarded element is for; empty if it is malformed, or names none or two."""
    pairs = PAIRS.findall(element) if ELEMENT.match(element) else []
    nodes = [token or re.sub(r"\\(.)", r"\1", quoted) for name, token, quoted in pairs if name.lower() == "for"]
    return nodes[0] if len(nodes) == 1 else ""
