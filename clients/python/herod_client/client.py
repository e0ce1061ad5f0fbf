"""`Client`: calls one daemon, synchronously.

One client has one connection and serves one thread at a time. It never falls back from a socket to TCP, and repeats a
request by itself only if that was refused because the daemon has written another cookie since. Results are decoded
JSON, unchanged.
"""

import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from herod_client.addresses import Address, parse_address
from herod_client.credentials import Identity
from herod_client.http_messages import Dialogue, Json, Request, Response
from herod_client.socket_servers import expected_servers
from herod_client.sync_transport import Connection, SinkError

__all__ = ["CONNECT_TIMEOUT", "REQUEST_TIMEOUT", "Client", "Json"]

CONNECT_TIMEOUT: Final = 10.0
REQUEST_TIMEOUT: Final = 30.0


class Client:
    """A connection to a daemon, and the credential to present on it.

    Args:
        address: `unix:/path`, a socket's path, `http://host:port`, `https://host:port`, or an `Address`.
        identity: the credential; by default the uid on a Unix socket (with its cookie if readable), and none over
            TCP.
        timeout: seconds from a request to its complete answer.
        connect_timeout: seconds until a connection must be established.
        tls: how an https address is verified; by default against the system's authorities.
        server_uid: the uid that may listen on a Unix socket, besides root; by default this process's own user or the
            local user `herod`.
        insecure_http: send keys, passwords and other long-lived secrets over plain `http://` too, where whoever listens
            gets them. Access tokens are sent in any case.

    Raises:
        InvalidInput: `address` is not an address, or the identity is not sent there.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        identity: Identity | None = None,
        timeout: float = REQUEST_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        tls: ssl.SSLContext | None = None,
        server_uid: int | None = None,
        insecure_http: bool = False,
    ) -> None:
        self.address = parse_address(address) if isinstance(address, str) else address
        self.identity = identity
        self._dialogue = Dialogue(self.address, identity, insecure_http)
        self._connection = Connection(
            self.address,
            connect_timeout=connect_timeout,
            timeout=timeout,
            tls=tls,
            servers=expected_servers(server_uid),
        )
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, identity: Identity | None = None) -> Json:
        """Call an operation by JSON-RPC 2.0 on `POST /rpc`.

        Args:
            method: the operation, such as `users.list`.
            params: by name.
            identity: present this instead of the client's, for this call.

        Returns:
            The result as decoded JSON.

        Raises:
            Refused: herod answered with an error; NotAuthenticated if authentication failed.
            Unreachable: no answer came.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not JSON-RPC.
            InvalidInput: the identity or a parameter cannot be sent to this address.
        """
        self._last_id += 1
        answer = self._send(self._dialogue.ask_rpc(self._last_id, method, params, identity))
        return self._dialogue.read_rpc(answer, self._last_id)

    def get(self, path: str, *, identity: Identity | None = None, allow: tuple[int, ...] = ()) -> Json:
        """GET a route that answers JSON.

        Args:
            path: with its query, already encoded.
            identity: present this instead of the client's.
            allow: error statuses whose body is still returned, such as 503 of `/health`.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(self._send(self._dialogue.ask("GET", path, identity=identity)), allow)

    def download(self, path: str, sink: Callable[[bytes], object], *, identity: Identity | None = None) -> None:
        """GET a route that answers with a file of any length; the timeout applies to each piece of it.

        Args:
            path: with its query, already encoded.
            sink: gets the file piece by piece; it is complete only when this method has returned.
            identity: present this instead of the client's.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
            OSError: the sink raised it.
        """
        try:
            answer = self._send(self._dialogue.ask("GET", path, identity=identity), sink)
        except SinkError as failed:
            raise failed.error from None
        self._dialogue.check_file(answer)

    def post(self, path: str, body: Mapping[str, Any], *, identity: Identity | None = None) -> Json:
        """POST a JSON body to a plain route.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(self._send(self._dialogue.ask_json(path, body, identity)))

    def post_form(self, path: str, form: Mapping[str, str], *, identity: Identity | None = None) -> Json:
        """POST a form to an OAuth route.

        Raises:
            Refused: `code` is the OAuth error (RFC 6749, section 5.2).
            Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(self._send(self._dialogue.ask_form(path, form, identity)))

    def _send(self, asked: Request, sink: Callable[[bytes], object] | None = None) -> Response:
        answer = self._connection.request(asked.method, asked.path, headers=asked.headers, body=asked.body, sink=sink)
        again = self._dialogue.with_new_cookie(asked, answer)
        if again is None:
            return answer
        return self._connection.request(again.method, again.path, headers=again.headers, body=again.body, sink=sink)
