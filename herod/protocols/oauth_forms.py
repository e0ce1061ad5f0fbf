"""OAuth 2.0's form routes: credentials from Basic, form or peer, parameters from the form, RFC 6749's errors.

Operations that share a route, as the grants at `/token` do, are told apart by the form's `grant_type`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from herod.identity.credential_types import Basic, Presented, PublicClient
from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.pipeline import Pipeline
from herod.protocols.credential_headers import request_credential
from herod.protocols.decode import Pairs, convert_params, fields_of, form_pairs
from herod.protocols.http import TWO_CREDENTIALS, Request, Response
from herod.protocols.refused_requests import note_refusal
from herod.protocols.request_source import is_direct
from herod.protocols.responses import encode, json_response, oauth_error
from herod.protocols.rest import PathHandler
from herod.scopes.principal import AuthMethod
from herod_client.core.errors import (
    HerodError,
    InvalidRequest,
    InvalidTarget,
    PermissionDenied,
    UnsupportedGrantType,
    quoted,
)

__all__ = ["oauth_handler", "read_oauth_form"]

CLIENT_FIELDS: Final = ("client_id", "client_secret")
RESOURCE: Final = "resource"
GRANT_TYPE: Final = "grant_type"
# The reasons of a refusal after which a client asks what to present.
WANTS_ANOTHER: Final = frozenset({"anonymous", "method_not_allowed"})
APPS_ALONE: Final = frozenset({AuthMethod.APP})
FORM_CREDENTIALS: Final = " In the form they are client_id and client_secret."


def oauth_handler(pipeline: Pipeline, operations: Sequence[Operation]) -> PathHandler:
    """The handler of an OAuth route (`/token`, `/revoke`).

    Args:
        pipeline: runs every request.
        operations: those of the route; if there are several, each has its `grant_type`.
    """
    asks_whether_direct = any(operation.dynamic_direct for operation in operations)

    async def answer(request: Request, path: dict[str, str]) -> Response:
        meant, source = operations, request.source
        if asks_whether_direct:
            source = replace(source, is_direct=is_direct(request))
        try:
            presented = request_credential(request.headers)
            try:
                pairs = _with_values(form_pairs(request))
            except InvalidRequest:
                pipeline.check_caller(meant, presented, source)
                raise
            meant = _meant(operations, pairs) or operations
            presented = _with_form(meant, presented, pairs)
            try:
                operation = _asked_for(operations, pairs)
                params = read_oauth_form(operation, pairs)
            except InvalidRequest:
                pipeline.check_caller(meant, presented, source)
                raise
            result = await pipeline.call(operation, params, presented, source)
        except HerodError as error:
            note_refusal(pipeline, source, error)
            return _refused(meant[0], error)
        return json_response(encode(result), is_quiet=operation.is_quiet)

    return answer


def _meant(operations: Sequence[Operation], pairs: Pairs) -> list[Operation]:
    """The operations that the form may mean: one if it names its grant type, none if that is unknown."""
    asked = [value for name, value in pairs if name == GRANT_TYPE]
    return [operation for operation in operations if not asked or operation.grant_type in {None, *asked}]


def _asked_for(operations: Sequence[Operation], pairs: Pairs) -> Operation:
    """The operation of the form's grant type; the route's own, if it has only one.

    Raises:
        UnsupportedGrantType: no operation of the route has it.
        InvalidRequest: the form names none, or several.
    """
    meant = _meant(operations, pairs)
    if len(operations) == 1:
        return operations[0]
    known = ", ".join(operation.grant_type or "" for operation in operations)
    if not meant:
        asked = quoted(next(value for name, value in pairs if name == GRANT_TYPE))
        raise UnsupportedGrantType(f"Unknown grant type {asked}: herod supports {known}.")
    fields_of([pair for pair in pairs if pair[0] == GRANT_TYPE], "form")
    if len(meant) > 1:
        raise InvalidRequest(f"The parameter 'grant_type' is missing: send one of {known}.")
    return meant[0]


def _with_values(pairs: Pairs) -> Pairs:
    """The pairs without those that have no value: they count as omitted (section 3.2)."""
    return [pair for pair in pairs if pair[1]]


def read_oauth_form(operation: Operation, pairs: Pairs) -> Params:
    """The form's parameters. Those that the operation does not know are ignored (section 3.2).

    Raises:
        InvalidTarget: there are several resources; a token has one.
        InvalidRequest: another name is repeated, or a parameter is missing or cannot be read.
    """
    names = operation.params.__struct_fields__
    if RESOURCE in names and sum(name == RESOURCE for name, _ in pairs) > 1:
        raise InvalidTarget("A token is for one resource: send resource once, and ask for a token for each.")
    fields = fields_of(pairs, "form")
    known = {name: value for name, value in fields.items() if name in names}
    if operation.grant_type is not None and GRANT_TYPE not in known:
        raise InvalidRequest(f"The parameter 'grant_type' is missing: send grant_type={operation.grant_type}.")
    return convert_params(operation, known, is_text=True)


def _with_form(operations: Sequence[Operation], presented: Presented | None, pairs: Pairs) -> Presented | None:
    """The request's credential: from the headers or the form.

    A client id alone is one where apps are taken: that of an app without a secret.

    Raises:
        InvalidRequest: they differ, or the form has a part of one, or one twice.
    """
    sent = fields_of([pair for pair in pairs if pair[0] in CLIENT_FIELDS], "form")
    client_id, secret = (sent.get(name) for name in CLIENT_FIELDS)
    if secret is None:
        if client_id is not None and isinstance(presented, Basic) and presented.client_id != client_id:
            raise InvalidRequest(
                "The parameter 'client_id' differs from the one in the Authorization header: send one of them."
            )
        is_app = client_id is not None and presented is None and any(one.takes_apps for one in operations)
        return PublicClient(client_id) if is_app and client_id is not None else presented
    if client_id is None:
        raise InvalidRequest("The parameter 'client_secret' needs a client_id beside it.")
    in_form = Basic(client_id, secret)
    if presented is not None and presented != in_form:
        raise InvalidRequest("The request presents two different credentials: send one.", reason=TWO_CREDENTIALS)
    return in_form


def _refused(operation: Operation, error: HerodError) -> Response:
    """The error of a form route. For apps only those of authentication are no 400 (section 5.2)."""
    takes_tokens = operation.methods is None
    note = FORM_CREDENTIALS if not takes_tokens and error.reason in WANTS_ANOTHER else ""
    is_for_apps = operation.grant_type is not None or operation.methods == APPS_ALONE
    is_unauthorized = isinstance(error, PermissionDenied) and is_for_apps
    status = 400 if is_unauthorized else None
    return oauth_error(error, offered=("Basic", "Bearer") if takes_tokens else ("Basic",), note=note, status=status)
