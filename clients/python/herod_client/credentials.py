"""What a caller presents: a bearer token or key, a client secret, its uid, or nothing.

A credential's text is kept out of `repr`, and never reaches a header if it could end the line.
"""

import base64
import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from herod_client.addresses import Address, UnixAddress
from herod_client.client_errors import InvalidInput

__all__ = ["Anonymous", "Basic", "Bearer", "Identity", "PeerIdentity", "authorization", "read_cookie"]

COOKIE: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{16,256}\Z")


@dataclass(frozen=True, slots=True)
class Bearer:
    """An access token, an API key or a legacy secret."""

    credential: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no header can carry."""
        if not self.credential or any(not 32 < ord(character) < 127 for character in self.credential):
            raise InvalidInput(
                "The key or token is empty or holds a space, a line end or a character beyond ASCII.",
                hint="check the file or variable it was read from",
            )


@dataclass(frozen=True, slots=True)
class Basic:
    """A client id and its secret."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The uid this process has, with the socket's cookie when it can be read."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody."""


Identity = Bearer | Basic | PeerIdentity | Anonymous


def authorization(identity: Identity | None, address: Address) -> str | None:
    """The Authorization header for `identity` at `address`; None: the uid on a Unix socket, else nobody.

    Raises:
        InvalidInput: a uid was to be presented over TCP, where nobody could attest it.
    """
    match identity:
        case Bearer(credential):
            return f"Bearer {credential}"
        case Basic(client_id, secret):
            # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        case Anonymous():
            return None
        case None if not isinstance(address, UnixAddress):
            return None
        case _:
            if not isinstance(address, UnixAddress):
                raise InvalidInput(
                    f"A uid can be shown on a Unix socket alone, not to {address}.",
                    hint="use --url unix:/path, or a key: --key @FILE",
                )
            cookie = read_cookie(address)
            return "Peer" if cookie is None else f"Peer {cookie}"


def read_cookie(address: UnixAddress) -> str | None:
    """The cookie beside the socket, or None where there is none for this process to read."""
    try:
        descriptor = os.open(address.cookie_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 512).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(descriptor)
    return text if COOKIE.match(text) else None
