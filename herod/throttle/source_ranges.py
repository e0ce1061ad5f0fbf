"""The range that a source belongs to: sources that one person can usually have many of. Pure.

A local user may hold thousands of subordinate uids, a subscriber a whole IPv6 network, and any program may say that it
is a page of any origin on loopback. Each of these is a source of its own; queues are fair between the ranges first, and
then between the sources within one.

    source                          range
    uid:100000 and above            the 65,536 uids that useradd gives one user (subuid(5))
    an IPv6 /64                     its /48, which a subscriber may get (RFC 6177)
    a page in a browser             all pages in the browsers of that range
    anything else                   itself
"""

from ipaddress import IPv6Network
from typing import Final

from herod.scopes.principal import OTHER_ORIGIN

__all__ = ["page_of", "pages_together", "range_of"]

# login.defs(5): SUB_UID_MIN and SUB_UID_COUNT as they are by default.
FIRST_SUBORDINATE: Final = 100_000
SUBORDINATES: Final = 65_536
SITE_PREFIX: Final = 48
PAGES: Final = "pages"


def range_of(share: str) -> str:
    """The range of a share, as `source_shares.py` names it."""
    source = share.partition(" ")[0]
    if page := page_of(share):
        return f"{range_of(share.removesuffix(f' {page}'))} {PAGES}"
    kind, _, number = source.partition(":")
    if kind == "uid" and number.isdecimal() and int(number) >= FIRST_SUBORDINATE:
        first = int(number) - (int(number) - FIRST_SUBORDINATE) % SUBORDINATES
        return f"uids:{first}-{first + SUBORDINATES - 1}"
    if source.endswith("::/64"):
        try:
            return str(IPv6Network(source).supernet(new_prefix=SITE_PREFIX))
        except ValueError:
            return share
    return share


def page_of(share: str) -> str:
    """The origin of the page whose share it is, or `OTHER_ORIGIN`; empty if it is not a page's."""
    page = share.partition(" ")[2].rpartition(" ")[2]
    return page if "://" in page or page == OTHER_ORIGIN else ""


def pages_together(share: str) -> str:
    """The share itself, or, of a page, its range: for limits that a choice among many origins must not multiply."""
    range_ = range_of(share)
    return range_ if range_.endswith(f" {PAGES}") else share
