"""JSON-RPC 2.0 over the operation table: single requests, notifications, batches; params by name or by position.

Every answer has HTTP status 200, errors too; a batch's items are authorized one by one. The answer to a batch is
limited in bytes, and other requests run between two items: items beyond the limit are refused and not run.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import trio

from herod.identity.credential_types import Bearer, Presented
from herod.pipeline.operation_definition import Operation, Params, Surface
from herod.pipeline.pipeline import Pipeline
from herod.protocols.credential_headers import operation_credential
from herod.protocols.decode import JSON_TYPES, convert_params, decode_params
from herod.protocols.documents.openrpc import DISCOVER
from herod.protocols.error_codes import INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND
from herod.protocols.http import Request, Response
from herod.protocols.jsonrpc_messages import (
    NULL,
    Call,
    RpcError,
    decode_any,
    error_object,
    herod_error,
    parse_error,
    read_body,
    read_call,
)
from herod.protocols.refused_requests import note_refusal
from herod.protocols.responses import MAX_ANSWER_BYTES, check_answer, encode, json_response
from herod.protocols.strict_json import json_fault
from herod.scopes.principal import Source
from herod.throttle.source_ranges import range_of
from herod.throttle.source_shares import share_of
from herod_client.core.errors import HerodError, InvalidRequest, TooLarge, quoted

__all__ = ["MAX_BATCH", "JsonRpc"]

logger = logging.getLogger("herod.protocols")

# What older clients send (JSON-RPC over HTTP, 2008) is taken too; a hostile page can send none without a preflight.
RPC_TYPES: Final = JSON_TYPES | {"application/json-rpc", "application/jsonrequest"}
MAX_BATCH: Final = 50
# The limit for the answer to a batch, head included: no more items are run once another answer might not fit.
MAX_BATCH_BYTES: Final = 1024 * 1024
# The part of it for the head and for refusing the items that are not run; what those repeat of the request is extra.
RESERVED_BATCH_BYTES: Final = 32 * 1024
# JSON-RPC 2.0, section 4.2: structured, or left out; null is neither.
PARAMS: Final = "The params, if there are any, must be an object or a list"
# The limits for unfinished batches of one source, and of all. The second one applies only to ranges of sources
# (`source_ranges.py`) with more than one batch's worth.
MAX_UNFINISHED_BYTES_OF_SOURCE: Final = 8 * 1024 * 1024
MAX_UNFINISHED_BYTES: Final = 32 * 1024 * 1024

decode_batch: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_positions: Final = msgspec.json.Decoder(list[Any]).decode


class JsonRpc:
    """Answers `POST /rpc` and `POST /`.

    Args:
        pipeline: runs every call.
        operations: the operation table.
        discover: returns the end of an answer that contains the OpenRPC document: one shared copy.
    """

    def __init__(
        self, pipeline: Pipeline, operations: Mapping[str, Operation], discover: Callable[[], Awaitable[bytes]]
    ) -> None:
        self._discover = discover
        self._pipeline = pipeline
        self._methods = {name: operation for name, operation in operations.items() if Surface.RPC in operation.surfaces}
        self._unfinished: Counter[str] = Counter()  # bytes, by source
        self._of_range: Counter[str] = Counter()

    async def __call__(self, request: Request, path: dict[str, str]) -> Response:  # noqa: ARG002 - a path handler's form
        """Answer a request or a batch."""
        try:
            body = read_body(request, RPC_TYPES)
        except RpcError as error:
            return json_response(error_object(error.code, error.message, error.request_id))
        if body.lstrip()[:1] == b"[":
            return await self._batch(body, request)
        try:
            call = read_call(body)
        except RpcError as error:
            return json_response(error_object(error.code, error.message, error.request_id))
        if call.method == DISCOVER and not isinstance(call.id, msgspec.UnsetType):
            return json_response(b'{"jsonrpc":"2.0","id":%b,' % bytes(call.id), shared=await self._discover())
        answer, is_quiet = await self._one(call, request)
        return Response(204, is_quiet=is_quiet) if answer is None else json_response(answer, is_quiet=is_quiet)

    async def _batch(self, body: bytes, request: Request) -> Response:
        try:
            items = decode_batch(body)
            if len(items) > MAX_BATCH:
                return json_response(herod_error(TooLarge(f"A batch has at most {MAX_BATCH} requests."), NULL))
            decode_any(body)  # Raw items are not fully parsed; all of it must be JSON before any item runs
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            fault = parse_error(body, error)
            return json_response(error_object(fault.code, fault.message))
        if not items:
            return json_response(error_object(INVALID_REQUEST, "The batch is empty."))
        said = await self._answers(items, request)
        return json_response(b"[" + b",".join(said) + b"]") if said else Response(204)

    async def _answers(self, items: list[msgspec.Raw], request: Request) -> list[bytes]:
        """The answers to a batch, without those to notifications."""
        said: list[bytes] = []
        size, source, is_explained = 0, share_of(request.source), False
        range_ = range_of(source)
        try:
            for item in items:
                why = self._why_refused(size + len(request.body), source)
                answer: bytes | None
                try:
                    call = read_call(bytes(item))
                except RpcError as error:
                    answer = _invalid(error, is_explained=is_explained)
                    is_explained = True
                else:
                    answer = await self._item(call, request) if why is None else _refused(call, why)
                if answer is not None:
                    said.append(answer)
                    size += len(answer)
                    self._unfinished[source] += len(answer)
                    self._of_range[range_] += len(answer)
                await trio.lowlevel.checkpoint()
        finally:
            for counted, name in ((self._unfinished, source), (self._of_range, range_)):
                counted[name] -= size
                if not counted[name]:
                    del counted[name]
        return said

    def _why_refused(self, size: int, source: str) -> str | None:
        """Why the rest of a batch must be refused, or None; `size` includes what refusals may repeat of the request."""
        if size > MAX_BATCH_BYTES - MAX_ANSWER_BYTES - RESERVED_BATCH_BYTES:
            return f"The answers to a batch are limited to {MAX_BATCH_BYTES} bytes: send the rest in another batch."
        is_over = (
            self._unfinished.total() >= MAX_UNFINISHED_BYTES and self._of_range[range_of(source)] > MAX_BATCH_BYTES
        )
        if is_over or self._unfinished[source] >= MAX_UNFINISHED_BYTES_OF_SOURCE:
            return "Too many batches are being answered: send the rest when those have ended."
        return None

    async def _item(self, call: Call, request: Request) -> bytes | None:
        """The answer to one item of a batch; None for a notification."""
        if call.method == DISCOVER:
            return _refused(call, f"{DISCOVER} cannot be part of a batch: send it by itself.")
        return (await self._one(call, request))[0]

    async def _one(self, call: Call, request: Request) -> tuple[bytes | None, bool]:
        """The answer to one request object, None for a notification; and whether to omit it from the access log."""
        operation = self._methods.get(call.method)
        is_unanswered = isinstance(call.id, msgspec.UnsetType)
        request_id = NULL if isinstance(call.id, msgspec.UnsetType) else bytes(call.id)
        if operation is None:
            if is_unanswered:
                return None, False
            message = f"There is no method {quoted(call.method)}."
            return error_object(METHOD_NOT_FOUND, message, request_id), False
        try:
            answer = b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (await self._run(operation, call, request), request_id)
        except HerodError as error:
            note_refusal(self._pipeline, request.source, error)
            answer = herod_error(error, request_id)
        except Exception:  # the rest of the batch must still be answered
            logger.exception("a method failed", extra={"operation": operation.name})
            answer = error_object(INTERNAL.rpc, "Internal error.", request_id)
        return None if is_unanswered else answer, operation.is_quiet

    async def _run(self, operation: Operation, call: Call, request: Request) -> bytes:
        source: Source = request.source
        try:
            params = _read_params(operation, bytes(call.params))
        except InvalidRequest:
            sent = _credential_in(operation, bytes(call.params)) or operation_credential(operation, request.headers)
            self._pipeline.check_caller((operation,), sent, source)
            raise
        presented: Presented | None = None
        if not _brings_credential(operation, params):
            presented = operation_credential(operation, request.headers)
        return check_answer(operation, encode(await self._pipeline.call(operation, params, presented, source)))


def _refused(call: Call, why: str) -> bytes | None:
    """The answer to an item that is not run; None for a notification."""
    return None if isinstance(call.id, msgspec.UnsetType) else error_object(INVALID_REQUEST, why, bytes(call.id))


def _invalid(error: RpcError, *, is_explained: bool) -> bytes:
    """The answer to an item that is no request; only the first is explained, for an item may be a single byte."""
    return error_object(error.code, "Invalid." if is_explained else error.message, error.request_id)


def _read_params(operation: Operation, raw: bytes) -> Params:
    if raw.lstrip()[:1] != b"[":
        return decode_params(operation, raw, whole=PARAMS)
    try:
        values = decode_positions(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise json_fault(raw, error) from None
    names = operation.params.__struct_fields__
    if operation.is_by_name:
        raise InvalidRequest(f"The method {operation.name} takes its params by name only: omitted ones stay unchanged.")
    if len(values) > len(names):
        taken = f"only these params, in this order: {', '.join(names)}" if names else "no params"
        raise InvalidRequest(f"The method {operation.name} takes {taken}.")
    return convert_params(operation, dict(zip(names, values, strict=False)), is_text=False)


def _credential_in(operation: Operation, raw: bytes) -> Presented | None:
    """The credential among params that are not valid, if it can be read all the same."""
    try:
        given = decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(given, list):
        given = dict(zip(operation.params.__struct_fields__, given, strict=False))
    text = given.get(operation.credential_field) if isinstance(given, dict) else None
    return Bearer(text) if isinstance(text, str) else None


def _brings_credential(operation: Operation, params: Params) -> bool:
    return operation.credential_field is not None and getattr(params, operation.credential_field) is not None
