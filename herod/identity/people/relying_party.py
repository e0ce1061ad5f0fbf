"""Whom passkeys are for: herod at its public URL, if browsers can have a passkey for that."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from herod.credentials.factors.passkeys import RelyingParty
from herod.identity.config import Config

__all__ = ["relying_party", "why_no_passkeys"]

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def relying_party(config: Config) -> RelyingParty | None:
    """Herod as browsers know it; None if there can be no passkeys (`why_no_passkeys`)."""
    if why_no_passkeys(config) is not None:
        return None
    url = urlsplit(config.public_url)
    host = url.hostname or ""
    port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return RelyingParty(id=host, origin=f"{url.scheme}://{host}{port}")


def why_no_passkeys(config: Config) -> str | None:
    """Why passkeys are off, and what to do; None if they are on.

    - Whoever else holds the public URL's host and port is the same origin (`Config.has_browser_origin`).
    - A relying party's id is a domain, never an address (WebAuthn 3, section 4, "RP ID").
    - Browsers offer passkeys in secure contexts alone: over https, or on localhost.
    """
    url = urlsplit(config.public_url)
    host = url.hostname or ""
    if not config.has_browser_origin:
        return (
            f"Passkeys are off, because herod alone must answer at {config.public_url}, and does not: "
            "herod doctor says why."
        )
    if _is_address(host):
        return f"Passkeys are off, because they belong to a name, and {config.public_url} is an address."
    if url.scheme != "https" and host != "localhost":
        return f"Passkeys are off, because browsers offer them over https alone, or on localhost: {config.public_url}."
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
