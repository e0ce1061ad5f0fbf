"""Whose share of a limit a request uses: the one answer for every limit, quota, queue and place. Pure.

    the request comes from                                    its share
    a local user, on a Unix socket or over TCP                `uid:1000`
    another machine                                           its IPv4 address, or its IPv6 /64 network
    this machine, where the kernel does not name the user     `127.0.0.0/8`, and so on
    this machine, from a uid that may act for many others     the same, with that uid: `127.0.0.0/8 uid:0`
    a trusted proxy that names its client                     the client's address, and the proxy's uid over loopback
    a page of a foreign origin in somebody's browser          that browser's share, with the origin

So nobody can choose among several shares, except among pages, which have a limit together (`source_ranges.py`), and
nobody uses up the share of another user. A share is a name for limits only: it proves nothing, and must never decide
what a request may do.
"""

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from herod.scopes.principal import Source

__all__ = ["exact_share_of", "share_of"]

LOOPBACK_NETWORK: Final = ip_network("127.0.0.0/8")
IPV6_PREFIX: Final = 64  # the smallest network that a subscriber usually gets


def share_of(source: Source) -> str:
    """The share that a request or connection from this source uses."""
    return _share(source, is_exact=False)


def exact_share_of(source: Source) -> str:
    """Like `share_of`, but every address of 127.0.0.0/8 has a share of its own. Only for locks of (account, source).

    Where the kernel does not name the user, a stranger who locks 127.0.0.1 then does not lock 127.0.0.2.
    """
    return _share(source, is_exact=True)


def _share(source: Source, *, is_exact: bool) -> str:
    if source.client is not None:
        share = _network(source.client, is_exact=is_exact)
        if source.tcp_uid is not None:  # any local user can say who its client is if a loopback address is trusted
            share = f"{share} by uid:{source.tcp_uid}"
    elif source.peer is not None:
        share = f"uid:{source.peer.uid}"
    elif source.tcp_uid is None:
        share = _network(source.address, is_exact=is_exact)
    elif source.may_relay:
        share = f"{_network(source.address, is_exact=is_exact)} uid:{source.tcp_uid}"
    else:
        share = f"uid:{source.tcp_uid}"
    return f"{share} {source.origin}" if source.origin else share


def _network(text: str, *, is_exact: bool) -> str:
    """The addresses that one party can choose from, as text."""
    try:
        address = ip_address(text)
    except ValueError:  # a Unix socket without a peer
        return text
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(LOOPBACK_NETWORK) if address in LOOPBACK_NETWORK and not is_exact else str(address)
