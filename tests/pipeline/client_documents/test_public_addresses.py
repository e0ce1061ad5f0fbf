"""Which addresses herod may connect to for a stranger's URL."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.pipeline.client_documents.public_addresses import is_public

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
    "198.17.255.255",

    "198.20.0.1", "223.255.255.1", "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e", "2400:cb00:2048:1::c629:d7a2",
]  # fmt: skip
FORBIDDEN = [
    # loopback, private, shared, link-local with the metadata of clouds
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "192.168.255.255", "100.64.0.1", "100.127.255.255", "100.100.100.200", "169.254.0.1", "169.254.169.254",
    "168.63.129.16", ".".join("0000"), "0.1.2.3",
    # multicast, reserved, broadcast, documentation, benchmarks, relays
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1",
    "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1", "192.31.196.1", "192.52.193.1",
    "192.175.48.1",
    # IPv6: unspecified, loopback, unique local, link-local, site-local, multicast, discard, documentation
    "::", "::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1",
    "2001:db8::1", "3fff::1", "3ffe::1", "5f00::1", "4000::1",
    # IPv4 in IPv6: mapped, compatible, translated, 6to4, Teredo, ISATAP; with public addresses inside, too
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1",
    "2002:808:808::1", "2001::7f00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:2::1",
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1",
    # what is no plain address
    "", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]", "8.8.8.8:53", "8.8.8.8/32", "8.8.8.8 ",
    "08.8.8.8",
    "8.8.8.8%eth0", "2606:4700:4700::1111%eth0",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """Addresses that everybody reaches alike are public."""
    assert is_public(address)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden(address: str) -> None:
    """Addresses of a machine, a network or a purpose are not, nor those that contain another one."""
    assert not is_public(address)


@given(number=st.integers(0, 2**32 - 1))
def test_all_of_ipv4(number: int) -> None:
    """What Python's own tables do not take for global is never public, nor is it in IPv6."""
    address = ipaddress.IPv4Address(number)
    assert not is_public(str(address)) or address.is_global
    for prefix in ("::ffff:", "64:ff9b::", "::"):
        assert not is_public(f"{prefix}{address}")


@given(number=st.integers(0, 2**128 - 1))
def test_all_of_ipv6(number: int) -> None:
    """The same for IPv6: only global unicast."""
    address = ipaddress.IPv6Address(number)
    assert not is_public(str(address)) or (address.is_global and address in ipaddress.IPv6Network("2000::/3"))
