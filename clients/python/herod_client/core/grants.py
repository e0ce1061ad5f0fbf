"""What a principal holds: grants, each of scopes, networks and an expiry.

An intersection never widens, and `covers` is the ⊆ of every ceiling. Several grants are never combined: admin on one
network and read on all of them is not admin on all of them. A check asks whether a single grant covers the request.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from herod_client.core.errors import InvalidRequest, quoted

__all__ = [
    "ALL_NETWORKS",
    "MAX_NETWORKS",
    "NOTHING",
    "Grant",
    "Grants",
    "Networks",
    "check_required_network",
    "intersect_grants",
    "intersect_networks",
    "list_networks",
    "parse_networks",
]

Networks = frozenset[str]
ALL_NETWORKS: Final[Networks] = frozenset({"*"})
# Names in one list, as written: duplicates count.
MAX_NETWORKS: Final = 64
NETWORK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")


class Grant(msgspec.Struct, frozen=True):
    """Scopes (a closed mask of one `ScopeGraph`), networks, and an expiry in Unix seconds; None for never."""

    mask: int
    networks: Networks = ALL_NETWORKS
    expires_at: int | None = None

    def intersect(self, other: "Grant") -> "Grant":
        """Return what both grants hold, never more than either."""
        if other is self:
            return self
        return Grant(
            mask=self.mask & other.mask,
            networks=intersect_networks(self.networks, other.networks),
            expires_at=_earliest(self.expires_at, other.expires_at),
        )

    def covers(self, other: "Grant") -> bool:
        """Whether `other` ⊆ this, in scopes, networks and time."""
        return self.intersect(other) == other

    def is_live(self, now: int) -> bool:
        """Whether the grant has not expired at `now`."""
        return self.expires_at is None or now < self.expires_at

    def proves(self, network: str) -> bool:
        """Whether the grant reaches `network`."""
        return "*" in self.networks or network in self.networks

    @property
    def reach(self) -> tuple[bool, int]:
        """Sort key of grants: by how many networks they reach."""
        return "*" in self.networks, len(self.networks)


NOTHING: Final = Grant(mask=0, networks=frozenset())

Grants = tuple[Grant, ...]
"""What a principal holds: one grant, or several."""


def intersect_grants(grants: Grants, other: Grant) -> Grants:
    """Intersect each grant with `other`."""
    if len(grants) == 1:  # nearly always
        return (grants[0].intersect(other),)
    return tuple([grant.intersect(other) for grant in grants])


def parse_networks(names: Sequence[str], known: Networks = ALL_NETWORKS) -> Networks:
    """Read network names; `*` among them means all.

    Args:
        names: as given.
        known: the networks the settings list; `*` means that any well-formed name is accepted.

    Raises:
        InvalidRequest: the list is empty or too long, or a name is ill-formed or not known.
    """
    if not names:
        raise InvalidRequest('No network was given: give some, or "*" for all.')
    _check_count(names)
    for name in names:
        if name != "*" and not NETWORK_NAME.match(name):
            raise InvalidRequest(
                f"{quoted(name)} is not a network name: use letters, digits and _ . : -, up to 64 of them."
            )
        if name != "*" and "*" not in known and name not in known:
            raise InvalidRequest(f"Unknown network {quoted(name)}: known networks are {', '.join(sorted(known))}.")
    return ALL_NETWORKS if "*" in names else frozenset(names)


@lru_cache(1024)  # what is refused is not cached, so the names are short
def check_required_network(name: str, known: Networks = ALL_NETWORKS) -> None:
    """Refuse a network that nobody can require: an empty requirement never passes.

    Args:
        name: one network's name; `*` requires all networks.
        known: as in `parse_networks`.

    Raises:
        InvalidRequest: it is empty, ill-formed or not known.
    """
    if name in known or ("*" in known and NETWORK_NAME.match(name)):
        return
    if not name.strip():
        raise InvalidRequest("The required network is empty: give a network's name, or leave it out.")
    parse_networks((name,), known)


def list_networks(networks: Collection[str]) -> tuple[str, ...]:
    """Return networks as a new record stores them, in a stable order.

    Raises:
        InvalidRequest: there are too many, as in a grant made by an earlier version.
    """
    _check_count(networks)
    return tuple(sorted(networks))


def intersect_networks(first: Networks, second: Networks) -> Networks:
    """Return the networks in both; `*` means all."""
    if "*" in first:
        return second
    if "*" in second:
        return first
    return first & second


def _check_count(names: Collection[str]) -> None:
    if len(names) > MAX_NETWORKS:
        raise InvalidRequest(
            f'At most {MAX_NETWORKS} networks can be given, not {len(names)}: give fewer, or "*" for all.'
        )


def _earliest(first: int | None, second: int | None) -> int | None:
    return min((t for t in (first, second) if t is not None), default=None)
