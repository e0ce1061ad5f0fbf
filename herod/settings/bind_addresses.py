"""Parses the address forms of `--bind`.

Pure: it opens no socket, resolves no name and reads no file. A host must be an address, not a name: a name may
resolve to several addresses, or to another one tomorrow.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from herod_client.core.errors import SettingsError

__all__ = [
    "DEFAULT_PORT",
    "SYSTEM_SOCKET",
    "Bind",
    "FdBind",
    "TcpBind",
    "UnixBind",
    "clear_text_refusal",
    "default_binds",
    "default_socket",
    "parse_bind",
    "parse_binds",
    "with_both_loopbacks",
    "xdg_folder",
]

DEFAULT_PORT: Final = 3350
SYSTEM_SOCKET: Final = Path("/run/herod/herod.sock")
SYSTEM_MODE: Final = 0o666  # every local user may connect; authorization is decided per request
# sockaddr_un has room for 108 bytes with the final NUL; the listener first binds a temporary, longer name.
MAX_SOCKET_PATH: Final = 100
MODE: Final = re.compile(r"[0-7]{3,4}\Z")
NUMBER: Final = re.compile(r"[0-9]{1,5}\Z")
_LOOPBACK_OF: Final = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::1": "::1", "::": "::1"}  # noqa: S104
FORMS: Final = "unix:/path[,mode=0660][,peer=off], ADDRESS:PORT or fd://N"


@dataclass(frozen=True, slots=True)
class UnixBind:
    """A Unix socket.

    Attributes:
        mode: its permission bits.
        peer: whether a caller may authenticate by its uid.
    """

    path: Path
    mode: int = 0o660
    peer: bool = True

    def __str__(self) -> str:
        """As `--bind` takes it."""
        return f"unix:{self.path},mode={self.mode:04o}" + ("" if self.peer else ",peer=off")


@dataclass(frozen=True, slots=True)
class TcpBind:
    """An address and a port.

    Attributes:
        host: literal address, without brackets.
        port: 0 lets the kernel choose.
        is_optional: the address may be missing: the default `[::1]` on a machine without IPv6.
    """

    host: str
    port: int
    is_optional: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return _plain(self.host).is_loopback

    @property
    def loopback(self) -> str | None:
        """The loopback address of `localhost` that it answers for; None for other addresses."""
        return _LOOPBACK_OF.get(self.host)

    @property
    def url_host(self) -> str:
        """The host as written in a URL or a Host header."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        """As `--bind` takes it."""
        return f"{self.url_host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FdBind:
    """A listening socket that another process opened and passed on as descriptor `fd`."""

    fd: int

    def __str__(self) -> str:
        """As `--bind` takes it."""
        return f"fd://{self.fd}"


Bind = UnixBind | TcpBind | FdBind


def parse_bind(text: str, *, where: str = "bind") -> Bind:
    """Parse one address.

    Args:
        text: `unix:/path[,mode=0660][,peer=off]`, `ADDRESS:PORT` (IPv6 in brackets) or `fd://N`.
        where: the source of the value, for the message.

    Raises:
        SettingsError: it has none of these forms; the message shows what to write.
    """
    try:
        if text.startswith("unix:"):
            return _parse_unix(text.removeprefix("unix:"))
        if text.startswith("fd:"):
            return _parse_fd(text)
        return _parse_tcp(text)
    except ValueError as problem:
        raise SettingsError(f"{where}: {text[:120]!r} {problem}") from None


def parse_binds(text: str, *, where: str = "bind") -> tuple[Bind, ...]:
    """Like `parse_bind`, but `localhost:PORT` gives both loopbacks, so that no other user can take one of them."""
    host, colon, port = text.partition(":")
    if host.lower() != "localhost" or not colon:
        return (parse_bind(text, where=where),)
    try:
        number = _parse_port(port)
    except ValueError as problem:
        raise SettingsError(f"{where}: {text[:120]!r} {problem}") from None
    return _both_loopbacks(number)


def with_both_loopbacks(binds: Sequence[Bind]) -> tuple[Bind, ...]:
    """Add the other loopback where only one is named: whoever holds it is `localhost:PORT` to half of the clients.

    An address family that the machine lacks is left out when the addresses are opened.
    """
    named = {(bind.loopback, bind.port) for bind in binds if isinstance(bind, TcpBind)}
    found: list[Bind] = []
    for bind in binds:
        found.append(bind)
        if isinstance(bind, TcpBind) and bind.loopback is not None:
            other = "::1" if bind.loopback == "127.0.0.1" else "127.0.0.1"
            if (other, bind.port) not in named:
                found.append(TcpBind(other, bind.port, is_optional=True))
                if bind.port:  # otherwise the kernel chooses another port for each
                    named.add((other, bind.port))
    return tuple(found)


def default_binds(environ: Mapping[str, str], *, uid: int, port: int = DEFAULT_PORT) -> tuple[Bind, ...]:
    """Where the daemon listens when no `--bind` is given."""
    return (default_socket(environ, uid=uid), *_both_loopbacks(port))


def default_socket(environ: Mapping[str, str], *, uid: int) -> UnixBind:
    """The socket in the user's runtime folder, or that of the whole machine."""
    runtime = None if uid == 0 else xdg_folder(environ, "XDG_RUNTIME_DIR")
    if runtime is None:
        return UnixBind(SYSTEM_SOCKET, mode=SYSTEM_MODE)
    return UnixBind(runtime / "herod" / "herod.sock", mode=0o600)


