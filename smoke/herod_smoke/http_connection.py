"""HTTP to the daemon over a Unix socket or TCP: one request, one answer, on a persistent connection."""

import http.client
import json
import os
import pwd
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from herod_smoke.files import load

__all__ = ["Headers", "HttpClient", "Response", "SmokeConnection", "UnreachableError", "basic", "bearer", "peer"]

Headers = Mapping[str, str]


class UnreachableError(Exception):
    """Nothing answers at the address."""


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        headers: lower-case name → value.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


class HttpClient(Protocol):
    """Sends requests to the daemon."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Headers | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request; at most one of `json`, `form` and `body`."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float, servers: frozenset[int]) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._servers = servers

    def connect(self) -> None:
        """Connect to the socket's path.

        Raises:
            UnreachableError: another user's process listens there, unix(7).
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        _, uid, _ = struct.unpack("iII", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in self._servers:
            self.close()
            raise UnreachableError(
                f"unix:{self._path} is served by uid {uid}, which is not root, herod or you: nothing was sent; "
                f"if it is your herod, give --server-uid {uid}"
            )


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=load(Path(ca_file)))
    except (OSError, ValueError) as error:
        raise UnreachableError(f"the certificates in {ca_file} cannot be used: {error}") from None


def _parse(url: str) -> tuple[bool, str, int | None]:
    """Whether a URL is https, its host and its port."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and url.isascii() and url.isprintable():
            return parts.scheme == "https", parts.hostname, parts.port
    except ValueError:  # brackets without an address, or a port out of range
        pass
    raise UnreachableError(f"{url!r} is not an address: write unix:/path, http://host:port or https://host:port")


class SmokeConnection:
    """A `HttpClient` over a real connection.

    Args:
        url: `unix:/path`, `http://host:port` or `https://host:port`.
        timeout: seconds for each answer.
        ca_file: certificates to trust on TLS instead of the system's.
        server_uid: the uid whose process may listen on a Unix socket, besides root; by default this process's user or
            the local user `herod`.

    Attributes:
        is_clear: over TCP without TLS, where nothing shows whose server it is.
    """

    def __init__(
        self, url: str, *, timeout: float = 30, ca_file: str | None = None, server_uid: int | None = None
    ) -> None:
        self.url = url
        self.is_clear = url.lower().startswith("http:")
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            self.socket: Path | None = Path(path)
            self._connection: http.client.HTTPConnection = _UnixConnection(path, timeout, _servers(server_uid))
            return
        is_secure, host, port = _parse(url)
        self.socket = None
        if is_secure:
            context = _trusting(ca_file)
            self._connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Headers | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request; at most one of `json`, `form` and `body`."""
        sent = dict(headers or {})
        if json is not None:
            body = _dumps(json)
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            body = urlencode(form).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            return self._ask(method, path, sent, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()  # the daemon closed a connection that was idle
        try:
            return self._ask(method, path, sent, body)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.url} does not answer: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, headers: Headers, body: bytes | None) -> Response:
        try:
            self._connection.request(method, path, body=body, headers=dict(headers))
            response = self._connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, found, response.read())
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            raise
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UnreachableError(f"{self.url} does not answer: {error}") from error
        except BaseException:  # Ctrl-C between request and answer: cleaning up needs a usable connection
            self._connection.close()
            raise


def _servers(uid: int | None) -> frozenset[int]:
    if uid is not None:
        return frozenset({0, uid})
    try:
        return frozenset({0, os.geteuid(), pwd.getpwnam("herod").pw_uid})
    except KeyError:
        return frozenset({0, os.geteuid()})


def bearer(token: str) -> Headers:
    """Return the header for a token or key."""
    return {"Authorization": f"Bearer {token}"}


def basic(client_id: str, secret: str) -> Headers:
    """Return the header for a client id and secret (RFC 6749, section 2.3.1)."""
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


def peer(cookie: str | None) -> Headers:
    """Return the header for the local user, or with the socket's cookie for the local admin."""
    return {"Authorization": f"Peer {cookie}" if cookie else "Peer"}


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()
