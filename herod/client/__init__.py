"""What other programs import to ask herod: `Client`, its addresses, its credentials and its errors.

Stands on the standard library and msgspec; never imports the daemon.
"""

from herod.client.addresses import Address, TcpAddress, UnixAddress, find_address, parse_address
from herod.client.client import Client
from herod.client.errors import (
    BadAnswer,
    ClientError,
    InvalidInput,
    NotAuthenticated,
    Refused,
    Unreachable,
)
from herod.client.identity import Anonymous, Basic, Bearer, Identity, PeerIdentity

__all__ = [
    "Address",
    "Anonymous",
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
    "UnixAddress",
    "Unreachable",
    "find_address",
    "parse_address",
]
