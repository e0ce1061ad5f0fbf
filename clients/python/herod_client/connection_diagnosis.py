"""Errors for a daemon that cannot be reached, which say what to check and which command to run."""

import errno
import grp
import os
import pwd
import socket
import ssl
import stat
from pathlib import Path
from typing import Final

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.client_errors import BadAnswer, Unreachable

__all__ = [
    "CHECK_ADDRESS",
    "LOOK_CLOSER",
    "all_in_use",
    "broken",
    "cut_off",
    "endless",
    "no_answer",
    "no_http",
    "no_port",
    "no_socket",
    "owner",
    "words",
]

LOOK_CLOSER: Final = "`herod doctor` shows more"
CHECK_ADDRESS: Final = "check the address: --url or HEROD_URL"


def no_socket(address: UnixAddress, error: OSError, timeout: float) -> Unreachable:
    """Why connecting to a Unix socket failed."""
    path = address.path
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Unreachable(
                f"There is no socket at {path}: the daemon is not running, or listens elsewhere.",
                hint="start it with `herod serve`, or give its address: --url unix:/path or HEROD_URL",
            )
        case errno.ECONNREFUSED if _kind(path) == "socket":
            return Unreachable(
                f"Nothing listens on {path}: the daemon stopped without removing it.",
                hint="start it with `herod serve` (or `systemctl start herod`), which replaces the socket",
            )
        case errno.ECONNREFUSED | errno.ENOTSOCK | errno.EPROTOTYPE:
            return Unreachable(
                f"{path} is not a socket that a daemon listens on.",
                hint="give the daemon's socket: --url unix:/path",
            )
        case errno.EACCES | errno.EPERM:
            return Unreachable(
                f"You (uid {os.geteuid()}) may not open {path}: {_owned(path)}.",
                hint="run this as its owner, or allow others: herod serve --bind unix:PATH,mode=0666; " + LOOK_CLOSER,
            )
        case errno.EAGAIN | errno.ETIMEDOUT:
            return Unreachable(
                f"{path} accepted no connection within {timeout:g} s: the daemon hangs or is overloaded.",
                hint=f"read its log and restart it if it hangs; {LOOK_CLOSER}",
            )
        case _:
            return Unreachable(f"{path} cannot be reached: {words(error)}.", hint=LOOK_CLOSER)


def no_port(address: TcpAddress, error: Exception, timeout: float) -> Unreachable:
    """Why connecting over TCP or TLS failed."""
    at = address.authority
    match error:
        case ConnectionRefusedError():
            message = f"Nothing listens on {at}: the daemon is not running, or listens elsewhere."
            hint = "start it with `herod serve`, or give its address: --url"
        case TimeoutError():
            message = f"{at} accepted no connection within {timeout:g} s."
            hint = "check the host, the port and the firewall"
        case socket.gaierror() | UnicodeError():
            message = f"The host name {address.host!r} cannot be resolved."
            hint = "check the spelling, or use the IP address"
        case ssl.SSLCertVerificationError():
            message = f"The certificate of {at} is not trusted: {error.verify_message}."
            hint = "install its authority on this machine, or use the host name in the certificate"
        case ssl.SSLError() | ConnectionResetError() if address.secure:
            message = f"{at} does not speak TLS."
            hint = "use http:// if the daemon has no --tls-cert"
        case PermissionError():
            message = f"The system does not allow a connection to {at}."
            hint = "check the firewall's rules"
        case _:
            message = f"{at} cannot be reached: {words(error)}."
            hint = CHECK_ADDRESS
    return Unreachable(message, hint=hint)


def no_answer(address: Address, timeout: float) -> Unreachable:
    """No complete answer came in time."""
    return Unreachable(
        f"{address} did not answer within {timeout:g} s.",
        hint=f"the daemon may be busy: wait longer with --timeout; {LOOK_CLOSER}",
    )


def all_in_use(address: Address, size: int, timeout: float) -> Unreachable:
    """No connection was free in time; nothing was sent."""
    return Unreachable(
        f"All {size} connections to {address} were in use for {timeout:g} s: nothing was sent.",
        hint=f"allow more with max_connections, or wait longer with timeout; {LOOK_CLOSER}",
    )


def cut_off(address: Address) -> Unreachable:
    """The connection was closed in the middle of an answer."""
    return Unreachable(
        f"{address} closed the connection before its answer was complete.",
        hint=f"read the daemon's log; {LOOK_CLOSER}",
    )


def broken(address: Address, error: Exception) -> Unreachable:
    """The connection failed in some other way."""
    return Unreachable(f"The connection to {address} broke: {words(error)}.", hint=LOOK_CLOSER)


def no_http(address: Address) -> BadAnswer:
    """The answer is not HTTP."""
    return BadAnswer(f"The server at {address} does not speak HTTP.", hint=CHECK_ADDRESS)


def endless(address: Address) -> BadAnswer:
    """The answer is larger than any of herod's."""
    return BadAnswer(f"The answer from {address} is too large.", hint=CHECK_ADDRESS)


def owner(found: os.stat_result) -> str:
    """Mode, owner and group of a file, as `ls -l` names them."""
    return f"{stat.filemode(found.st_mode)} {_user(found.st_uid)}:{_group(found.st_gid)}"


def words(error: Exception) -> str:
    """Return the text of a system error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _kind(path: str) -> str:
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return "unknown"
    return "socket" if stat.S_ISSOCK(mode) else "other"


def _owned(path: str) -> str:
    """Mode, owner and group of the socket, or of the first folder above it that this process cannot enter."""
    while True:
        try:
            found = Path(path).stat()
        except OSError:
            above = str(Path(path).parent)
            if above == path:
                return "a folder above it cannot be entered"
            path = above
            continue
        what = "it" if stat.S_ISSOCK(found.st_mode) else path
        return f"{what} is {owner(found)}"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
