"""`AsyncClient`: calls one daemon, on asyncio or trio. Like `Client`, for many tasks at once over kept connections.

It never falls back from a socket to TCP, and never repeats a request by itself.
"""

import itertools
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from herod_client.addresses import Address, parse_address
from herod_client.async_transport import ConnectionPool
from herod_client.client import CONNECT_TIMEOUT, MAX_CONNECTIONS, REQUEST_TIMEOUT
from herod_client.credentials import Identity
from herod_client.http_exchange import Sink, SinkError
from herod_client.http_messages import Dialogue, Json, Request, Response
from herod_client.socket_servers import expected_servers

__all__ = ["MAX_CONNECTIONS", "AsyncClient"]


class AsyncClient:
    """Connections to a daemon, and the credential to present on them.

    Args:
        address: `unix:/path`, a socket's path, `http://host:port`, `https://host:port`, or an `Address`.
        identity: the credential; by default the uid on a Unix socket (with its cookie if readable), and none over
            TCP.
        timeout: seconds from a request to its complete answer.
        connect_timeout: seconds until a connection must be established.
        max_connections: open at once; further requests wait for one of them.
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
        max_connections: int = MAX_CONNECTIONS,
        tls: ssl.SSLContext | None = None,
        server_uid: int | None = None,
        insecure_http: bool = False,
    ) -> None:
        self.address = parse_address(address) if isinstance(address, str) else address
        self.identity = identity
        self._dialogue = Dialogue(self.address, identity, insecure_http)
        self._pool = ConnectionPool(
            self.address,
            size=max_connections,
            connect_timeout=connect_timeout,
            timeout=timeout,
            tls=tls,
            servers=expected_servers(server_uid),
        )
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, those in use after their answer; the next call opens another."""
        await self._pool.aclose()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, identity: Identity | None = None
    ) -> Json:
        """Call an operation by JSON-RPC 2.0 on `POST /rpc`; see `Client.call`.

        Raises:
            Refused: herod answered with an error; NotAuthenticated if authentication failed.
            Unreachable: no answer came.
            Untrusted: another user's process listens there.
            BadAnswer: the answer is not JSON-RPC.
            InvalidInput: the identity or a parameter cannot be sent to this address.
        """
        number = next(self._numbers)
        answer = await self._send(self._dialogue.ask_rpc(number, method, params, identity))
        return self._dialogue.read_rpc(answer, number)

    async def get(self, path: str, *, identity: Identity | None = None, allow: tuple[int, ...] = ()) -> Json:
        """GET a route that answers JSON; see `Client.get`.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(await self._send(self._dialogue.ask("GET", path, identity=identity)), allow)

    async def download(self, path: str, sink: Sink, *, identity: Identity | None = None) -> None:
        """GET a route that answers with a file of any length; see `Client.download`.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
            OSError: the sink raised it.
        """
        try:
            answer = await self._send(self._dialogue.ask("GET", path, identity=identity), sink)
        except SinkError as failed:
            raise failed.error from None
        self._dialogue.check_file(answer)

    async def post(self, path: str, body: Mapping[str, Any], *, identity: Identity | None = None) -> Json:
        """POST a JSON body to a plain route; see `Client.post`.

        Raises:
            Refused, Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(await self._send(self._dialogue.ask_json(path, body, identity)))

    async def post_form(self, path: str, form: Mapping[str, str], *, identity: Identity | None = None) -> Json:
        """POST a form to an OAuth route; see `Client.post_form`.

        Raises:
            Refused: `code` is the OAuth error (RFC 6749, section 5.2).
            Unreachable, Untrusted, BadAnswer, InvalidInput: as `call`.
        """
        return self._dialogue.read(await self._send(self._dialogue.ask_form(path, form, identity)))

    async def _send(self, asked: Request, sink: Sink | None = None) -> Response:
        answer = await self._pool.request(asked, sink=sink)
        again = self._dialogue.with_new_cookie(asked, answer)
        return answer if again is None else await self._pool.request(again, sink=sink)
