"""Whose process listens on a Unix socket: every client asks the kernel before it sends anything.

Otherwise another user, who can put a socket where herod's should be, would receive keys and passwords.
"""

import os
import pwd
import socket
import struct
from typing import Final

from herod_client.addresses import UnixAddress
from herod_client.client_errors import Untrusted

__all__ = ["check_server", "expected_servers"]

SERVICE_USER: Final = "herod"


def expected_servers(uid: int | None = None) -> frozenset[int]:
    """Return the uids whose process may listen on herod's socket: root, and `uid`.

    Args:
        uid: the user who runs herod; by default this process's own user, or the local user `herod`.
    """
    if uid is not None:
        return frozenset({0, uid})
    try:
        service = {pwd.getpwnam(SERVICE_USER).pw_uid}
    except KeyError:
        service = set()
    return frozenset({0, os.geteuid(), *service})


def check_server(connected: socket.socket, address: UnixAddress, servers: frozenset[int]) -> None:
    """Check the uid of the process that called listen(2), as reported by the kernel, unix(7).

    Raises:
        Untrusted: it is none of `servers`.
    """
    _, uid, _ = struct.unpack("iII", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid in servers:
        return
    raise Untrusted(
        f"{address.path} is served by {_name(uid)}, which is not root, herod or you: nothing was sent.",
        hint=f"find out which process that is; if it is your herod: --server-uid {uid} or HEROD_SERVER_UID={uid}"
        f" (in a program: server_uid={uid})",
    )


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
