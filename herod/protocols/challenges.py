"""The `WWW-Authenticate` of a refusal, and the characters that it and an OAuth error may quote.

The only place that writes challenges.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from herod_client.core.errors import HerodError, MissingScope, Unauthenticated

__all__ = ["MAX_DESCRIPTION_CHARS", "ProtectedResource", "challenges", "oauth_text"]

# An unknown scope is answered with all known ones; the longest other message is shorter.
MAX_DESCRIPTION_CHARS: Final = 1024
_NAME: Final = "WWW-Authenticate"
_BEARER: Final = 'Bearer realm="herod"'
_BASIC: Final = 'Basic realm="herod"'
_UNQUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """A path that leads clients to its authorization server (RFC 9728, section 5.1).

    Attributes:
        metadata: the URL of its metadata document.
        scope: the scopes that a client needs at first, separated by spaces.
    """

    metadata: str
    scope: str


def oauth_text(text: str) -> str:
    """A text with only the characters of RFC 6749, section 5.2, and RFC 6750, section 3, and no longer than a message.

    A double quote becomes a single one, every other character that is not allowed a question mark.
    """
    if len(text) > MAX_DESCRIPTION_CHARS:
        text = f"{text[: MAX_DESCRIPTION_CHARS - 3]}..."
    return _UNQUOTABLE.sub("?", text.replace('"', "'"))


def challenges(
    error: HerodError, offered: Sequence[str] = ("Bearer",), resource: ProtectedResource | None = None
) -> tuple[tuple[str, str], ...]:
    """The headers that challenge the client after an error, if it is about the client's credential.

    A refused token or key is an `invalid_token` (RFC 6750, section 3.1); without one there is no error code. Who
    presented Basic is answered in kind (RFC 6749, section 5.2); elsewhere it is not offered, because browsers would ask
    their users for a password.

    Args:
        error: the error.
        offered: the schemes with which clients of the path authenticate, the usual one first.
        resource: the path, if it is a protected resource.
    """
    metadata = "" if resource is None else f', resource_metadata="{resource.metadata}"'
    if isinstance(error, MissingScope):
        scope = oauth_text(error.missing or "")
        return ((_NAME, f'Bearer error="insufficient_scope", scope="{scope}"{metadata}'),)
    if not isinstance(error, Unauthenticated):
        return ()
    schemes = offered if error.scheme is None else (offered[0], error.scheme)
    code = ', error="invalid_token"' if error.scheme == "Bearer" else ""
    where = "" if resource is None else f'{metadata}, scope="{resource.scope}"'
    bearer = f"{_BEARER}{code}{where}"
    return ((_NAME, ", ".join([bearer] * ("Bearer" in schemes) + [_BASIC] * ("Basic" in schemes))),)