def xdg_folder(environ: Mapping[str, str], name: str, below_home: str | None = None) -> Path | None:
    """The folder that an XDG variable names, or its default below HOME.

    A relative one counts as not set (XDG Base Directory Specification 0.8, "Environment variables").
    """
    value = environ.get(name, "")
    if value.startswith("/"):
        return Path(value)
    home = environ.get("HOME", "")
    return Path(home) / below_home if below_home is not None and home.startswith("/") else None


def clear_text_refusal(where: str) -> str:
    """Why a TCP address beyond loopback is not served without TLS, and what to do."""
    return (
        f"{where} can be reached from other machines, and secrets would be sent unencrypted: "
        "set --tls-cert and --tls-key, or --insecure."
    )


def _both_loopbacks(port: int) -> tuple[TcpBind, TcpBind]:
    return TcpBind("127.0.0.1", port), TcpBind("::1", port, is_optional=True)


def _parse_unix(rest: str) -> UnixBind:
    path, *extras = rest.split(",")
    if path.startswith("@"):
        raise ValueError("is an abstract socket, which has no permissions: give a path, as in unix:/run/herod.sock")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("is not the path of a socket: give an absolute path, as in unix:/run/herod/herod.sock")
    if not path.isprintable():
        raise ValueError("has unprintable characters in its path: choose another path")
    if (length := len(path.encode())) > MAX_SOCKET_PATH:
        raise ValueError(f"has a path of {length} bytes: a socket's path may have at most {MAX_SOCKET_PATH}")
    said: dict[str, str] = {}
    for extra in extras:
        key, _, value = extra.partition("=")
        if key not in ("mode", "peer"):
            raise ValueError(f"has an unknown option {extra!r}: use mode=0660 or peer=off after the path")
        if key in said:
            raise ValueError(f"sets {key} twice: set it once")
        said[key] = value
    return UnixBind(Path(path), mode=_parse_mode(said.get("mode", "0660")), peer=_parse_peer(said.get("peer", "on")))


def _parse_mode(text: str) -> int:
    mode = int(text, 8) if MODE.match(text) else -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"has mode {text!r}: give octal permissions such as mode=0660")
    if mode & 0o600 != 0o600:
        raise ValueError(f"has mode {text!r}, which locks out the daemon's own user: add 0600 to it")
    return mode


def _parse_peer(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(f"has peer={text!r}: use peer=on or peer=off")
    return text == "on"


def _parse_fd(text: str) -> FdBind:
    number = text.removeprefix("fd://")
    if not NUMBER.match(number) or int(number) < 3:
        raise ValueError("is not a passed descriptor: write fd://N with N of at least 3")
    return FdBind(int(number))


def _parse_tcp(text: str) -> TcpBind:
    if "/" in text:
        raise ValueError(f"is a path or a URL: a bind is {FORMS}")
    if NUMBER.match(text):
        raise ValueError(f"has no address: write 127.0.0.1:{text}, or keep the default addresses with --port {text}")
    host, colon, digits = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ValueError(f"has no port: a bind is {FORMS}")
    port = _parse_port(digits)
    if host in ("", "*"):
        raise ValueError(f"means all addresses: write 127.0.0.1:{port}, or 0.0.0.0:{port} if you want all")
    if host.lower() == "localhost":
        raise ValueError(f"means two addresses: write 127.0.0.1:{port} and [::1]:{port}")
    in_brackets = host.startswith("[") and host.endswith("]")
    literal = host[1:-1] if in_brackets else host
    try:
        address = ip_address(literal)
    except ValueError:
        raise ValueError(f"has the host {host!r}: give an address, as in 127.0.0.1:{port} or [::1]:{port}") from None
    if in_brackets != isinstance(address, IPv6Address):
        raise ValueError(f"needs brackets around an IPv6 address only, as in [::1]:{port}")
    return TcpBind(str(address), port)


def _parse_port(text: str) -> int:
    if not NUMBER.match(text) or int(text) > 65535:
        raise ValueError(f"has port {text!r}: give a number from 0 to 65535")
    return int(text)


def _plain(host: str) -> IPv4Address | IPv6Address:
    """The address; an IPv4-mapped IPv6 address gives the IPv4 address."""
    address = ip_address(host)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
