"""What other programs import to ask herod: clients, their addresses, credentials and errors, and a local verifier.

Stands on its own `core`, which the daemon shares; never imports the daemon. Each name is loaded when it is first asked
for: a script that only asks does not pay for cryptography, and the command's `--help` for nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from herod_client.addresses import Address, TcpAddress, UnixAddress, find_address, parse_address
    from herod_client.async_client import AsyncClient
    from herod_client.async_verifier import Verifier
    from herod_client.client import Client
    from herod_client.client_errors import (
        BadAnswer,
        ClientError,
        InvalidInput,
        NotAuthenticated,
        Refused,
        Unreachable,
        Untrusted,
    )
    from herod_client.credentials import Anonymous, Basic, Bearer, Identity, PeerIdentity
    from herod_client.offline_token_verification import VerifiedToken
    from herod_client.threaded_verifier import ThreadedVerifier

__version__ = "0.1.0"  # the daemon's own: each release has both

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
    "VerifiedToken",
    "Verifier",
    "find_address",
    "parse_address",
]

_MODULES: Final = {
    "Address": "addresses",
    "Anonymous": "credentials",
    "AsyncClient": "async_client",
    "BadAnswer": "client_errors",
    "Basic": "credentials",
    "Bearer": "credentials",
    "Client": "client",
    "ClientError": "client_errors",
    "Identity": "credentials",
    "InvalidInput": "client_errors",
    "NotAuthenticated": "client_errors",
    "PeerIdentity": "credentials",
    "Refused": "client_errors",
    "TcpAddress": "addresses",
    "ThreadedVerifier": "threaded_verifier",
    "UnixAddress": "addresses",
    "Unreachable": "client_errors",
    "Untrusted": "client_errors",
    "VerifiedToken": "offline_token_verification",
    "Verifier": "async_verifier",
    "find_address": "addresses",
    "parse_address": "addresses",
}


def __getattr__(name: str) -> Any:
    """Load the module that has `name`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
