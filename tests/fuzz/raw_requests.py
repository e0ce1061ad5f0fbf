"""Sends a generated request to a real daemon unchanged, over a new connection, and reads the answer."""

import socket
from http.client import HTTPResponse
from typing import Final

from fuzz.request_generator import Ask
from support.real_daemon import Daemon

__all__ = ["SECURITY", "Sender"]

SECURITY: Final = ("x-content-type-options", "referrer-policy", "content-security-policy")


class Sender:
    """Sends to the daemon's sockets."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def send(self, ask: Ask) -> tuple[int, dict[str, str], bytes]:
        """Send; return status, headers by lower-case name, and body.

        Raises:
            AssertionError: a security header is missing.
        """
        names = {**ask.headers, "content-length": str(len(ask.body)), "connection": "close"}
        head = f"{ask.method} {ask.target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in names.items()
        )
        with self._connect(is_unix=ask.is_unix) as client:
            client.sendall(head.encode("latin-1") + b"\r\n" + ask.body)
            answer = HTTPResponse(client, method=ask.method)
            answer.begin()
            body = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        assert all(name in headers for name in SECURITY), headers
        return answer.status, headers, body

    def _connect(self, *, is_unix: bool) -> socket.socket:
        if not is_unix:
            return socket.create_connection(("127.0.0.1", self._daemon.port), timeout=30)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(str(self._daemon.socket))
        return client
