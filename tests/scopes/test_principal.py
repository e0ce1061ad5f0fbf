"""Principals and their sources."""

import pytest

from herod.scopes.principal import ANONYMOUS, NOBODY_UID, AuthMethod, Peer, PrincipalKind, Source
from herod_client.core.grants import NOTHING


@pytest.mark.parametrize(
    ("source", "label"),
    [
        (Source(), "unix"),
        (Source(address="127.0.0.1"), "127.0.0.1"),
        (Source(address="::1", secure=True), "::1"),
        (Source(address="127.0.0.1", tcp_uid=1000), "127.0.0.1 (uid 1000)"),
        (Source(address="127.0.0.1", tcp_uid=0, may_relay=True), "127.0.0.1"),
        (Source(address="127.0.0.1", tcp_uid=1000, client="192.0.2.7"), "192.0.2.7 (by uid 1000)"),
        (Source(address="192.0.2.1", client="192.0.2.7"), "192.0.2.7"),
        (Source(peer=Peer(uid=33, gid=33), may_relay=True, client="192.0.2.7"), "192.0.2.7"),
        (Source(peer=Peer(uid=1000, gid=1000)), "uid:1000"),
        (Source(peer=Peer(uid=NOBODY_UID, gid=NOBODY_UID, groups=frozenset({4}))), "uid:65534"),
    ],
)
def test_source_label(source: Source, label: str) -> None:
    """The label of a source is the uid of a peer, or else the address."""
    assert source.label == label


def test_anonymous_holds_nothing() -> None:
    """The anonymous principal has no grant."""
    assert ANONYMOUS.grants == (NOTHING,)
    assert (ANONYMOUS.kind, ANONYMOUS.method) == (PrincipalKind.ANONYMOUS, AuthMethod.ANONYMOUS)
    assert not any(grant.proves("any") for grant in ANONYMOUS.grants)
