"""Resources that tokens are for (RFC 8707): which texts can be one, and which audience is meant for which resource.

Daemon and services ask the same function, so that a token is good at both or at neither. It compares texts and must
never fetch or resolve one.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from herod_client.core.errors import InvalidRequest

__all__ = ["MAX_RESOURCE_CHARS", "RESOURCE_PATTERN", "check_required_resource", "is_meant_for", "is_resource"]

MAX_RESOURCE_CHARS: Final = 512
# An absolute URI without a fragment: brackets belong to the address of a host alone, and a percent sign begins two
# hexadecimal digits (RFC 3986, sections 2.1, 3.1 and 3.2.2; RFC 8707, section 2).
_CHARACTER: Final = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
RESOURCE_PATTERN: Final = rf"[A-Za-z][A-Za-z0-9+.-]*:(?://\[[0-9A-Fa-f:.]+\]{_CHARACTER}*|{_CHARACTER}+)"
_RESOURCE: Final = re.compile(RESOURCE_PATTERN)
# What something can lie below: scheme, authority and path (RFC 3986, section 3), and nothing else.
_HIERARCHICAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+(?:/[^?#]*)?")
# Segments and characters by which a path may lead elsewhere than it seems to, or that end it.
_UNSURE: Final = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|%2e|%2f|%5c|[?#\\]", re.IGNORECASE)


def is_resource(text: str) -> bool:
    """Whether a text can be the `resource` of a request for a token, and so the `aud` of one."""
    if len(text) > MAX_RESOURCE_CHARS or _RESOURCE.fullmatch(text) is None:
        return False
    if "[" not in text and not text.lower().startswith(("http:", "https:")):
        return True
    try:
        host = urlsplit(text).hostname
        if "[" in text:
            IPv6Address(host or "")
    except ValueError:
        return False
    return bool(host)


@lru_cache(1024)  # what is refused is not cached, so the texts are short
def check_required_resource(text: str) -> None:
    """Refuse a text that no token can be for: an empty requirement never passes.

    Raises:
        InvalidRequest: it is empty, too long, or not an absolute URI without a fragment.
    """
    if not text.strip():
        raise InvalidRequest("The resource is empty: give the URI of the service, or leave it out.")
    if not is_resource(text):
        raise InvalidRequest(
            f"The resource must be an absolute URI without a fragment, of at most {MAX_RESOURCE_CHARS} characters, "
            "like https://jobs.example.org."
        )


def is_meant_for(audience: str, resource: str) -> bool:
    """Whether a token for `audience` is good at `resource`: they are equal, or the audience lies below the resource.

    Below means by whole segments of the path, so a service at `/app` takes no token for `/apple`. A final slash makes
    no difference. Nothing is decoded: an audience with a dot segment or an encoded slash below the resource is refused.
    """
    audience, resource = audience.removesuffix("/"), resource.removesuffix("/")
    if audience == resource:
        return True
    rest = audience.removeprefix(f"{resource}/")
    if rest == audience or _HIERARCHICAL.fullmatch(resource) is None:
        return False
    return _UNSURE.search(rest) is None
