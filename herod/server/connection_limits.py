"""Every number that bounds a connection, in one place (SECURITY, rule 18).

Must never hold anything else: what a limit does when it is reached stands where it is applied.
"""

from dataclasses import dataclass

from herod.protocols.http import MAX_BODY
from herod.settings import LimitSettings

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(LimitSettings):
    """What one client may take: the settings, and what nobody needs to set. Sizes in bytes, times in seconds.

    Attributes:
        headers: header lines in one request.
        body_bytes: one body, decoded. A chunked one may take twice that on the wire.
        linger_seconds: how long a refused client's further input is read and dropped, so that it can read the
            refusal.
        linger_bytes: how much of it.
        unsent_bytes: of answers that the clients have not taken yet, on one connection. Small answers do not count, nor
            do bytes that many share.
        unsent_bytes_of_source: the same on all connections of one source.
        unsent_bytes_in_all: the same on all connections.
        send_buffer_bytes: what the kernel keeps of them for a TCP client; it takes twice that for its own records.
        receive_buffer_bytes: what it keeps of a TCP client's input, again twice; left to itself, that may be megabytes.
        evict_seconds: idle, or in the middle of sending one request, for this long, a connection gives its place to
            a new one when all are taken.
        sweep_seconds: how often deadlines are looked at. A connection ends up to two sweeps before its
            deadline, and not after it.
    """

    headers: int = 100
    body_bytes: int = MAX_BODY
    linger_seconds: float = 2.0
    linger_bytes: int = 1024 * 1024
    unsent_bytes: int = 1024 * 1024
    unsent_bytes_of_source: int = 16 * 1024 * 1024
    unsent_bytes_in_all: int = 64 * 1024 * 1024
    send_buffer_bytes: int = 128 * 1024
    receive_buffer_bytes: int = 64 * 1024
    evict_seconds: float = 1.0
    sweep_seconds: float = 0.5
