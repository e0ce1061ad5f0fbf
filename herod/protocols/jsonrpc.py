"""JSON-RPC 2.0 over the operation table: single requests, notifications, batches; params by name or by position.

Everything is answered under HTTP 200, errors too; a batch's items are authorized one by one.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herod.errors import HerodError, InvalidRequest, TooLarge, quoted
from herod.operations.pipeline import Pipeline
from herod.operations.presented import Presented
from herod.operations.registry import Door, Operation, Params
from herod.protocols.answers import encode, json_response
from herod.protocols.codes import INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, row_of
from herod.protocols.http import Request, Response
from herod.protocols.presenting import presented_by
from herod.protocols.reading import check_depth, convert_params, decode_params, require_json
from herod.scopes.decisions import Access
from herod.scopes.principals import Source

__all__ = ["MAX_BATCH", "JsonRpc"]

logger = logging.getLogger("herod.protocols")

MAX_BATCH: Final = 50
NULL: Final = b"null"


class Call(msgspec.Struct, frozen=True):
    """One request object, its params and id as they were written."""

    jsonrpc: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RpcError(Exception):
    """An error of the protocol itself."""

    def __init__(self, code: int, message: str, *, request_id: bytes = NULL) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id


decode_call: Final = msgspec.json.Decoder(Call).decode
decode_batch: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_any: Final = msgspec.json.Decoder().decode
decode_positions: Final = msgspec.json.Decoder(list[Any]).decode
decode_id: Final = msgspec.json.Decoder(str | int | float | None).decode


class JsonRpc:
    """Answers `POST /rpc` and `POST /`."""

    def __init__(self, pipeline: Pipeline, operations: Mapping[str, Operation]) -> None:
        self._pipeline = pipeline
        self._methods = {name: operation for name, operation in operations.items() if Door.RPC in operation.doors}

    async def __call__(self, request: Request, path: dict[str, str]) -> Response:  # noqa: ARG002 - a path handler's form
        """Answer a request or a batch."""
        body = request.body
        try:
            require_json(request)
            check_depth(body)
        except InvalidRequest as error:
            return json_response(_error_object(INVALID_REQUEST, error.message))
        if not body.isascii():
            try:
                body.decode()  # msgspec skips the strings that it does not need
            except UnicodeDecodeError as error:
                return json_response(_error_object(PARSE_ERROR, f"The body is not JSON: {error}."))
        if body.lstrip()[:1] == b"[":
            return await self._batch(request)
        answer, is_quiet = await self._one(body, request)
        return Response(204, is_quiet=is_quiet) if answer is None else json_response(answer, is_quiet=is_quiet)

    async def _batch(self, request: Request) -> Response:
        try:
            items = decode_batch(request.body)
            decode_any(request.body)  # Raw items are only skimmed; the whole must be JSON before any of it runs
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return json_response(_error_object(PARSE_ERROR, f"The body is not JSON: {error}."))
        if not items:
            return json_response(_error_object(INVALID_REQUEST, "The batch is empty."))
        if len(items) > MAX_BATCH:
            return json_response(_herod_error(TooLarge(f"A batch has at most {MAX_BATCH} requests."), NULL))
        answers = [(await self._one(bytes(item), request))[0] for item in items]
        said = [answer for answer in answers if answer is not None]
        return json_response(b"[" + b",".join(said) + b"]") if said else Response(204)

    async def _one(self, body: bytes, request: Request) -> tuple[bytes | None, bool]:
        """The answer to one request object, None for a notification; and whether to leave it out of the log."""
        try:
            call = _read_call(body)
        except RpcError as error:
            return _error_object(error.code, error.message, error.request_id), False
        operation = self._methods.get(call.method)
        is_notification = isinstance(call.id, msgspec.UnsetType)
        request_id = NULL if isinstance(call.id, msgspec.UnsetType) else bytes(call.id)
        if operation is None:
            if is_notification:
                return None, False
            message = f"There is no method {quoted(call.method)}."
            return _error_object(METHOD_NOT_FOUND, message, request_id), False
        try:
            answer = b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (await self._run(operation, call, request), request_id)
        except HerodError as error:
            answer = _herod_error(error, request_id)
        except Exception:  # the rest of the batch must still be answered
            logger.exception("a method failed", extra={"operation": operation.name})
            answer = _error_object(INTERNAL.rpc, "Internal error.", request_id)
        return None if is_notification else answer, operation.is_quiet

    async def _run(self, operation: Operation, call: Call, request: Request) -> bytes:
        params = _read_params(operation, bytes(call.params))
        presented: Presented | None = None
        if operation.needs is not Access.PUBLIC and not _brings_credential(operation, params):
            presented = presented_by(request.headers)
        source: Source = request.source
        return encode(await self._pipeline.call(operation, params, presented, source))


def _read_call(body: bytes) -> Call:
    try:
        call = decode_call(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        call = None
    if call is None or call.jsonrpc != "2.0" or not _is_id(call.id):
        raise _why(body)
    return call


def _why(body: bytes) -> RpcError:
    """Why this is not a request object: no JSON at all, or another shape."""
    try:
        value = decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return RpcError(PARSE_ERROR, f"The body is not JSON: {error}.")
    request_id = value.get("id") if isinstance(value, dict) else None
    if not isinstance(request_id, str | int | float) or isinstance(request_id, bool):
        request_id = None
    message = 'A request is an object with "jsonrpc": "2.0", a "method", "params" and an "id".'
    return RpcError(INVALID_REQUEST, message, request_id=encode(request_id))


def _is_id(raw: msgspec.Raw | msgspec.UnsetType) -> bool:
    if isinstance(raw, msgspec.UnsetType):
        return True
    try:
        decode_id(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _read_params(operation: Operation, raw: bytes) -> Params:
    if raw.lstrip()[:1] != b"[":
        return decode_params(operation, raw)
    try:
        values = decode_positions(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("The params are not JSON.") from None
    names = operation.params.__struct_fields__
    if msgspec.UNSET in operation.params.__struct_defaults__:
        raise InvalidRequest(f"{operation.name} takes its params by name: what is left out stays as it is.")
    if len(values) > len(names):
        raise InvalidRequest(f"{operation.name} takes at most {len(names)} params: {', '.join(names) or 'none'}.")
    return convert_params(operation, dict(zip(names, values, strict=False)), is_text=False)


def _brings_credential(operation: Operation, params: Params) -> bool:
    return operation.credential_field is not None and getattr(params, operation.credential_field) is not None


def _herod_error(error: HerodError, request_id: bytes) -> bytes:
    data = {"code": error.code} if error.hint is None else {"code": error.code, "hint": error.hint}
    body = encode({"code": row_of(error).rpc, "message": error.message, "data": data})
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (body, request_id)


def _error_object(code: int, message: str, request_id: bytes = NULL) -> bytes:
    data = {"code": "internal" if code == INTERNAL.rpc else "invalid_request"}
    body = encode({"code": code, "message": message, "data": data})
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (body, request_id)
