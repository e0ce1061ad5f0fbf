"""What other programs import to ask herod: clients, their addresses, credentials and errors, and a local verifier.

Stands on herod's own scopes and credentials; never imports the daemon.
"""

from typing import TYPE_CHECKING, Any

from herod.client.addresses import Address, TcpAddress, UnixAddress, find_address, parse_address
from herod.client.client import Client
from herod.client.errors import (
    BadAnswer,
    ClientError,
    InvalidInput,
    NotAuthenticated,
    Refused,
    Unreachable,
    Untrusted,
)
from herod.client.identity import Anonymous, Basic, Bearer, Identity, PeerIdentity

if TYPE_CHECKING:
    from herod.client.async_client import AsyncClient
    from herod.client.checking import Verified
    from herod.client.threaded import ThreadedVerifier
    from herod.client.verifier import Verifier

__all__ = [
    "Address",
    "Anonymous",
    "AsyncClient",
    "BadAnswer",
    "Basic",
    "Bearer",
    "Client",
    "ClientError",
    "Identity",
    "InvalidInput",
    "NotAuthenticated",
    "PeerIdentity",
    "Refused",
    "TcpAddress",
    "ThreadedVerifier",
    "UnixAddress",
    "Unreachable",
    "Untrusted",
    "Verified",
    "Verifier",
    "find_address",
    "parse_address",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of these classes
    """What brings trio and cryptography is loaded when it is first asked for: the command needs neither."""
    match name:
        case "AsyncClient":
            from herod.client.async_client import AsyncClient  # noqa: PLC0415 - as said

            return AsyncClient
        case "Verifier":
            from herod.client.verifier import Verifier  # noqa: PLC0415 - as said

            return Verifier
        case "ThreadedVerifier":
            from herod.client.threaded import ThreadedVerifier  # noqa: PLC0415 - as said

            return ThreadedVerifier
        case "Verified":
            from herod.client.checking import Verified  # noqa: PLC0415 - as said

            return Verified
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
