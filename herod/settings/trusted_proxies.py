"""The proxies that may say which client a request comes from: the setting `trusted_proxies`. Pure."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from herod.settings.setting_kinds import FoundSetting
from herod_client.core.errors import SettingsError

__all__ = ["NO_PROXIES", "TrustedProxies", "parse_trusted_proxies", "plain_address"]

Address = IPv4Address | IPv6Address
MAX_UID: Final = 2**32 - 2  # (uid_t) -1 means no uid
MAX_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies, by their address over TCP or their uid on a Unix socket. Neither stands in for the other."""

    networks: frozenset[IPv4Network | IPv6Network] = frozenset()
    uids: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.networks or self.uids)

    def has_address(self, address: Address) -> bool:
        """Whether an address, as `plain_address` gives it, is a proxy's."""
        return any(address in network for network in self.networks)

    @property
    def has_loopback(self) -> bool:
        """Whether every local user may be taken for a proxy, over TCP."""
        return any(network.is_loopback for network in self.networks)


NO_PROXIES: Final = TrustedProxies()


def plain_address(text: str) -> Address | None:
    """Parse an address; an IPv4-mapped one gives the IPv4 address. None if it is none, or has a zone."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id is not None else address.ipv4_mapped or address
    return address


def parse_trusted_proxies(found: FoundSetting) -> TrustedProxies:
    """Parse the setting.

    Raises:
        SettingsError: a word is neither an address, nor a network, nor `uid:N`.
    """
    networks, uids = set(), set()
    for word in found.value:
        if word.startswith("uid:"):
            uids.add(_parse_uid(word, found.where))
        else:
            networks.add(_parse_network(word, found.where))
    return TrustedProxies(frozenset(networks), frozenset(uids))


def _parse_uid(word: str, where: str) -> int:
    digits = word.removeprefix("uid:")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS and int(digits) <= MAX_UID):
        raise SettingsError(f"{where}: found {word[:80]!r}, expected a user's number, as in uid:33.")
    return int(digits)


def _parse_network(word: str, where: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(word)
    except ValueError:
        raise SettingsError(
            f"{where}: found {word[:80]!r}, expected an address, a network like 10.0.0.0/8 whose host bits are zero, "
            "or uid:N."
        ) from None
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped) is not None:
        raise SettingsError(f"{where}: found {word[:80]!r}, expected an IPv4 address such as {mapped}.")
    if not network.prefixlen:
        raise SettingsError(f"{where}: found {word[:80]!r}, which trusts everybody: name the proxies alone.")
    return network
