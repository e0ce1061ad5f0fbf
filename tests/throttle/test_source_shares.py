"""Whose share of a limit a request uses."""

from dataclasses import replace

import pytest

from herod.scopes.principal import Source
from herod.throttle.source_shares import exact_share_of, share_of
from support.wrong_guesses import tcp, uid


@pytest.mark.parametrize(
    ("source", "exact", "share"),
    [
        (uid(1000), "uid:1000", "uid:1000"),
        (tcp("192.0.2.7"), "192.0.2.7", "192.0.2.7"),
        (tcp("127.0.0.1"), "127.0.0.1", "127.0.0.0/8"),
        (tcp("127.9.9.9"), "127.9.9.9", "127.0.0.0/8"),
        (tcp("::ffff:127.9.9.9"), "127.9.9.9", "127.0.0.0/8"),
        (tcp("::ffff:192.0.2.7"), "192.0.2.7", "192.0.2.7"),
        (tcp("2001:db8:1:2:3::4"), "2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        (tcp("fe80::1%eth0"), "fe80::/64", "fe80::/64"),
        (tcp("::1"), "::/64", "::/64"),
        (Source(), "unix", "unix"),
        (tcp("127.9.9.9", uid=1000), "uid:1000", "uid:1000"),
        (tcp("::1", uid=1000), "uid:1000", "uid:1000"),
        (tcp("127.9.9.9", uid=0, may_relay=True), "127.9.9.9 uid:0", "127.0.0.0/8 uid:0"),
        (tcp("::1", uid=65534, may_relay=True), "::/64 uid:65534", "::/64 uid:65534"),
    ],
)
def test_what_a_source_is(source: Source, exact: str, share: str) -> None:
    """All addresses that one party can choose from are one share, and a user has the same one by every protocol."""
    assert (exact_share_of(source), share_of(source)) == (exact, share)


@pytest.mark.parametrize(
    ("proxy", "share"),
    [
        (replace(uid(33), may_relay=True), "192.0.2.7"),
        (tcp("198.51.100.1"), "192.0.2.7"),
        (tcp("127.0.0.1"), "192.0.2.7"),
        (tcp("127.0.0.1", uid=1000), "192.0.2.7 by uid:1000"),
    ],
)
def test_a_proxys_client_has_its_own_share(proxy: Source, share: str) -> None:
    """It is its address; what a local user says over TCP uses no share of what another one says."""
    assert share_of(replace(proxy, client="192.0.2.7")) == share
    assert share_of(replace(proxy, client="192.0.2.7", origin="https://x")) == f"{share} https://x"


def test_a_foreign_page_has_a_share_of_its_own() -> None:
    """A web page in somebody's browser uses no share of that person's own."""
    assert share_of(replace(tcp("127.0.0.1", uid=1000), origin="https://evil")) == "uid:1000 https://evil"
