"""What an app's tokens may be for (RFC 8707): herod itself, or another service on this machine.

A token for a service elsewhere would be a credential that herod gives to whoever is there. Compared whole, like
everything about resources: what two parsers may read differently is refused.
"""

import re
from typing import Final

from herod.identity.config import Config
from herod.identity.own_resources import canonical_resource, own_resource
from herod_client.core.errors import InvalidTarget
from herod_client.core.resource_indicators import MAX_RESOURCE_CHARS

__all__ = ["app_resource"]

# An origin on loopback, in the one way in which browsers write it, and a path without dot segments or encodings.
_LOOPBACK: Final = re.compile(
    r"(?P<origin>https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9][0-9]{0,4})?)(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*/?\Z"
)


def app_resource(config: Config, text: str) -> str:
    """The canonical form of a resource that an app asks for: without a final slash, and herod's own by its public URL.

    Raises:
        InvalidTarget: herod gives apps no tokens for it.
    """
    if len(text) <= MAX_RESOURCE_CHARS:
        if own_resource(config, text) is not None:
            return canonical_resource(config, text)
        match = _LOOPBACK.match(text)
        if match is not None and match["origin"] not in config.own_origins:
            return text.removesuffix("/")
    raise InvalidTarget(
        f"Unknown resource: apps get tokens for {config.public_url}, {config.public_url}/mcp, and for other services "
        "on this machine, by their http or https URL on localhost, 127.0.0.1 or [::1]."
    )
