"""Herod's own URLs, from the settings and the addresses that it holds now.

Whoever holds one of the two loopback addresses of a port is `localhost` with that port to half of the clients. So herod
is called `localhost` only while it holds both, and otherwise has no URL at which people sign in.
"""

import logging
from collections.abc import AsyncIterable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from herod.identity.config import Config
from herod.identity.runtime_state import Runtime
from herod.server.sockets.listener_set import Listeners, PlaceState
from herod.settings import Settings
from herod.store.changes_between_writes import while_nobody_writes
from herod.store.store_interface import Store
from herod.web_origins import LOOPBACK_NAMES, origin_at, origin_of

__all__ = ["NOWHERE", "PublicNames", "follow_names", "public_names"]

_log = logging.getLogger("herod")

# The public URL of a herod that no browser can reach: a name that never resolves (RFC 6761, section 6.4).
NOWHERE: Final = "http://herod.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicNames:
    """What `Config` has under the same names."""

    public_url: str
    has_browser_origin: bool
    aliases: frozenset[str]
    own_origins: frozenset[str]

    def applied_to(self, config: Config) -> Config:
        """The settings with these names."""
        return replace(config, **asdict(self))


def public_names(settings: Settings, listeners: Listeners) -> PublicNames:
    """The names of a daemon with these settings, while it listens there."""
    scheme = "http" if settings.tls_cert is None else "https"
    places = listeners.places
    url, has_browser_origin = _default_url(scheme, places), True
    if settings.public_url is not None:
        url, has_browser_origin = settings.public_url, _is_held(settings.public_url, places)
    elif url is None:
        url, has_browser_origin = NOWHERE, False
    held = [_at_loopback("http", one.port) for one in places if one.holds_localhost and scheme == "http"]
    return PublicNames(
        public_url=url,
        has_browser_origin=has_browser_origin,
        aliases=frozenset().union(*held),
        own_origins=_all_origins(settings, listeners) | {origin_of(url)},
    )


def _default_url(scheme: str, places: tuple[PlaceState, ...]) -> str | None:
    """The URL of the first TCP address; None if there is none, or herod does not hold all of it."""
    if not places:
        return None
    first = places[0]
    if first.holds_localhost:
        return origin_at(scheme, "localhost", first.port)
    is_elsewhere = first.is_open and first.binds[0].loopback is None
    return origin_at(scheme, first.binds[0].url_host, first.port) if is_elsewhere else None


def _is_held(url: str, places: tuple[PlaceState, ...]) -> bool:
    """Whether a URL in the settings leads to herod: yes, unless it names a loopback that another process may hold."""
    origin = origin_of(url)
    meant = [one for one in places if one.is_loopback and origin in _at_loopback(urlsplit(url).scheme, one.port)]
    return all(one.holds_localhost for one in meant)


def _at_loopback(scheme: str, port: int) -> frozenset[str]:
    return frozenset(origin_at(scheme, name, port) for name in LOOPBACK_NAMES)


def _all_origins(settings: Settings, listeners: Listeners) -> frozenset[str]:
    """Every origin at which herod's pages are, or could be: with both schemes, also where it does not listen now.

    A host name in the settings may be that of a proxy, too: then its ports are the usual ones.
    """
    ports = {one.port for one in listeners.places}
    hosts = LOOPBACK_NAMES | listeners.hosts | settings.hosts
    at_ports = {origin_at(scheme, host, port) for scheme in ("http", "https") for host in hosts for port in ports}
    return frozenset(at_ports | {f"{scheme}://{host}" for scheme in ("http", "https") for host in settings.hosts})


async def follow_names(
    changed: AsyncIterable[None], names: Callable[[], PublicNames], runtime: Runtime, store: Store
) -> None:
    """Keep the names true: each item of `changed` says that an address was opened or lost."""
    async for _ in changed:
        now, before = names(), runtime.config

        def take(now: PublicNames = now) -> None:
            runtime.config = now.applied_to(runtime.config)

        if now.applied_to(before) == before:
            continue
        await while_nobody_writes(store, take)
        store.change_notifier.send()  # followers of the change feed know herod by its public URL
        if now.has_browser_origin:
            _log.info("browsers and apps reach herod at %s", now.public_url)
        else:
            _log.warning("no browser can reach herod now: nobody can sign in at its pages")
