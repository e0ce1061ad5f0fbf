"""What other programs import to ask herod: clients, their addresses, credentials and errors, and a local verifier.

Stands on herod's own scopes and credentials; never imports the daemon. Each name is loaded when it is first asked
for: a script that only asks does not pay for cryptography, and the command's `--help` for nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from herod.client.addresses import Address, TcpAddress, UnixAddress, find_address, parse_address
    from herod.client.async_client import AsyncClient
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
    from herod.client.threaded import ThreadedVerifier
    from herod.client.checking import Verified
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

_MODULES: Final = {
    "Address": "addresses",
    "Anonymous": "identity",
    "AsyncClient": "async_client",
    "BadAnswer": "errors",
    "Basic": "identity",
    "Bearer": "identity",
    "Client": "client",
    "ClientError": "errors",
    "Identity": "identity",
    "InvalidInput": "errors",
    "NotAuthenticated": "errors",
    "PeerIdentity": "identity",
    "Refused": "errors",
    "TcpAddress": "addresses",
    "ThreadedVerifier": "threaded",
    "UnixAddress": "addresses",
    "Unreachable": "errors",
    "Untrusted": "errors",
    "Verified": "checking",
    "Verifier": "verifier",
    "find_address": "addresses",
    "parse_address": "addresses",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of these
    """Load the module that has `name`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
