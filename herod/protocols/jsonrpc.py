"""JSON-RPC 2.0 over the operation table: single requests, notifications, batches; params by name or by position.

Everything is answered under HTTP 200, errors too; a batch's items are authorized one by one.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from herod.errors import HerodError, InvalidRequest, TooLarge, quoted
from herod.operations.pipeline import Pipeline
from herod.operations.presented import Presented
from herod.operations.registry import Door, Operation, Params
from herod.protocols.answers import encode, json_response
from herod.protocols.codes import INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR
from herod.protocols.http import Request, Response
from herod.protocols.messages import (
    NULL,
    Call,
    RpcError,
    decode_any,
    error_object,
    herod_error,
    read_body,
    read_call,
)
from herod.protocols.openrpc import DISCOVER
from herod.protocols.presenting import presented_by
from herod.protocols.reading import convert_params, decode_params
from herod.scopes.decisions import Access
from herod.scopes.principals import Source

__all__ = ["MAX_BATCH", "JsonRpc"]

logger = logging.getLogger("herod.protocols")

MAX_BATCH: Final = 50

decode_batch: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_positions: Final = msgspec.json.Decoder(list[Any]).decode


class JsonRpc:
    """Answers `POST /rpc` and `POST /`.

    Args:
        pipeline: where every call ends up.
        operations: the table.
        discover: makes the OpenRPC document.
    """

    def __init__(self, pipeline: Pipeline, operations: Mapping[str, Operation], discover: Callable[[], bytes]) -> None:
        self._discover = discover
        self._pipeline = pipeline
        self._methods = {name: operation for name, operation in operations.items() if Door.RPC in operation.doors}

    async def __call__(self, request: Request, path: dict[str, str]) -> Response:  # noqa: ARG002 - a path handler's form
        """Answer a request or a batch."""
        try:
            body = read_body(request)
        except RpcError as error:
            return json_response(error_object(error.code, error.message))
        if body.lstrip()[:1] == b"[":
            return await self._batch(request)
        answer, is_quiet = await self._one(body, request)
        return Response(204, is_quiet=is_quiet) if answer is None else json_response(answer, is_quiet=is_quiet)

    async def _batch(self, request: Request) -> Response:
        try:
            items = decode_batch(request.body)
            decode_any(request.body)  # Raw items are only skimmed; the whole must be JSON before any of it runs
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return json_response(error_object(PARSE_ERROR, f"The body is not JSON: {error}."))
        if not items:
            return json_response(error_object(INVALID_REQUEST, "The batch is empty."))
        if len(items) > MAX_BATCH:
            return json_response(herod_error(TooLarge(f"A batch has at most {MAX_BATCH} requests."), NULL))
        answers = [(await self._one(bytes(item), request))[0] for item in items]
        said = [answer for answer in answers if answer is not None]
        return json_response(b"[" + b",".join(said) + b"]") if said else Response(204)

    async def _one(self, body: bytes, request: Request) -> tuple[bytes | None, bool]:
        """The answer to one request object, None for a notification; and whether to leave it out of the log."""
        try:
            call = read_call(body)
        except RpcError as error:
            return error_object(error.code, error.message, error.request_id), False
        operation = self._methods.get(call.method)
        is_unanswered = isinstance(call.id, msgspec.UnsetType)
        request_id = NULL if isinstance(call.id, msgspec.UnsetType) else bytes(call.id)
        if call.method == DISCOVER and not is_unanswered:
            return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (self._discover(), request_id), False
        if operation is None:
            if is_unanswered:
                return None, False
            message = f"There is no method {quoted(call.method)}."
            return error_object(METHOD_NOT_FOUND, message, request_id), False
        try:
            answer = b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (await self._run(operation, call, request), request_id)
        except HerodError as error:
            answer = herod_error(error, request_id)
        except Exception:  # the rest of the batch must still be answered
            logger.exception("a method failed", extra={"operation": operation.name})
            answer = error_object(INTERNAL.rpc, "Internal error.", request_id)
        return None if is_unanswered else answer, operation.is_quiet

    async def _run(self, operation: Operation, call: Call, request: Request) -> bytes:
        params = _read_params(operation, bytes(call.params))
        presented: Presented | None = None
        if operation.needs is not Access.PUBLIC and not _brings_credential(operation, params):
            presented = presented_by(request.headers)
        source: Source = request.source
        return encode(await self._pipeline.call(operation, params, presented, source))


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
