"""Builds requests from calls, and reads results or errors from answers, without I/O.

`Client` and `AsyncClient` share it and differ only in transport. Must never hold a connection.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import urlencode

import msgspec

from herod_client.addresses import Address, TcpAddress, UnixAddress
from herod_client.clear_text import check_identity, check_parameters
from herod_client.client_errors import BadAnswer, InvalidInput, NotAuthenticated, Refused
from herod_client.connection_diagnosis import CHECK_ADDRESS
from herod_client.credentials import PEER, Identity, PeerIdentity, authorization

__all__ = ["Dialogue", "Json", "Request", "Response", "host_of", "parse_retry_after"]

Json: TypeAlias = Any  # decoded JSON, which the caller inspects

JSON: Final = "application/json"
RPC: Final = "/rpc"
FORM: Final = "application/x-www-form-urlencoded"

# Herod's JSON-RPC error codes → HTTP statuses (INTERFACES, "Errors").
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


@dataclass(frozen=True, slots=True)
class Request:
    """One request, to be sent once; the transport adds Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, undecoded.

    Attributes:
        retry_after: of the header, in seconds; None without one.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: int | None = None


class _RpcError(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: dict[str, Any] | None = None


class _RpcAnswer(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | None = None
    result: Any = msgspec.UNSET
    error: _RpcError | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Builds requests to the daemon at one address, and reads its answers.

    Attributes:
        address: the daemon's.
        identity: the credential; by default the uid on a Unix socket, and none over TCP.
        insecure_http: send long-lived secrets over plain `http://` too.

    Raises:
        InvalidInput: the identity is not sent to this address.
    """

    address: Address
    identity: Identity | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        """Refuse the identity before the first request."""
        check_identity(self.identity, self.address, insecure_http=self.insecure_http)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        identity: Identity | None = None,
    ) -> Request:
        """Build a request with the credential to present.

        Raises:
            InvalidInput: the identity or a parameter cannot be sent to this address.
        """
        check_identity(identity, self.address, insecure_http=self.insecure_http)
        check_parameters({}, path, self.address, insecure_http=self.insecure_http)
        headers = {"Accept": JSON, "User-Agent": "herod-client"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        presented = authorization(identity if identity is not None else self.identity, self.address)
        if presented is not None:
            headers["Authorization"] = presented
        return Request(method, path, headers, body)

    def ask_rpc(self, number: int, method: str, params: Mapping[str, Any] | None, identity: Identity | None) -> Request:
        """Build a JSON-RPC call with named parameters on `POST /rpc`."""
        self._check(params or {})
        body = _encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        return self.ask("POST", RPC, body=body, content_type=JSON, identity=identity)

    def ask_json(self, path: str, body: Mapping[str, Any], identity: Identity | None) -> Request:
        """Build a POST with a JSON body."""
        self._check(body)
        return self.ask("POST", path, body=_encode(body), content_type=JSON, identity=identity)

    def ask_form(self, path: str, form: Mapping[str, str], identity: Identity | None) -> Request:
        """Build a POST with a form."""
        self._check(form)
        try:
            body = urlencode(form).encode("ascii")
        except UnicodeEncodeError:
            raise _not_text() from None
        return self.ask("POST", path, body=body, content_type=FORM, identity=identity)

    def with_new_cookie(self, asked: Request, answer: Response) -> Request | None:
        """The same request with the socket's cookie of now, if it was refused because there was none or an older one.

        A service that is started by the first connection writes its cookie only then, and another at each start.
        Nothing else is ever asked twice: here, nothing has happened yet.
        """
        sent = asked.headers.get("Authorization", "")
        if sent.partition(" ")[0] != PEER or not _is_unauthenticated(asked, answer):
            return None
        now = authorization(PeerIdentity(), self.address)
        if now is None or now in {PEER, sent}:
            return None
        return replace(asked, headers={**asked.headers, "Authorization": now})

    def read_rpc(self, answer: Response, number: int) -> Json:
        """Return the result of the JSON-RPC call with id `number`.

        Raises:
            Refused: herod answered with an error.
            BadAnswer: the answer is not JSON-RPC, or another call's.
        """
        if answer.status >= 400:
            self.refuse(answer)
        try:
            message = msgspec.json.decode(answer.body, type=_RpcAnswer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._misunderstand(answer)
        if isinstance(message.error, _RpcError):
            raise _from_rpc(message.error)
        if message.result is msgspec.UNSET or message.id != number:
            self._misunderstand(answer)
        return message.result

    def read(self, answer: Response, allow: tuple[int, ...] = ()) -> Json:
        """Return the JSON of a route's answer.

        Args:
            answer: as received.
            allow: error statuses whose body is still returned.

        Raises:
            Refused: herod answered with an error.
            BadAnswer: it is not herod's.
        """
        if answer.status >= 400 and answer.status not in allow:
            self.refuse(answer)
        if 300 <= answer.status < 400:
            self._misunderstand(answer)
        return self._decode(answer)

    def check_file(self, answer: Response) -> None:
        """Check that the body passed to the sink was the file.

        Raises:
            Refused, BadAnswer: it was not.
        """
        if answer.status >= 400:
            self.refuse(answer)
        if answer.status != 200:
            self._misunderstand(answer)

    def refuse(self, answer: Response) -> NoReturn:
        """Raise the error that an answer contains.

        Raises:
            Refused: it is an error of herod's.
            BadAnswer: it is not.
        """
        body = self._decode(answer)
        error = body.get("error") if isinstance(body, dict) else None
        match error:
            case {"code": str(code), "message": str(message), **rest}:
                raise _refused(
                    message, code=code, hint=rest.get("hint"), status=answer.status, retry_after=answer.retry_after
                )
            case {"code": int(number), "message": str(message), **rest}:  # JSON-RPC under an HTTP error
                data = rest.get("data")
                raise _from_rpc(
                    _RpcError(number, message, data if isinstance(data, dict) else None), status=answer.status
                )
            case str(code):  # RFC 6749, section 5.2
                message = body.get("error_description")
                text = message if isinstance(message, str) else code
                raise _refused(text, code=code, status=answer.status, retry_after=answer.retry_after)
            case _:
                self._misunderstand(answer)

    def _check(self, params: Mapping[str, Any]) -> None:
        check_parameters(params, "", self.address, insecure_http=self.insecure_http)

    def _decode(self, answer: Response) -> Json:
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._misunderstand(answer)

    def _misunderstand(self, answer: Response) -> NoReturn:
        raise BadAnswer(
            f"The server at {self.address} is not herod: HTTP {answer.status}, {answer.content_type},"
            f" {len(answer.body)} bytes.",
            hint=CHECK_ADDRESS
            if not isinstance(self.address, UnixAddress)
            else "check which program listens there, and that it and this one have the same version",
        )


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise _not_text() from None


def _not_text() -> InvalidInput:
    """Arguments of a command are bytes; those that are not UTF-8 become lone surrogates (PEP 383)."""
    return InvalidInput("A parameter is not text (UTF-8).", hint="write it in UTF-8")


def _is_unauthenticated(asked: Request, answer: Response) -> bool:
    if asked.path == RPC and answer.status == 200:
        try:
            error = msgspec.json.decode(answer.body, type=_RpcAnswer).error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return isinstance(error, _RpcError) and _RPC_STATUS.get(error.code) == 401
    return answer.status == 401


def parse_retry_after(value: str | None) -> int | None:
    """The seconds in a Retry-After header (RFC 9110, section 10.2.3); None without one, or if it is a date."""
    return int(value) if value is not None and re.fullmatch(r"[0-9]{1,6}", value) else None


def host_of(address: Address) -> str:
    """The Host header at that address."""
    return address.authority if isinstance(address, TcpAddress) else "localhost"


def _from_rpc(error: _RpcError, *, status: int | None = None) -> Refused:
    data = error.data or {}
    code = data.get("code")
    return _refused(
        error.message,
        code=code if isinstance(code, str) else str(error.code),
        hint=data.get("hint"),
        status=_RPC_STATUS.get(error.code, status),
    )


def _refused(
    message: str, *, code: str, hint: object = None, status: int | None, retry_after: int | None = None
) -> Refused:
    kind = NotAuthenticated if status == 401 else Refused
    return kind(
        message, code=code, hint=hint if isinstance(hint, str) else None, status=status, retry_after=retry_after
    )
