"""Origins of the web, as browsers write them: `scheme://host[:port]`, lower case, without the scheme's own port. Pure.

(RFC 6454, section 6.2; the HTML standard's "serialization of an origin".)
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

__all__ = ["LOOPBACK_NAMES", "is_loopback_origin", "origin_at", "origin_of"]

# The names of this machine that no resolver can lead elsewhere, as a URL writes them.
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LOOPBACK_ORIGIN: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9][0-9]{0,4})?\Z", re.ASCII)


def origin_at(scheme: str, host: str, port: int) -> str:
    """The origin of a scheme, a host as URLs write it, and a port."""
    return f"{scheme}://{host}" if DEFAULT_PORTS.get(scheme) == port else f"{scheme}://{host}:{port}"


@lru_cache(maxsize=16)
def origin_of(url: str) -> str:
    """The origin of an absolute http or https URL, which must be valid: those in the settings are."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return origin_at(
        parts.scheme, f"[{host}]" if ":" in host else host, parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    )


def is_loopback_origin(origin: str) -> bool:
    """Whether a page of this origin, in lower case, came from a server on its visitor's own machine."""
    return LOOPBACK_ORIGIN.match(origin) is not None
