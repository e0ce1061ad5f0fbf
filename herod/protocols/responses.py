"""Results and errors as JSON: flat on plain routes, in the envelope under `/api`, in OAuth's format on OAuth routes."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from herod.pipeline.operation_definition import Operation
from herod.pipeline.pagination import MAX_PAGE_BYTES
from herod.protocols.challenges import ProtectedResource, challenges, oauth_text
from herod.protocols.error_codes import row_of
from herod.protocols.http import NO_STORE, Response
from herod.store.store_interface import Page
from herod_client.core.errors import (
    ApprovalRequired,
    HerodError,
    MethodNotAllowed,
    RateLimited,
    TooLarge,
    Unavailable,
    UnsupportedEncoding,
)

__all__ = [
    "JSON_HEADERS",
    "MAX_ANSWER_BYTES",
    "ErrorWriter",
    "check_answer",
    "encode",
    "envelope_error",
    "enveloped",
    "error_details",
    "error_headers",
    "is_enveloped",
    "json_response",
    "oauth_error",
    "plain_error",
]

encode: Final = msgspec.json.Encoder().encode

JSON_HEADERS: Final = (("Content-Type", "application/json"), *NO_STORE)
API_VERSION: Final = "1"
# The limit for one answer, except for streams and shared documents. Pages of lists end before it.
MAX_ANSWER_BYTES: Final = MAX_PAGE_BYTES

ErrorWriter = Callable[[HerodError], Response]


def json_response(body: bytes, *, status: int = 200, is_quiet: bool = False, shared: bytes = b"") -> Response:
    """A JSON answer that is never cached; `shared` is the rest of it, as in `Response`."""
    return Response(status, body, JSON_HEADERS, is_quiet=is_quiet, shared=shared)


def check_answer(operation: Operation, body: bytes) -> bytes:
    """Return the answer unchanged if it is not too long. Commands have taken effect, so theirs is always returned.

    Raises:
        TooLarge: it is too long.
    """
    if len(body) > MAX_ANSWER_BYTES and not operation.is_command:
        raise TooLarge(f"The answer exceeds {MAX_ANSWER_BYTES} bytes: request less, for example with a smaller limit.")
    return body


def is_enveloped(path: str) -> bool:
    """Whether answers at `path` use the envelope."""
    return f"{path}/".startswith(("/api/v1/", "/api/auth/"))


def enveloped(result: Any, server_version: str) -> bytes:
    """A result in the envelope of `/api/v1`; a `Page` becomes a list with its cursor in `meta`."""
    meta: dict[str, str | None] = {"api_version": API_VERSION, "server_version": server_version}
    if isinstance(result, Page):
        return encode({"data": result.items, "meta": {**meta, "next_cursor": result.next_cursor}})
    return encode({"data": result, "meta": meta})


def plain_error(error: HerodError) -> Response:
    """An error on a plain route."""
    return _response(error, {"error": _error(error)})


def envelope_error(server_version: str) -> ErrorWriter:
    """How errors are written under `/api/v1` and `/api/auth`."""
    meta = {"api_version": API_VERSION, "server_version": server_version}
    return lambda error: _response(error, {"error": _error(error), "meta": meta})


def oauth_error(
    error: HerodError, *, offered: Sequence[str] = ("Basic",), note: str = "", status: int | None = None
) -> Response:
    """An error on an OAuth route (RFC 6749, section 5.2).

    Args:
        offered: the schemes with which the route's clients authenticate, as in `challenges`.
        note: added to the error's message.
        status: instead of the error's own.
    """
    body = {"error": row_of(error).oauth, "error_description": oauth_text(error.message + note)}
    return _response(error, body, offered=offered, status=status)


def _error(error: HerodError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, **error_details(error)}


def error_details(error: HerodError) -> dict[str, str]:
    """What an error says to programs besides its code and message."""
    details = {} if error.hint is None else {"hint": error.hint}
    return {**details, "url": error.url} if isinstance(error, ApprovalRequired) else details


def error_headers(
    error: HerodError, offered: Sequence[str] = ("Bearer",), resource: ProtectedResource | None = None
) -> tuple[tuple[str, str], ...]:
    """The headers of an error's response; `offered` and `resource` as in `challenges`."""
    match error:
        case RateLimited(retry_after=int(seconds)) | Unavailable(retry_after=int(seconds)):
            return (*JSON_HEADERS, ("Retry-After", str(seconds)))
        case MethodNotAllowed(allowed=allowed):
            return (*JSON_HEADERS, ("Allow", ", ".join(allowed)))
        case UnsupportedEncoding():
            return (*JSON_HEADERS, ("Accept-Encoding", "identity"))  # RFC 9110, section 12.5.3
        case _:
            return (*JSON_HEADERS, *challenges(error, offered, resource))


def _response(
    error: HerodError, body: dict[str, Any], *, offered: Sequence[str] = ("Bearer",), status: int | None = None
) -> Response:
    return Response(status or row_of(error).http, encode(body), error_headers(error, offered))
