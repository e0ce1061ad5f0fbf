"""The error responses of the OpenAPI document: their format by route, headers and examples.

Defines no status: `error_codes.py` maps errors to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from herod.pipeline.operation_definition import Operation, Route
from herod.protocols.documents.common_schemas import SCHEMAS
from herod.protocols.error_codes import CODES, INTERNAL, REQUEST_CODES, Row, row_of_kind
from herod.protocols.error_formats import is_oauth_route
from herod.protocols.responses import API_VERSION, is_enveloped
from herod.scopes.decisions import Access
from herod_client.core import errors
from herod_client.core.errors import HerodError

__all__ = ["JSON", "failure", "failure_responses", "failures"]

Schema = dict[str, Any]

JSON: Final = "application/json"
RESPONSES: Final = "#/components/responses/"
# Errors that any request can get.
ALWAYS: Final[tuple[type[HerodError], ...]] = (
    errors.InvalidRequest,
    errors.Unauthenticated,
    errors.PermissionDenied,
    errors.TooLarge,
    errors.UnsupportedEncoding,
    errors.RateLimited,
    errors.Unavailable,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The documents' description of a status, and an example error."""

    text: str
    code: str
    message: str
    hint: str | None = None


MEANINGS: Final[Mapping[int, Meaning]] = {
    400: Meaning(
        "The request is malformed, or asks for something invalid.",
        errors.InvalidRequest.code,
        "Unknown scope 'reed': known scopes are owner, admin, write, read.",
    ),
    401: Meaning(
        "The credential is missing or invalid.",
        errors.BadCredentials.code,
        "This needs a credential: send Authorization: Bearer with a token or an API key, Authorization: Basic "
        "with a client id and secret, or, on the Unix socket, Authorization: Peer.",
    ),
    403: Meaning(
        "The credential does not allow this, or the request has a foreign origin.",
        errors.MissingScope.code,
        "This needs scope 'admin', which this token does not have.",
        "herod user scope 5f0c2f0e-7a0d-4c53-9d1c-0a7b1f6e2c11 admin",
    ),
    404: Meaning("It does not exist, or you may not see it.", errors.NotFound.code, "There is no such account."),
    409: Meaning(
        "Conflicts with the current state.", errors.Conflict.code, "An account with this email exists already."
    ),
    413: Meaning("The request is too large.", errors.TooLarge.code, "The body is larger than 65536 bytes."),
    415: Meaning(
        "The body is compressed.",
        errors.InvalidRequest.code,
        "Compressed bodies are not supported: send the body without Content-Encoding.",
    ),
    421: Meaning(
        "Unknown Host.",
        errors.InvalidRequest.code,
        "Unknown host name: add it to `hosts` in the settings.",
    ),
    429: Meaning(
        "Too many attempts: wait as `Retry-After` says.",
        errors.RateLimited.code,
        "Too many attempts: try again in 30 seconds.",
    ),
    500: Meaning("An internal error; see herod's log.", "internal", "Internal error."),
    503: Meaning(
        "The store cannot do this now; `/health` says why.",
        errors.Unavailable.code,
        "The store is read-only: herod's log says why.",
    ),
}
# The first row of a status is the general one.
ROWS: Final[Mapping[int, Row]] = {row.http: row for row in reversed([*CODES.values(), *REQUEST_CODES.values()])}

# status → header → whether every such answer has it
HEADERS: Final[Mapping[int, tuple[str, bool, Schema, str]]] = {
    401: ("WWW-Authenticate", True, {"type": "string"}, "how to authenticate (RFC 9110, section 11.6.1)"),
    403: (
        "WWW-Authenticate",
        False,
        {"type": "string"},
        "if a scope is missing: which one (RFC 6750, section 3.1)",
    ),
    429: ("Retry-After", True, {"type": "integer", "minimum": 0}, "seconds to wait"),
}


def failures(operation: Operation, route: Route) -> Schema:
    """The errors that a route may return, by status."""
    kinds = {kind for kind in ALWAYS if kind is not errors.Unauthenticated or operation.needs is not Access.PUBLIC}
    kinds.update(operation.failures)
    if route.method in {"GET", "DELETE"}:
        kinds.discard(errors.UnsupportedEncoding)  # there is no body
    if "{" in route.path:
        kinds.add(errors.NotFound)
    if operation.is_command:
        kinds.add(errors.Conflict)
    statuses = {str(row_of_kind(kind).http) for kind in kinds} | {"421", str(INTERNAL.http)}
    if operation.status is not None:
        statuses.discard("503")
    form = (
        "OAuthError" if is_oauth_route(operation, route.path) else "ApiError" if is_enveloped(route.path) else "Error"
    )
    return {status: failure(int(status), form) for status in sorted(statuses)}


def failure(status: int, form: str = "Error") -> Schema:
    """A reference to one of `failure_responses`.

    Args:
        form: `Error` of plain routes, `ApiError` in the envelope, `OAuthError`, or `RpcError` of JSON-RPC endpoints.
    """
    return {"$ref": f"{RESPONSES}{form}{status}"}


def failure_responses() -> dict[str, Schema]:
    """The error responses in every format, by name."""
    return {
        **{f"Error{status}": _failure(status, "ErrorAnswer") for status in MEANINGS},
        **{f"ApiError{status}": _failure(status, "ApiErrorAnswer") for status in MEANINGS},
        **{f"OAuthError{status}": _failure(status, "OAuthError") for status in MEANINGS},
        **{f"RpcError{status}": _rpc_failure(status) for status in MEANINGS},
    }


def _failure(status: int, name: str) -> Schema:
    meaning = MEANINGS[status]
    error = {"code": meaning.code, "message": meaning.message}
    example: Schema = {"error": error if meaning.hint is None else {**error, "hint": meaning.hint}}
    schema: Schema = {"$ref": f"{SCHEMAS}{name}"}
    if name == "ApiErrorAnswer":
        example["meta"] = {"api_version": API_VERSION, "server_version": "1.0.0"}
    elif name == "OAuthError":
        example = {"error": ROWS[status].oauth, "error_description": meaning.message}
    return _answer(status, schema, example)


def _rpc_failure(status: int) -> Schema:
    """An error response of a JSON-RPC endpoint."""
    meaning = MEANINGS[status]
    example = {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": ROWS[status].rpc, "message": meaning.message, "data": {"code": meaning.code}},
    }
    return _answer(status, {"$ref": f"{SCHEMAS}RpcError"}, example)


def _answer(status: int, schema: Schema, example: Schema) -> Schema:
    answer: Schema = {
        "description": MEANINGS[status].text,
        "content": {JSON: {"schema": schema, "example": example}},
    }
    if status in HEADERS:
        name, is_sure, kind, meaning = HEADERS[status]
        answer["headers"] = {name: {"description": meaning, "required": is_sure, "schema": kind}}
    return answer
