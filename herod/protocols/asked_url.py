"""Herod's own URL as the client of a request wrote it, as far as that is one of its aliases.

A client compares the `resource` of a metadata document with the URL that it used (RFC 9728, section 3.3), and people
write `localhost` or `127.0.0.1` as they like.
"""

from typing import Final

from herod.identity.config import Config
from herod.protocols.http import Request

__all__ = ["asked_root"]

HTTP_PORT: Final = ":80"


def asked_root(request: Request, config: Config) -> str:
    """The alias that the request's Host names, else the public URL, as on a Unix socket and on TLS.

    The Host guard must have let the request pass.
    """
    source = request.source
    if source.address == "unix" or source.secure:
        return config.public_url
    asked = "http://" + request.headers.get("host", "").lower().removesuffix(HTTP_PORT)
    return asked if asked in config.aliases else config.public_url
