"""Whether two requests come from the same place, as far as a person should be told. Pure.

A terminal and a browser of one person may reach herod by different ways: a Unix socket, 127.0.0.1, or ::1. What a
person is shown tells them whether to look twice; it proves nothing, and must never decide what a request may do.
"""

from ipaddress import ip_address
from typing import Final, Literal

from herod.scopes.principal import Source
from herod.throttle.source_shares import share_of

__all__ = ["Distance", "distance_of", "place_of"]

Distance = Literal["same", "machine", "elsewhere"]

HERE: Final = "here"
USER: Final = "user "


def place_of(source: Source) -> str:
    """The local user, this machine if the kernel does not name the user, or the other machine's network."""
    if source.client is None:
        if source.user is not None:
            return f"{USER}{source.user}"
        if source.address == "unix" or _is_loopback(source.address):
            return HERE
    return share_of(source).partition(" ")[0]


def distance_of(one: str, other: str) -> Distance:
    """How far apart two places are: the same, perhaps different users of this machine, or different machines."""
    if one == other:
        return "same"
    is_here = [place == HERE or place.startswith(USER) for place in (one, other)]
    return "machine" if all(is_here) else "elsewhere"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
