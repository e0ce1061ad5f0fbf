"""Who listens on a TCP port, by the kernel's tables; for an address that herod cannot get.

The uid is known to everybody; the process only to root and to its own user (proc(5)).
"""

import pwd
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

__all__ = ["describe_holder"]

_LISTENING: Final = "0A"  # TCP_LISTEN in <net/tcp_states.h>
_WORD: Final = 8  # an address is in words of 32 bits, each in the machine's byte order, proc_pid_net(5)


def describe_holder(address: str, *, proc: Path = Path("/proc")) -> str | None:
    """Say who listens on `address` (`127.0.0.1:3350` or `[::1]:3350`) or on all addresses; None if nobody does."""
    host, _, port = address.rpartition(":")
    wanted = ip_address(host.strip("[]"))
    for uid, inode in _listeners(proc, int(port), wanted.packed):
        return f"{address}: {_name(uid)}{_process(proc, inode)}"
    return None


def _listeners(proc: Path, port: int, wanted: bytes) -> Iterator[tuple[int, str]]:
    """Uid and inode of each listener on the port that this address conflicts with."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if len(columns) < 10 or columns[3] != _LISTENING:
                continue
            local, _, local_port = columns[1].partition(":")
            if int(local_port, 16) == port and (_packed(local) == wanted or not int(local, 16)):
                yield int(columns[7]), columns[9]


def _packed(text: str) -> bytes:
    words = (int(text[index : index + _WORD], 16) for index in range(0, len(text), _WORD))
    return b"".join(word.to_bytes(4, sys.byteorder) for word in words)


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _process(proc: Path, inode: str) -> str:
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        command = (folder / "comm").read_text(errors="replace").strip()
                        return f", pid {folder.name} ({command})"
    return ""
