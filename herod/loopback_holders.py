"""Whose process is at the other end of a connection on 127.0.0.1, for ports that are for one user alone.

The daemon asks the kernel about one socket (`server/sockets/tcp_peer_uid.py`); here it is read in a table that needs no
privilege. A process may pass its socket on, so this keeps others out and proves nothing.
"""

import socket
import struct
from pathlib import Path
from typing import Final

__all__ = ["TABLE", "holder_of"]

TABLE: Final = Path("/proc/net/tcp")


def holder_of(table: str, *, port: int, own_port: int) -> int | None:
    """The uid that holds the other end of a connection on 127.0.0.1, by the kernel's table; None when it is not there.

    Args:
        table: what stands in /proc/net/tcp (proc_pid_net(5)).
        port: of the other end.
        own_port: of ours.
    """
    (loopback,) = struct.unpack("=I", socket.inet_aton("127.0.0.1"))
    wanted = [f"{loopback:08X}:{port:04X}", f"{loopback:08X}:{own_port:04X}"]
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and columns[1:3] == wanted and columns[7].isdigit():
            return int(columns[7])
    return None
