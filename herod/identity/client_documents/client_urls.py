"""Client ids that are URLs (draft-ietf-oauth-client-id-metadata-document, section 3). Pure.

They are compared as texts, and one of them is connected to: so what two parsers may read differently is refused, by the
rules for redirect URIs.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from herod.credentials.apps.redirect_uris import RedirectKind, parse_redirect_uri
from herod_client.core.errors import InvalidRequest

__all__ = ["ClientUrl", "parse_client_url"]

PREFIX: Final = "https://"
HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class ClientUrl:
    """A client id that is a URL.

    Attributes:
        text: as it was sent.
        host: a name in lower case, in A-labels.
        target: path and query, for a request.
    """

    text: str
    host: str
    port: int
    target: str


def parse_client_url(text: str, own_origins: Collection[str] = ()) -> ClientUrl | None:
    """Read a client id as a URL; None if it is none.

    Args:
        own_origins: origins that lead to herod itself, where no other app can be.
    """
    if not text.startswith(PREFIX):
        return None
    try:
        url = parse_redirect_uri(text)
    except InvalidRequest:
        return None
    is_name = "." in url.host and not url.host.replace(".", "").isdigit() and not url.host.startswith("[")
    has_path = url.target != "/" and not url.target.startswith("/?")
    if url.kind is not RedirectKind.HTTPS or not is_name or not has_path or url.origin in own_origins:
        return None
    return ClientUrl(text, url.host, url.port or HTTPS_PORT, url.target)
