"""`Client`: asks one daemon, synchronously.

One client has one connection and serves one thread at a time. It never falls back from a socket to TCP, and
never repeats a request by itself. Results come as the wire has them.
"""

import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeAlias
from urllib.parse import urlencode

import msgspec

from herod.client.addresses import Address, UnixAddress, parse_address
from herod.client.diagnosis import CHECK_ADDRESS
from herod.client.errors import BadAnswer, NotAuthenticated, Refused
from herod.client.identity import Identity, authorization
from herod.client.transport import Answer, Connection, SinkError

__all__ = ["CONNECT_TIMEOUT", "REQUEST_TIMEOUT", "Client", "Json"]

Json: TypeAlias = Any  # decoded JSON, for the caller to look into

CONNECT_TIMEOUT: Final = 10.0
REQUEST_TIMEOUT: Final = 30.0

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

# What herod's own JSON-RPC error numbers stand for (INTERFACES, "Errors").
_RPC_STATUS: Final = {
    4001: 401,
    4003: 403,
    4004: 404,
    4009: 409,
    4029: 429,
    5003: 503,
    -32602: 400,
    -32603: 500,
}


class _RpcError(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: dict[str, Any] | None = None


class _RpcAnswer(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | None = None
    result: Any = msgspec.UNSET
    error: _RpcError | msgspec.UnsetType = msgspec.UNSET


class Client:
    """A connection to a daemon and who asks on it.

    Args:
        address: `unix:/path`, a socket's path, `http://host:port`, `https://host:port`, or an `Address`.
        identity: what to present; by default the uid on a Unix socket (with its cookie where readable), and
            nothing elsewhere.
        timeout: seconds from a request to its whole answer.
        connect_timeout: seconds until a connection must stand.
        tls: how an https address is verified; by default against the system's authorities.

    Raises:
        InvalidInput: `address` is none.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        identity: Identity | None = None,
        timeout: float = REQUEST_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = parse_address(address) if isinstance(address, str) else address
        self.identity = identity
        self._connection = Connection(self.address, connect_timeout=connect_timeout, timeout=timeout, tls=tls)
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
        """End the connection; the next call opens another."""
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
            Refused: herod answered with an error; NotAuthenticated where it does not know who asks.
            Unreachable: no answer came.
            BadAnswer: the answer is not JSON-RPC.
            InvalidInput: the identity cannot be presented at this address.
        """
        self._last_id += 1
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}})
        answer = self._ask("POST", "/rpc", body=body, content_type=JSON, identity=identity)
        if answer.status >= 400:
            self._refuse(answer)
        try:
            message = msgspec.json.decode(answer.body, type=_RpcAnswer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._misunderstand(answer)
        if isinstance(message.error, _RpcError):
            raise _from_rpc(message.error)
        if message.result is msgspec.UNSET or message.id != self._last_id:
            self._misunderstand(answer)
        return message.result

    def get(self, path: str, *, identity: Identity | None = None, allow: tuple[int, ...] = ()) -> Json:
        """GET a route that answers JSON.

        Args:
            path: with its query, already encoded.
            identity: present this instead of the client's.
            allow: error statuses whose body is an answer all the same, such as 503 of `/health`.

        Raises:
            Refused, Unreachable, BadAnswer, InvalidInput: as `call`.
        """
        return self._read(self._ask("GET", path, identity=identity), allow)

    def download(self, path: str, sink: Callable[[bytes], object], *, identity: Identity | None = None) -> None:
        """GET a route that answers with a file, however long; the timeout counts for each piece of it.

        Args:
            path: with its query, already encoded.
            sink: gets the file piece by piece; what came counts only once this has returned.
            identity: present this instead of the client's.

        Raises:
            Refused, Unreachable, BadAnswer, InvalidInput: as `call`.
            OSError: the sink raised it.
        """
        try:
            answer = self._ask("GET", path, identity=identity, sink=sink)
        except SinkError as failed:
            raise failed.error from None
        if answer.status >= 400:
            self._refuse(answer)
        if answer.status != 200:
            self._misunderstand(answer)

    def post(self, path: str, body: Mapping[str, Any], *, identity: Identity | None = None) -> Json:
        """POST a JSON body to a plain route.

        Raises:
            Refused, Unreachable, BadAnswer, InvalidInput: as `call`.
        """
        content = msgspec.json.encode(body)
        return self._read(self._ask("POST", path, body=content, content_type=JSON, identity=identity), ())

    def post_form(self, path: str, form: Mapping[str, str], *, identity: Identity | None = None) -> Json:
        """POST a form to an OAuth route.

        Raises:
            Refused: `code` is the OAuth error (RFC 6749, section 5.2).
            Unreachable, BadAnswer, InvalidInput: as `call`.
        """
        content = urlencode(form).encode("ascii")
        return self._read(self._ask("POST", path, body=content, content_type=FORM, identity=identity), ())

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        identity: Identity | None = None,
        sink: Callable[[bytes], object] | None = None,
    ) -> Answer:
        headers = {"Accept": JSON, "User-Agent": "herod-client"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        presented = authorization(identity if identity is not None else self.identity, self.address)
        if presented is not None:
            headers["Authorization"] = presented
        return self._connection.request(method, path, headers=headers, body=body, sink=sink)

    def _read(self, answer: Answer, allow: tuple[int, ...]) -> Json:
        if answer.status >= 400 and answer.status not in allow:
            self._refuse(answer)
        if 300 <= answer.status < 400:
            self._misunderstand(answer)
        return self._decode(answer)

    def _decode(self, answer: Answer) -> Json:
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._misunderstand(answer)

    def _refuse(self, answer: Answer) -> NoReturn:
        body = self._decode(answer)
        error = body.get("error") if isinstance(body, dict) else None
        match error:
            case {"code": str(code), "message": str(message), **rest}:
                raise _refused(message, code=code, hint=rest.get("hint"), status=answer.status)
            case {"code": int(number), "message": str(message), **rest}:  # JSON-RPC under an HTTP error
                data = rest.get("data")
                raise _from_rpc(
                    _RpcError(number, message, data if isinstance(data, dict) else None), status=answer.status
                )
            case str(code):  # RFC 6749, section 5.2
                message = body.get("error_description")
                raise _refused(message if isinstance(message, str) else code, code=code, status=answer.status)
            case _:
                self._misunderstand(answer)

    def _misunderstand(self, answer: Answer) -> NoReturn:
        raise BadAnswer(
            f"What answers at {self.address} is not herod: HTTP {answer.status}, {answer.content_type},"
            f" {len(answer.body)} bytes.",
            hint=CHECK_ADDRESS
            if not isinstance(self.address, UnixAddress)
            else "check which program listens there, and that it and this one are of the same version",
        )


def _from_rpc(error: _RpcError, *, status: int | None = None) -> Refused:
    data = error.data or {}
    code = data.get("code")
    return _refused(
        error.message,
        code=code if isinstance(code, str) else str(error.code),
        hint=data.get("hint"),
        status=_RPC_STATUS.get(error.code, status),
    )


def _refused(message: str, *, code: str, hint: object = None, status: int | None) -> Refused:
    kind = NotAuthenticated if status == 401 else Refused
    return kind(message, code=code, hint=hint if isinstance(hint, str) else None, status=status)
