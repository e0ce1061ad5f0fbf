"""OAuth 2.0's form routes: credentials from Basic, form or peer, parameters from the form, RFC 6749's errors."""

from typing import Final

from herod.identity.credential_types import Basic, Presented
from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.pipeline import Pipeline
from herod.protocols.credential_headers import request_credential
from herod.protocols.decode import convert_params, read_form
from herod.protocols.http import Request, Response
from herod.protocols.refused_requests import note_refusal
from herod.protocols.responses import encode, json_response, oauth_error
from herod.protocols.rest import PathHandler
from herod_client.core.errors import HerodError, InvalidRequest

__all__ = ["oauth_handler", "read_oauth_form"]

CLIENT_FIELDS: Final = ("client_id", "client_secret")


def oauth_handler(pipeline: Pipeline, operation: Operation) -> PathHandler:
    """The handler of an OAuth route (`/token`, `/revoke`)."""

    async def answer(request: Request, path: dict[str, str]) -> Response:
        try:
            presented, params = read_oauth_form(operation, request)
            result = await pipeline.call(operation, params, presented, request.source)
        except HerodError as error:
            note_refusal(pipeline, request, error)
            return oauth_error(error)
        return json_response(encode(result), is_quiet=operation.is_quiet)

    return answer


def read_oauth_form(operation: Operation, request: Request) -> tuple[Presented | None, Params]:
    """The form's credentials and parameters. Parameters the operation does not know are ignored (section 3.2).

    Raises:
        InvalidRequest: the form cannot be read, or presents two credentials.
    """
    fields = read_form(request)
    presented = request_credential(request.headers)
    client_id, secret = (fields.pop(name, None) for name in CLIENT_FIELDS)
    if secret is not None:
        if client_id is None:
            raise InvalidRequest("client_secret needs its client_id.")
        in_form = Basic(client_id, secret)
        if presented is not None and presented != in_form:
            raise InvalidRequest("The request presents two different credentials: send one.", reason="two_credentials")
        presented = in_form
    elif client_id is not None and isinstance(presented, Basic) and presented.client_id != client_id:
        raise InvalidRequest("client_id differs from the one in the Authorization header.")
    known = {name: value for name, value in fields.items() if name in operation.params.__struct_fields__ and value}
    if "grant_type" in operation.params.__struct_fields__ and "grant_type" not in known:
        raise InvalidRequest("grant_type is missing: send grant_type=client_credentials.")
    return presented, convert_params(operation, known, is_text=True)
