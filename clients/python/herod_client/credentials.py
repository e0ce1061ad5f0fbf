"""Credentials that a caller presents: a bearer token or key, a client secret, its uid, or nothing.

A credential's text is never in `repr`, and never in a header if it contains a line end.
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

PEER: Final = "Peer"
COOKIE: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{16,256}\Z")


@dataclass(frozen=True, slots=True)
class Bearer:
    """An access token, an API key or a legacy secret."""

    credential: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse text that is not valid in a header."""
        if not self.credential or any(not 32 < ord(character) < 127 for character in self.credential):
            raise InvalidInput(
                "The key or token is empty or contains a space, a line end or a non-ASCII character.",
                hint="check the file or variable it was read from",
            )


@dataclass(frozen=True, slots=True)
class Basic:
    """A client id and its secret."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The uid of this process, with the socket's cookie if it can be read."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No credential."""


Identity = Bearer | Basic | PeerIdentity | Anonymous


def authorization(identity: Identity | None, address: Address) -> str | None:
    """Return the Authorization header for `identity` at `address`; by default the uid on a Unix socket, none over TCP.

    Raises:
        InvalidInput: a uid cannot be presented over TCP, where no kernel attests it.
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
                    f"A uid can be presented only on a Unix socket, not to {address}.",
                    hint="use --url unix:/path, or a key: --key @FILE",
                )
            cookie = read_cookie(address)
            return PEER if cookie is None else f"{PEER} {cookie}"


def read_cookie(address: UnixAddress) -> str | None:
    """Read the cookie beside the socket; None if this process cannot read one."""
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
