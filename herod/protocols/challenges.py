"""The `WWW-Authenticate` of a refusal, and the characters that it and an OAuth error may quote.

The only place that writes challenges, except for those of `/mcp`, which name its metadata.
"""

import re
from collections.abc import Sequence
from typing import Final

from herod_client.core.errors import HerodError, MissingScope, Unauthenticated

__all__ = ["MAX_DESCRIPTION_CHARS", "challenges", "oauth_text"]

# An unknown scope is answered with all known ones; the longest other message is shorter.
MAX_DESCRIPTION_CHARS: Final = 1024
_NAME: Final = "WWW-Authenticate"
_BEARER: Final = 'Bearer realm="herod"'
_BAD_TOKEN: Final = f'{_BEARER}, error="invalid_token"'
_BASIC: Final = 'Basic realm="herod"'
_UNQUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def oauth_text(text: str) -> str:
    """A text with only the characters of RFC 6749, section 5.2, and RFC 6750, section 3, and no longer than a message.

    A double quote becomes a single one, every other character that is not allowed a question mark.
    """
    if len(text) > MAX_DESCRIPTION_CHARS:
        text = f"{text[: MAX_DESCRIPTION_CHARS - 3]}..."
    return _UNQUOTABLE.sub("?", text.replace('"', "'"))


def challenges(error: HerodError, offered: Sequence[str] = ("Bearer",)) -> tuple[tuple[str, str], ...]:
    """The headers that challenge the client after an error, if it is about the client's credential.

    A refused token or key is an `invalid_token` (RFC 6750, section 3.1); without one there is no error code. Who
    presented Basic is answered in kind (RFC 6749, section 5.2); elsewhere it is not offered, because browsers would ask
    their users for a password.

    Args:
        offered: the schemes with which clients of the path authenticate, the usual one first.
    """
    if isinstance(error, MissingScope):
        scope = oauth_text(error.missing or "")
        return ((_NAME, f'Bearer error="insufficient_scope", scope="{scope}"'),)
    if not isinstance(error, Unauthenticated):
        return ()
    schemes = offered if error.scheme is None else (offered[0], error.scheme)
    bearer = _BAD_TOKEN if error.scheme == "Bearer" else _BEARER
    return ((_NAME, ", ".join([bearer] * ("Bearer" in schemes) + [_BASIC] * ("Basic" in schemes))),)
