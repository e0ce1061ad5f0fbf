"""Herod's client library: clients with their addresses, credentials and errors, and a local verifier.

Never imports the daemon, which shares `core`. Each name is imported on first use: a script that only calls herod does
not load cryptography, and the command's `--help` loads nothing.
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

__version__ = "0.1.0"  # the same as the daemon's: both are released together

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
