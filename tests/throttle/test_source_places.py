"""Where a person is told that a request came from, beside their own browser."""

import pytest

from herod.scopes.principal import Peer, Source
from herod.throttle.source_places import Distance, distance_of, place_of

HERE = Source(address="127.0.0.1")
ADA = Source(peer=Peer(uid=1000, gid=1000))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        (HERE, Source(address="::1"), "same"),
        (HERE, Source(address="127.8.8.8"), "same"),
        (HERE, Source(address="unix"), "same"),
        (ADA, Source(address="127.0.0.1", tcp_uid=1000), "same"),
        (ADA, Source(peer=Peer(uid=1001, gid=1000)), "machine"),
        (ADA, HERE, "machine"),
        (HERE, Source(address="127.0.0.1", tcp_uid=0, may_relay=True), "same"),
        (HERE, Source(address="192.0.2.7"), "elsewhere"),
        (ADA, Source(address="127.0.0.1", tcp_uid=1000, client="192.0.2.7"), "elsewhere"),
        (ADA, Source(address="127.0.0.1", client="127.0.0.1"), "elsewhere"),
        (Source(address="192.0.2.7"), Source(address="192.0.2.7", origin="http://localhost:1"), "same"),
        (Source(address="2001:db8::1"), Source(address="2001:db8::2"), "same"),
        (Source(address="2001:db8::1"), Source(address="2001:db8:1::1"), "elsewhere"),
        (Source(address="192.0.2.7"), Source(address="192.0.2.8"), "elsewhere"),
        (Source(address="nonsense"), HERE, "elsewhere"),
    ],
)
def test_distances(one: Source, other: Source, distance: Distance) -> None:
    """The same user or machine by any way is the same place, and a proxy's client is where the proxy says."""
    assert distance_of(place_of(one), place_of(other)) == distance
    assert distance_of(place_of(other), place_of(one)) == distance
