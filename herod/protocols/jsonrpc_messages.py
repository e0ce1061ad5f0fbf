"""JSON-RPC 2.0 messages, strictly parsed from bytes and written as bytes; shared by `/rpc` and `/mcp`.

Knows no operations or methods; never inspects the params.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herod.protocols.decode import JSON_TYPES, require_json
from herod.protocols.error_codes import INTERNAL, INVALID_REQUEST, PARSE_ERROR, row_of
from herod.protocols.http import Request
from herod.protocols.responses import encode, error_details
from herod.protocols.strict_json import json_fault, read_json
from herod_client.core.errors import HerodError, InvalidRequest, UnsupportedEncoding

__all__ = [
    "NULL",
    "Call",
    "RpcError",
    "decode_any",
    "error_object",
    "herod_error",
    "id_of",
    "is_notification",
    "parse_error",
    "read_body",
    "read_call",
]

NULL: Final = b"null"


class Call(msgspec.Struct, frozen=True):
    """One request object, its params and id as they were written."""

    jsonrpc: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Named(msgspec.Struct, frozen=True):
    """The id of anything that has one."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RpcError(Exception):
    """An error of the protocol itself.

    Attributes:
        data: the error's `data`, if it is not herod's default.
    """

    def __init__(
        self, code: int, message: str, *, request_id: bytes = NULL, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.data = data


decode_any: Final = msgspec.json.Decoder().decode
decode_named: Final = msgspec.json.Decoder(Named).decode
decode_call: Final = msgspec.json.Decoder(Call).decode
decode_id: Final = msgspec.json.Decoder(str | int | float | None).decode


def read_body(request: Request, types: frozenset[str] = JSON_TYPES) -> bytes:
    """The JSON in a request's body, or what cannot be told from it without parsing.

    Args:
        request: the request.
        types: the Content-Types that are taken.

    Raises:
        RpcError: its Content-Type is another one, it is nested too deeply, gives a name twice, or is not UTF-8.
        UnsupportedEncoding: it is compressed.
    """
    try:
        require_json(request, types)
        body = read_json(request.body)
    except InvalidRequest as error:
        raise RpcError(INVALID_REQUEST, error.message, request_id=_id_in(request.body)) from None
    if not body.isascii():
        try:
            body.decode()  # msgspec does not check the strings that it skips
        except UnicodeDecodeError as error:
            raise parse_error(body, error) from None
    return body


def parse_error(body: bytes, error: Exception) -> RpcError:
    """The error for what is not JSON.

    Raises:
        UnsupportedEncoding: it is compressed.
    """
    fault = json_fault(body, error)
    if isinstance(fault, UnsupportedEncoding):
        raise fault from None
    return RpcError(PARSE_ERROR, fault.message)


def read_call(body: bytes) -> Call:
    """Parse one request object.

    Raises:
        RpcError: it is not JSON, or not a request object; with its id if that can be read.
    """
    try:
        call = decode_call(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        call = None
    if call is None or call.jsonrpc != "2.0" or not _is_id(call.id):
        raise _why(body)
    return call


def is_notification(call: Call) -> bool:
    """Whether the call expects no answer."""
    return isinstance(call.id, msgspec.UnsetType)


def id_of(call: Call) -> bytes:
    """The call's id as it was written; null for a notification."""
    return NULL if isinstance(call.id, msgspec.UnsetType) else bytes(call.id)


def herod_error(error: HerodError, request_id: bytes) -> bytes:
    """The response object for an operation's error."""
    data = {"code": error.code, **error_details(error)}
    body = encode({"code": row_of(error).rpc, "message": error.message, "data": data})
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (body, request_id)


def error_object(code: int, message: str, request_id: bytes = NULL, data: Mapping[str, Any] | None = None) -> bytes:
    """The response object for a protocol error."""
    if data is None:
        data = {"code": "internal" if code == INTERNAL.rpc else "invalid_request"}
    body = encode({"code": code, "message": message, "data": data})
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (body, request_id)


def _why(body: bytes) -> RpcError:
    """The error for what is not a request object: not JSON, or another shape."""
    try:
        decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return parse_error(body, error)
    message = 'A request is an object with "jsonrpc": "2.0", a "method", "params" and an "id".'
    return RpcError(INVALID_REQUEST, message, request_id=_id_in(body))


def _id_in(body: bytes) -> bytes:
    """The id in a request that is otherwise invalid; null if it has none, or may belong to something else."""
    try:
        found = decode_named(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NULL
    is_sure = isinstance(found, msgspec.Raw) and body.count(b'"id"') == 1 and _is_id(found)
    return bytes(found) if isinstance(found, msgspec.Raw) and is_sure else NULL


def _is_id(raw: msgspec.Raw | msgspec.UnsetType) -> bool:
    if isinstance(raw, msgspec.UnsetType):
        return True
    try:
        decode_id(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
