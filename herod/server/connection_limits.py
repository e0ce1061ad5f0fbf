"""All limits of a connection in one place (SECURITY, rule 18).

Must never contain anything else: the code that applies a limit decides what happens when it is reached.
"""

from dataclasses import dataclass

from herod.protocols.http import MAX_BODY
from herod.settings import LimitSettings

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(LimitSettings):
    """The limits on clients: the settings, and those that need no setting. Sizes in bytes, times in seconds.

    Attributes:
        headers: header lines in one request.
        body_bytes: one body, decoded. A chunked one may take twice that on the wire.
        linger_seconds: how long further input of a refused client is read and dropped, so that it can read the
            refusal.
        linger_bytes: how much of that input.
        unsent_bytes: responses on one connection that the client has not read yet. Small responses do not count, nor
            do bytes that connections share.
        unsent_bytes_of_source: the same on all connections of one source.
        unsent_bytes_in_all: the same on all connections.
        send_buffer_bytes: the kernel's send buffer of a TCP connection; the kernel allocates twice that.
        receive_buffer_bytes: the kernel's receive buffer, again twice; by default it may grow to megabytes.
        evict_seconds: a connection that is idle, or in the middle of sending one request, for this long may be evicted
            for a new one when the limit is reached.
        sweep_seconds: how often deadlines are checked. A connection ends up to two sweeps before its deadline, and
            never after it.
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
