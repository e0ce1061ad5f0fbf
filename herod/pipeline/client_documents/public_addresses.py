"""Which IP addresses are public: those that everybody reaches alike, so that herod is no way to anything else.

Stricter than `ipaddress.is_global`: an address that contains another one (IPv4 in IPv6, tunnels, translation) is
refused, because the network may deliver to the one inside. Pure.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

__all__ = ["is_public"]

# IANA's registries of special-purpose addresses (RFC 6890), and what clouds answer to every machine within them.
FORBIDDEN_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared: carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's own services, at a public address
            "169.254.0.0/16",  # link-local: metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# Global unicast (RFC 4291, section 2.4): mapped, translated (64:ff9b::/96), unique local, link-local, site-local and
# multicast addresses are outside of it.
GLOBAL_6: Final = IPv6Network("2000::/3")
FORBIDDEN_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # 6bone
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether a resolved address is a public one; False for what is no plain address, such as one with a zone."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in FORBIDDEN_4)
    return _is_public_6(parsed)


def _is_public_6(address: IPv6Address) -> bool:
    # An interface identifier with 0:5efe is ISATAP's, which has an IPv4 address inside (RFC 5214, section 6.1).
    is_isatap = (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE
    is_inside = address in GLOBAL_6 and not any(address in network for network in FORBIDDEN_6)
    return is_inside and address.scope_id is None and not is_isatap
