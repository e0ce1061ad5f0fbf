"""REST: each operation's routes, plain and under `/api/v1`, derived from the operation table."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from herod.pipeline.operation_definition import NoParams, Operation, Params, Route
from herod.pipeline.pipeline import Pipeline
from herod.protocols.credential_headers import header_text, operation_credential
from herod.protocols.decode import convert_params, decode_params, read_query, require_json
from herod.protocols.http import NO_STORE, Request, Response
from herod.protocols.refused_requests import note_refusal
from herod.protocols.responses import (
    ErrorWriter,
    check_answer,
    encode,
    envelope_error,
    enveloped,
    is_enveloped,
    json_response,
    plain_error,
)
from herod.protocols.strict_json import json_fault, read_json
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["IN_QUERY", "STREAM_TYPE", "PathHandler", "rest_handler"]

# A request and the values of its path's `{name}` segments.
PathHandler = Callable[[Request, dict[str, str]], Awaitable[Response]]

IN_QUERY = frozenset({"GET", "DELETE"})
STREAM_TYPE = "application/octet-stream"
STREAM_HEADERS = (("Content-Type", STREAM_TYPE), *NO_STORE)
decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


def rest_handler(pipeline: Pipeline, operation: Operation, route: Route) -> PathHandler:
    """The handler of one route of an operation."""
    version = pipeline.runtime.config.version
    has_envelope = is_enveloped(route.path)
    write_error: ErrorWriter = envelope_error(version) if has_envelope else plain_error
    status = 201 if operation.creates else 200

    async def answer(request: Request, path: dict[str, str]) -> Response:
        try:
            presented = operation_credential(operation, request.headers)
            try:
                params = read_params(operation, route, request, path)
            except InvalidRequest:
                pipeline.check_caller((operation,), presented, request.source)
                raise
            request.ends_with_client = operation.wait is not None
            result = await pipeline.call(operation, params, presented, request.source)
            if operation.streamed is not None:
                # A browser saves it, whatever it contains.
                disposition = ("Content-Disposition", f'attachment; filename="herod.{operation.name}"')
                stream = await operation.streamed(pipeline.store)
                return Response(200, headers=(*STREAM_HEADERS, disposition), stream=stream)
            if operation.media_type is not None:
                headers = (("Content-Type", operation.media_type), *NO_STORE)
                return Response(200, check_answer(operation, result.encode()), headers)
            body = check_answer(operation, enveloped(result, version) if has_envelope else encode(result))
        except HerodError as error:
            note_refusal(pipeline, request.source, error)
            return write_error(error)
        return json_response(
            body,
            status=status if operation.status is None else operation.status(result),
            is_quiet=operation.is_quiet,
        )

    return answer


def read_params(operation: Operation, route: Route, request: Request, path: dict[str, str]) -> Params:
    """The operation's parameters from the path, and from the query or body.

    Raises:
        InvalidRequest: they cannot be read, or give a parameter twice.
    """
    if operation.headers:
        path = {**path, **_from_headers(operation, request)}
    if route.method in IN_QUERY:
        if operation.params is NoParams and not is_enveloped(route.path):
            return NoParams()  # health and public documents take any query: who asks for them adds one against caches
        fields = read_query(request.query)
        in_url = operation.headers.keys() & fields.keys()
        if in_url:
            header = operation.headers[min(in_url)]
            raise InvalidRequest(
                f"The parameter {min(in_url)!r} must not be in the URL, where logs would keep it: send {header}."
            )
        if operation.headers and request.body:  # it would be ignored, and a secret in it would seem wrong
            header = min(operation.headers.values())
            raise InvalidRequest(f"{route.method} takes no body here: send {header}.")
        return convert_params(operation, _merge(path, fields), is_text=True)
    return _params_in_body(operation, request, path)


def _params_in_body(operation: Operation, request: Request, path: dict[str, str]) -> Params:
    if request.query:
        raise InvalidRequest("Parameters belong in the body, not in the URL, where logs would keep them.")
    if not request.body:
        return convert_params(operation, path, is_text=False)
    require_json(request)
    text = read_json(request.body)
    if not path:
        return decode_params(operation, text)
    try:
        fields = decode_fields(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and not text.lstrip().startswith(b"{"):
            raise InvalidRequest("The body must be an object.") from None
        raise json_fault(text, error) from None
    return convert_params(operation, _merge(path, fields), is_text=False)


def _from_headers(operation: Operation, request: Request) -> dict[str, str]:
    return {
        name: header_text(request.headers[header.lower()])
        for name, header in operation.headers.items()
        if header.lower() in request.headers
    }


def _merge(path: dict[str, str], fields: dict[str, Any]) -> dict[str, Any]:
    twice = path.keys() & fields.keys()
    if twice:
        raise InvalidRequest(
            f"The parameter {min(twice)!r} is already in the path or a header: leave it out of the query or body."
        )
    return {**fields, **path}
