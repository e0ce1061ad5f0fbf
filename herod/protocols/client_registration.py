"""Client registration (RFC 7591): a JSON object whose unknown members are ignored, and OAuth's errors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.pipeline import Pipeline
from herod.protocols.decode import convert_params, require_json
from herod.protocols.http import Request, Response
from herod.protocols.refused_requests import note_refusal
from herod.protocols.request_source import is_direct
from herod.protocols.responses import encode, json_response, oauth_error
from herod.protocols.rest import PathHandler
from herod.protocols.strict_json import json_fault, read_json
from herod_client.core.errors import HerodError, InvalidClientMetadata, InvalidRedirectUri, InvalidRequest

__all__ = ["registration_handler"]

REDIRECTS: Final = "redirect_uris"
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def registration_handler(pipeline: Pipeline, operation: Operation) -> PathHandler:
    """The handler of a route that takes `members`."""

    async def answer(request: Request, path: dict[str, str]) -> Response:
        source = replace(request.source, is_direct=is_direct(request))
        try:
            try:
                params = _read(operation, request)
            except InvalidRequest:
                pipeline.check_caller((operation,), None, source)
                raise
            result = await pipeline.call(operation, params, None, source)
        except HerodError as error:
            note_refusal(pipeline, source, error)
            return oauth_error(error)
        return json_response(encode(result), status=201 if operation.creates else 200)

    return answer


def _read(operation: Operation, request: Request) -> Params:
    """The body's members that the operation knows; those that are null count as omitted.

    Raises:
        InvalidRedirectUri, InvalidClientMetadata: the body cannot be read, or a member has the wrong type.
    """
    try:
        members = _members(request)
        names = operation.params.__struct_fields__
        known = {name: value for name, value in members.items() if name in names and value is not None}
    except InvalidRequest as error:
        if type(error) is not InvalidRequest:  # a compressed body has a status of its own
            raise
        raise InvalidClientMetadata(error.message) from None
    try:
        return convert_params(operation, known, is_text=False)
    except InvalidRequest as error:
        is_about_redirects = REDIRECTS in error.message
        raise (InvalidRedirectUri if is_about_redirects else InvalidClientMetadata)(error.message) from None


def _members(request: Request) -> Mapping[str, Any]:
    if request.query:
        raise InvalidRequest("Parameters belong in the body, not in the URL, where logs would keep them.")
    require_json(request)
    text = read_json(request.body)
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and not text.lstrip().startswith(b"{"):
            raise InvalidRequest("The body must be an object.") from None
        raise json_fault(text, error) from None
