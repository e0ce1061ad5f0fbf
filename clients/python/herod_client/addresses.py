"""Addresses of a daemon, `unix:/path`, `http://host:port` or `https://host:port`, and where to look for one.

Parsing is pure. The search tries only Unix sockets, and never falls back to TCP.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from herod_client.client_errors import InvalidInput, Unreachable

__all__ = [
    "SYSTEM_SOCKET",
    "Address",
    "TcpAddress",
    "UnixAddress",
    "candidate_sockets",
    "find_address",
    "parse_address",
]

SYSTEM_SOCKET: Final = "/run/herod/herod.sock"
MAX_SOCKET_PATH: Final = 107  # sockaddr_un.sun_path without its NUL, unix(7)
FORMS: Final = "write unix:/path/to/herod.sock, http://HOST:PORT or https://HOST:PORT"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket."""

    path: str

    @property
    def cookie_path(self) -> str:
        """The file whose content makes the daemon's owner its administrator."""
        return f"{self.path}.cookie"

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port, `secure` if it speaks TLS."""

    host: str
    port: int
    secure: bool = False

    @property
    def authority(self) -> str:
        """`host:port`, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether requests to it stay on this machine."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}"


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        InvalidInput: it is not an address; the hint says what to write.
    """
    if text.startswith(("unix:", "/")):
        return _parse_socket(text.removeprefix("unix:"))
    if any(ord(character) <= 32 or ord(character) > 126 for character in text):
        raise InvalidInput("The address contains a space or an invalid character.", hint=FORMS)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not an address: {error}.", hint=FORMS) from None
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("An address cannot contain a name and password.", hint="use --key @FILE or --token @FILE")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput(f"{text!r} is not an address.", hint=FORMS)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "?" in text or "#" in text:
        raise InvalidInput(f"{text!r} has a path after the host: give only the host and port.", hint=FORMS)
    secure = parts.scheme == "https"
    return TcpAddress(parts.hostname, (443 if secure else 80) if port is None else port, secure)


def _parse_socket(path: str) -> UnixAddress:
    if not path.startswith("/"):
        raise InvalidInput(f"{path!r} is not an absolute path.", hint="write unix:/path/to/herod.sock")
    if "\0" in path or len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise InvalidInput(
            f"A socket's path is at most {MAX_SOCKET_PATH} bytes long and contains no NUL.",
            hint="bind the daemon to a shorter path",
        )
    return UnixAddress(path)


def candidate_sockets(environ: Mapping[str, str]) -> tuple[UnixAddress, ...]:
    """Return the default sockets of this user's and this machine's daemon, in search order.

    Without XDG_RUNTIME_DIR, `make run` puts the socket below the folder of the store.
    """
    folders = [environ.get("XDG_RUNTIME_DIR", "")]
    state, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    # The XDG base directory specification says to ignore a path that is not absolute.
    state = state if state.startswith("/") else f"{home.rstrip('/')}/.local/state" if home.startswith("/") else ""
    folders.append(f"{state.rstrip('/')}/herod/run" if state else "")
    found = [f"{folder.rstrip('/')}/herod/herod.sock" for folder in folders if folder.startswith("/")]
    paths = dict.fromkeys((*found, SYSTEM_SOCKET))
    return tuple(UnixAddress(path) for path in paths if "\0" not in path and len(os.fsencode(path)) <= MAX_SOCKET_PATH)


def find_address(environ: Mapping[str, str]) -> Address:
    """Return the daemon's address: `HEROD_URL`, or the first of the default sockets that exists.

    Raises:
        InvalidInput: `HEROD_URL` is not an address.
        Unreachable: none exists.
    """
    if environ.get("HEROD_URL"):
        return parse_address(environ["HEROD_URL"])
    sockets = candidate_sockets(environ)
    for address in sockets:
        if _is_there(address.path):
            return address
    raise Unreachable(
        f"No daemon was found: there is no {' and no '.join(address.path for address in sockets)}.",
        hint="start one with `herod serve`, or give its address: --url unix:/path or HEROD_URL",
    )


def _is_there(path: str) -> bool:
    """Whether the path exists; an inaccessible folder counts, so that connecting reports the reason."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno not in {errno.ENOENT, errno.ENOTDIR}
    return True
